"""What a config may hold: the rule of every key, checked before anything is compiled or written."""

import functools
import hashlib
import importlib.util
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae.choices import nearest
from vae.errors import UserError

Rule = Callable[[Any], str | None]  # a value -> what it should have been, or None where it is right

# Keys that may differ between two launches of one run, because they change no weight of it.
NEUTRAL = ("eval.", "train.parallel", "train.wandb", "data.dir")


def _whole(least: int) -> Rule:
    def rule(value: Any) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return None if fits else f"a whole number of at least {least}"

    return rule


def _number(low: float, high: float = math.inf, open_low: bool = False) -> Rule:
    def rule(value: Any) -> str | None:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        fits = fits and math.isfinite(value) and low <= value <= high
        fits = fits and not (open_low and value == low)
        least = f"above {low:g}" if open_low else f"at least {low:g}"
        most = f" and at most {high:g}" if high < math.inf else ""
        return None if fits else f"a number {least}{most}"

    return rule


def _wholes(value: Any) -> str | None:
    items = value if isinstance(value, tuple | list) else ()
    fits = isinstance(value, tuple | list) and all(_whole(1)(item) is None for item in items)
    return None if fits else "a list of whole numbers of at least 1, such as (200, 200)"


def _some_wholes(value: Any) -> str | None:
    return _wholes(value) if value != () else "a list of at least one whole number"


def _some_of(*names: str) -> Rule:
    def rule(value: Any) -> str | None:
        items = value if isinstance(value, tuple | list) else (value,)
        wrong = [item for item in items if item not in names]
        if isinstance(value, tuple | list) and not wrong:
            return None
        near = nearest(wrong[0], names) if wrong else ""
        return f"a list of some of: {', '.join(names)}, such as ({names[0]!r},){near}"

    return rule


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "text"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "True or False"


def _one_of(*names: str) -> Rule:
    def rule(value: Any) -> str | None:
        return None if value in names else f"one of: {', '.join(names)}{nearest(value, names)}"

    return rule


_fraction = _number(0.0, 1.0)
_length = _number(0.0)
_above_zero = _number(0.0, open_low=True)

RULES: dict[str, Rule] = {
    "seed": _whole(0),
    "data.name": _text,
    "data.dir": _text,
    "data.path": _text,
    "data.label": _text,
    "data.kind": _one_of("", "binary", "grey", "real", "counts", "tokens"),
    "data.binarization": _one_of("dynamic", "static", "none"),
    "data.validation_size": _whole(-1),
    "data.size": _whole(0),
    "data.image_size": _whole(0),
    "data.context": _one_of("", "labels", "factors", "array", "scaled"),
    "data.labelled": _whole(0),
    "data.labelled_share": _number(0.0, 0.99, open_low=True),
    "data.stream": _flag,
    "data.standardize": _flag,
    "data.split": _whole(0),
    "data.left_out": _whole(-1),
    "data.per_class": _whole(0),
    "data.leave_items": _flag,
    "model.name": _text,
    "model.latent_size": _whole(1),
    "model.upper_sizes": _some_wholes,
    "model.layer_hidden": _wholes,
    "model.codes": _whole(2),
    "model.code_size": _whole(1),
    "model.codebook_update": _one_of("ema", "gradient"),
    "model.prior_width": _whole(4),
    "model.prior_depth": _whole(1),
    "model.classifier": _text,
    "model.regressor": _text,
    "model.groups": _some_wholes,
    "model.encoder": _text,
    "model.decoder": _text,
    "model.posterior": _text,
    "model.prior": _text,
    "model.prior_components": _whole(1),
    "model.flow_layers": _whole(1),
    "model.flow_hidden": _some_wholes,
    "model.flow_bins": _whole(2),
    "model.flow_columns": _whole(0),
    "model.flow_reflections": _whole(1),
    "model.likelihood": _text,
    "model.sigma": _above_zero,
    "model.mixtures": _whole(1),
    "model.hidden": _wholes,
    "model.filters": _some_wholes,
    "model.blocks": _whole(1),
    "model.dense": _whole(0),
    "model.activation": _text,
    "model.dropout": _number(0.0, 0.99),
    "model.input_dropout": _number(0.0, 0.99),
    "model.word_dropout": _number(0.0, 1.0),
    "model.dtype": _one_of("float32", "bfloat16"),
    "objective.name": _text,
    "objective.beta": _length,
    "objective.beta_schedule": _one_of("constant", "linear", "cyclical"),
    "objective.beta_epochs": _length,
    "objective.gamma": _length,
    "objective.capacity": _length,
    "objective.capacity_epochs": _length,
    "objective.samples": _whole(1),
    "objective.batches": _whole(1),
    "objective.mix": _fraction,
    "objective.alpha": _number(-math.inf),
    "objective.free_bits": _length,
    "objective.group_size": _whole(1),
    "objective.estimator": _one_of("stratified", "weighted", "exact"),
    "objective.off_diagonal": _length,
    "objective.diagonal": _length,
    "objective.mmd": _length,
    "objective.kernel": _one_of("imq", "rbf"),
    "objective.decoder_penalty": _length,
    "objective.commitment": _length,
    "objective.codebook_decay": _number(0.0, 0.999999),
    "objective.revive": _length,
    "objective.labelled": _length,
    "objective.classification": _length,
    "objective.regression": _length,
    "objective.tc": _length,
    "objective.critic_hidden": _some_wholes,
    "objective.critic_learning_rate": _above_zero,
    "optimizer.name": _text,
    "optimizer.learning_rate": _above_zero,
    "optimizer.schedule": _text,
    "optimizer.warmup_epochs": _length,
    "optimizer.b1": _number(0.0, 0.999999),
    "optimizer.b2": _number(0.0, 0.999999),
    "optimizer.eps": _above_zero,
    "optimizer.weight_decay": _length,
    "optimizer.clip_norm": _length,
    "optimizer.skip_norm": _length,
    "train.epochs": _whole(1),
    "train.batch_size": _whole(1),
    "train.parallel": _one_of("auto", "jit", "pmap"),
    "train.ema": _number(0.0, 0.999999),
    "train.eval_epochs": _above_zero,
    "train.patience": _whole(0),
    "train.skip_steps": _whole(0),
    "train.wandb": _text,
    "eval.split": _one_of("validation", "test"),
    "eval.checkpoint": _one_of("best", "last"),
    "eval.batch_size": _whole(1),
    "eval.iwae_samples": _some_wholes,
    "eval.elbo_samples": _whole(1),
    "eval.metrics": _some_of(
        "aggregate", "ais", "bdmc", "gaps", "disentanglement", "probes", "samples", "anomaly",
        "recommendation", "molecules",
    ),
    "eval.codes": _whole(2),
    "eval.samples": _whole(10),
    "eval.extractor": _text,
    "eval.ais_examples": _whole(1),
    "eval.ais_temperatures": _whole(1),
    "eval.ais_chains": _whole(1),
    "eval.ais_leapfrogs": _whole(1),
    "eval.ais_schedule": _text,
    "eval.ais_batch_size": _whole(1),
    "eval.local_steps": _whole(1),
    "eval.local_draws": _whole(1),
    "eval.active_threshold": _number(0.0),
    "eval.metric": _text,
}


@functools.cache
def base() -> dict[str, Any] | None:
    """What `configs/base.py` beside this package gives; None where there is none."""
    path = Path(__file__).resolve().parent.parent / "configs" / "base.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("_vae_base_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config().to_dict()


def flatten(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted key, value) of nested mappings, in key order of the mapping."""
    for name, value in values.items():
        if hasattr(value, "items"):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def check(config: ConfigDict) -> None:
    """Checks every key and how keys fit together, without loading data.

    Raises:
      UserError: an unknown or missing key, a wrong type or value, a schedule that this run is too
        short for.
    """
    found = dict(flatten(config))
    for key in found:
        if key not in RULES:
            raise UserError(f"config has no key {key!r}{nearest(key, RULES)}")
    for key, rule in RULES.items():
        if key not in found:
            raise UserError(f"config lacks the key {key!r}: start from configs/base.py")
        expected = rule(found[key])
        if expected:
            raise UserError(f"{key}={found[key]!r} should be {expected}")
    _check_schedules(config)


def _check_schedules(config: ConfigDict) -> None:
    epochs = config.train.epochs
    if config.objective.beta_schedule != "constant" and config.objective.beta_epochs == 0.0:
        raise UserError(
            f"objective.beta_schedule={config.objective.beta_schedule!r} needs a length: "
            "set objective.beta_epochs"
        )
    if config.objective.beta_schedule == "constant" and config.objective.beta_epochs > 0.0:
        raise UserError(
            "objective.beta_epochs is set but objective.beta_schedule='constant' ignores it: "
            "choose linear or cyclical, or set it to 0.0"
        )
    for key in ("objective.beta_epochs", "objective.capacity_epochs", "optimizer.warmup_epochs"):
        group, name = key.split(".")
        if config[group][name] > epochs:
            raise UserError(
                f"{key}={config[group][name]:g} never reaches its target in train.epochs={epochs}: "
                "train longer or shorten it"
            )


def to_json(config: ConfigDict) -> str:
    """The resolved config as JSON text, keys in their own order."""
    return json.dumps(config.to_dict(), indent=2) + "\n"


def from_json(text: str) -> ConfigDict:
    """The inverse of `to_json`; lists become tuples again."""

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tuples(item) for key, item in value.items()}
        return tuple(value) if isinstance(value, list) else value

    return ConfigDict(tuples(json.loads(text))).lock()


# Keys whose default leaves older runs as they were.
LATER = (
    "eval.", "data.standardize", "data.split", "data.left_out", "data.per_class",
    "data.leave_items", "data.label",
    "model.input_dropout", "model.word_dropout", "model.regressor", "objective.regression",
)  # fmt: skip


def completed(config: ConfigDict) -> ConfigDict:
    """The config of a run that may be older than some keys: those of LATER get their default."""
    known, found = base(), config.to_dict()
    have = dict(flatten(found))
    for key, value in flatten(known or {}):
        if key.startswith(LATER) and key not in have:
            group, _, name = key.partition(".")
            if isinstance(found.get(group), dict):
                found[group][name] = value
    return ConfigDict(found).lock()


def difference(ours: ConfigDict, theirs: ConfigDict, neutral: bool = False) -> list[str]:
    """Lines `key: theirs -> ours` for keys that differ; those of NEUTRAL only if asked for."""
    left, right = dict(flatten(theirs)), dict(flatten(ours))
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return [
        f"{key}: {left.get(key)!r} -> {right.get(key)!r}"
        for key in keys
        if neutral or not key.startswith(NEUTRAL)
    ]


def run_name(config: ConfigDict) -> str:
    """A run directory's name: the same config always gets the same one."""
    values = {k: v for k, v in flatten(config) if not k.startswith(NEUTRAL)}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
    source = Path(config.data.path).stem if config.data.name == "files" else config.data.name
    return f"{source}-{config.model.encoder}-z{config.model.latent_size}-s{config.seed}-{digest}"

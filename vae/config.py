"""What a config may hold: the rule of every key, checked before anything is compiled or written."""

import functools
import hashlib
import importlib.util
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae.choices import nearest, shown
from vae.errors import UserError
from vae.rules import (
    LARGEST,
    Number,
    Rule,
    above_zero,
    flag,
    fraction,
    length,
    one_of,
    some_of,
    some_wholes,
    text,
    whole,
    wholes,
)

# Keys that may differ between two launches of one run, because they change no weight of it.
NEUTRAL = ("eval.", "train.parallel", "train.wandb", "data.dir")


MOST_LAYERS = 1000  # of one kind after each other: each is compiled by itself

RULES: dict[str, Rule] = {
    "seed": whole(0, 2**32 - 1),
    "data.name": text,
    "data.dir": text,
    "data.path": text,
    "data.label": text,
    "data.kind": one_of("", "binary", "grey", "real", "counts", "tokens"),
    "data.binarization": one_of("dynamic", "static", "none"),
    "data.validation_size": whole(-1),
    "data.size": whole(0),
    "data.image_size": whole(0, 8192),
    "data.context": one_of("", "labels", "factors", "array", "scaled"),
    "data.labelled": whole(0),
    "data.labelled_share": Number(0.0, 0.99, open_low=True),
    "data.stream": flag,
    "data.standardize": flag,
    "data.split": whole(0),
    "data.left_out": whole(-1),
    "data.per_class": whole(0),
    "data.leave_items": flag,
    "model.name": text,
    "model.latent_size": whole(1),
    "model.upper_sizes": some_wholes,
    "model.layer_hidden": wholes,
    "model.codes": whole(2),
    "model.code_size": whole(1),
    "model.codebook_update": one_of("ema", "gradient"),
    "model.prior_width": whole(4),
    "model.prior_depth": whole(1, MOST_LAYERS),
    "model.classifier": text,
    "model.regressor": text,
    "model.groups": some_wholes,
    "model.encoder": text,
    "model.decoder": text,
    "model.posterior": text,
    "model.prior": text,
    "model.prior_components": whole(1),
    "model.flow_layers": whole(1, MOST_LAYERS),
    "model.flow_hidden": some_wholes,
    "model.flow_bins": whole(2),
    "model.flow_columns": whole(0),
    "model.flow_reflections": whole(1, MOST_LAYERS),
    "model.likelihood": text,
    "model.sigma": above_zero,
    "model.mixtures": whole(1),
    "model.hidden": wholes,
    "model.filters": some_wholes,
    "model.blocks": whole(1, MOST_LAYERS),
    "model.dense": whole(0),
    "model.activation": text,
    "model.dropout": Number(0.0, 0.99),
    "model.input_dropout": Number(0.0, 0.99),
    "model.word_dropout": Number(0.0, 1.0),
    "model.dtype": one_of("float32", "bfloat16"),
    "objective.name": text,
    "objective.beta": length,
    "objective.beta_schedule": one_of("constant", "linear", "cyclical"),
    "objective.beta_epochs": length,
    "objective.gamma": length,
    "objective.capacity": length,
    "objective.capacity_epochs": length,
    "objective.samples": whole(1),
    "objective.batches": whole(1),
    "objective.mix": fraction,
    "objective.alpha": Number(-LARGEST),
    "objective.free_bits": length,
    "objective.group_size": whole(1),
    "objective.estimator": one_of("stratified", "weighted", "exact"),
    "objective.off_diagonal": length,
    "objective.diagonal": length,
    "objective.mmd": length,
    "objective.kernel": one_of("imq", "rbf"),
    "objective.decoder_penalty": length,
    "objective.commitment": length,
    "objective.codebook_decay": Number(0.0, 0.999999),
    "objective.revive": length,
    "objective.labelled": length,
    "objective.classification": length,
    "objective.regression": length,
    "objective.tc": length,
    "objective.critic_hidden": some_wholes,
    "objective.critic_learning_rate": above_zero,
    "optimizer.name": text,
    "optimizer.learning_rate": above_zero,
    "optimizer.schedule": text,
    "optimizer.warmup_epochs": length,
    "optimizer.b1": Number(0.0, 0.999999),
    "optimizer.b2": Number(0.0, 0.999999),
    "optimizer.eps": above_zero,
    "optimizer.weight_decay": length,
    "optimizer.clip_norm": length,
    "optimizer.skip_norm": length,
    "train.epochs": whole(1),
    "train.batch_size": whole(1),
    "train.parallel": one_of("auto", "jit", "pmap"),
    "train.ema": Number(0.0, 0.999999),
    "train.eval_epochs": above_zero,
    "train.patience": whole(0),
    "train.skip_steps": whole(0),
    "train.wandb": text,
    "eval.split": one_of("validation", "test"),
    "eval.checkpoint": one_of("best", "last"),
    "eval.batch_size": whole(1),
    "eval.iwae_samples": some_wholes,
    "eval.elbo_samples": whole(1),
    "eval.metrics": some_of(
        "aggregate", "ais", "bdmc", "gaps", "disentanglement", "probes", "samples", "anomaly",
        "recommendation", "molecules",
    ),
    "eval.codes": whole(2),
    "eval.samples": whole(10),
    "eval.extractor": text,
    "eval.ais_examples": whole(1),
    "eval.ais_temperatures": whole(1),
    "eval.ais_chains": whole(1),
    "eval.ais_leapfrogs": whole(1),
    "eval.ais_schedule": text,
    "eval.ais_batch_size": whole(1),
    "eval.local_steps": whole(1),
    "eval.local_draws": whole(1),
    "eval.active_threshold": Number(0.0),
    "eval.metric": text,
}

# The real numbers that a compiled program takes as arguments: runs that differ in them share one.
TRACED = tuple(
    key
    for key, rule in RULES.items()
    if isinstance(rule, Number) and key.startswith(("objective.", "optimizer."))
)


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
    check_keys(found)
    for key, rule in RULES.items():
        expected = rule(found[key])
        if expected:
            raise UserError(f"{key}={shown(found[key])} should be {expected}")
    _check_schedules(config)


def check_keys(found: Collection[str]) -> None:
    """Raises UserError where a dotted key is unknown, or one is missing."""
    for key in found:
        if key not in RULES:
            raise UserError(f"config has no key {key!r}{nearest(key, RULES)}")
    for key in RULES:
        if key not in found:
            raise UserError(f"config lacks the key {key!r}: start from configs/base.py")


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
    """The inverse of `to_json`; lists become tuples again.

    Raises:
      ValueError: the text is not a config's.
    """

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tuples(item) for key, item in value.items()}
        return tuple(value) if isinstance(value, list) else value

    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a mapping of keys to values")
    return ConfigDict(tuples(found)).lock()


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

"""A case: data, settings and flags, drawn so that they fit each other more often than not.

What fits what is decided first (data, likelihood, model, objective), the rest key by key from
`KEYS`; at last one value of some cases is exchanged for a hostile one.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from tests.fuzzing import sources
from tests.fuzzing.sources import Drawing, Source
from vae import config as configs
from vae import keys, networks, objectives
from vae.evaluation.groups import GROUPS
from vae.evaluation.samplers import SAMPLERS
from vae.models import bottlenecks
from vae.models.build import KINDS
from vae.networks import layers
from vae.objectives import facts
from vae.probability import likelihoods, posteriors, priors
from vae.training import optimizers, schedules

# What every case begins with: all that takes time is small. A row below may still change a key.
SMALL = {
    "model.latent_size": 2, "model.upper_sizes": (2,), "model.layer_hidden": (3,),
    "model.codes": 4, "model.code_size": 2, "model.prior_width": 4, "model.prior_depth": 1,
    "model.groups": (1,), "model.prior_components": 3, "model.flow_layers": 2,
    "model.flow_hidden": (4,), "model.flow_bins": 3, "model.flow_reflections": 2,
    "model.mixtures": 2, "model.hidden": (4,), "model.filters": (2,), "model.dense": 4,
    "objective.samples": 2, "objective.critic_hidden": (4,),
    "train.epochs": 1, "train.batch_size": 8, "train.eval_epochs": 1.0,
    "eval.batch_size": 16, "eval.iwae_samples": (3,), "eval.elbo_samples": 1, "eval.codes": 20,
    "eval.samples": 12, "eval.ais_examples": 2, "eval.ais_temperatures": 3, "eval.ais_chains": 2,
    "eval.ais_leapfrogs": 2, "eval.ais_batch_size": 2, "eval.local_steps": 3,
    "eval.local_draws": 2,
}  # fmt: skip


def of(*options: Any) -> Any:
    return lambda d: d.pick(*options)


# The values of every key. SETTLED are those that `draw` decides by what fits.
KEYS = {
    "seed": of(0, 1, 12345, 2**32 - 1),
    "data.validation_size": of(-1, 1, 5),
    "data.size": of(0, 15),
    "data.image_size": of(0, 2, 5),
    "data.bits": of(0, 1, 3),
    "data.covariates": of((), ("label",)),
    "data.labelled": of(0, 6),
    "data.labelled_share": of(0.1, 0.6),
    "data.stream": of(False, True),
    "data.standardize": of(False, True, "robust"),
    "data.split": of(0, 1),
    "data.left_out": of(-1, 0),
    "data.per_class": of(0, 2),
    "data.leave_items": of(False, True),
    "data.missing": of(0.0, 0.3),
    "data.missingness": of("mcar", "mar", "mnar"),
    "model.upper_sizes": of((1,), (2,), (2, 1)),
    "model.layer_hidden": of((), (1,), (3, 3)),
    "model.code_levels": of((2,), (5, 3), (8, 5, 5, 5)),
    "model.code_depth": of(1, 3),
    "model.rotation": of(False, True),
    "model.simvq": of(False, True),
    "model.codes": of(2, 4, 40),
    "model.code_size": of(1, 2),
    "model.codebook_update": of("ema", "gradient"),
    "model.prior_width": of(4, 12),
    "model.prior_depth": of(1, 2),
    "model.prior_components": of(1, 2, 60),
    "model.flow_layers": of(1, 2, 3),
    "model.flow_hidden": of((1,), (4,), (3, 2)),
    "model.flow_bins": of(2, 3),
    "model.flow_columns": of(0, 1, 2, 5),
    "model.flow_reflections": of(1, 2, 5),
    "model.library": of("", "observed", "latent"),
    "model.dispersion": of("cell", "gene", "gene_batch"),
    "model.sigma": of(1.0, 0.1, 30.0),
    "model.mixtures": of(1, 2, 4),
    "model.hidden": of((), (1,), (4,), (3, 5)),
    "model.blocks": of(1, 2),
    "model.dense": of(0, 1, 4),
    "model.activation": lambda d: d.pick(*layers.ACTIVATIONS),
    "model.dropout": of(0.0, 0.5, 0.99),
    "model.input_dropout": of(0.0, 0.5, 0.99),
    "model.word_dropout": of(0.0, 0.5, 1.0),
    "model.dtype": of("float32", "bfloat16"),
    "objective.gamma": of(0.0, 1.0, 1000.0),
    "objective.capacity": of(0.0, 3.0),
    "objective.samples": of(1, 2, 5),
    "objective.batches": of(1, 2),
    "objective.mix": of(0.0, 0.3, 1.0),
    "objective.alpha": of(0.0, 0.5, 1.0, 2.0, -3.0),
    "objective.free_bits": of(0.0, 0.1, 5.0),
    "objective.group_size": of(1, 2, 3),
    "objective.estimator": of("stratified", "weighted"),
    "objective.off_diagonal": of(0.0, 10.0),
    "objective.diagonal": of(0.0, 10.0),
    "objective.mmd": of(0.0, 100.0),
    "objective.kernel": of("imq", "rbf"),
    "objective.decoder_penalty": of(0.0, 1.0),
    "objective.commitment": of(0.0, 1.0),
    "objective.pixels": of("likelihood", "l1", "l2"),
    "objective.features": of("", "", "classifier"),
    "objective.feature": of(0.0, 1.0),
    "objective.adversarial": of(0.0, 0.5),
    "objective.adversary": of("hinge", "non_saturating"),
    "objective.r1": of(0.0, 1.0),
    "objective.critic_start": of(0.0, 0.5),
    "objective.critic_filters": of((1,), (3, 4)),
    "objective.code_entropy": of(0.0, 0.1),
    "objective.codebook_decay": of(0.0, 0.5, 0.999999),
    "objective.revive": of(0.0, 0.1, 10.0),
    "objective.labelled": of(0.0, 1.0),
    "objective.classification": of(0.0, 10.0),
    "objective.regression": of(0.0, 10.0),
    "objective.tc": of(0.0, 10.0),
    "objective.critic_hidden": of((1,), (4,), (3, 3)),
    "objective.critic_learning_rate": of(1e-4, 0.1),
    "optimizer.name": lambda d: d.pick(*optimizers.__all__),
    "optimizer.learning_rate": of(1e-6, 1e-3, 0.1),
    "optimizer.schedule": lambda d: d.pick(*schedules.LEARNING_RATE),
    "optimizer.warmup_epochs": of(0.0, 0.3, 1.0),
    "optimizer.b1": of(0.0, 0.9),
    "optimizer.b2": of(0.0, 0.999),
    "optimizer.eps": of(1e-8, 1.0),
    "optimizer.clip_norm": of(0.0, 0.01, 1.0),
    "optimizer.skip_norm": of(0.0, 1e6),
    "train.epochs": of(1, 2),
    "train.batch_size": of(1, 3, 8, 20),
    "train.accumulate": of(1, 2, 4),
    "train.parallel": of("auto", "jit", "pmap", "shard"),
    "train.model_axis": of(1, 2),
    "train.ema": of(0.0, 0.9),
    "train.eval_epochs": of(0.3, 1.0, 7.0),
    "train.patience": of(0, 1),
    "train.picture_epochs": of(0.0, 0.5, 1.0),
    "train.skip_steps": of(0, 3),
    "eval.split": of("validation", "test"),
    "eval.checkpoint": of("best", "last"),
    "eval.batch_size": of(1, 7, 1000),
    "eval.iwae_samples": of((1,), (3, 2)),
    "eval.elbo_samples": of(1, 3),
    "eval.codes": of(2, 10),
    "eval.samples": of(10, 15),
    "eval.sampler": of("prior", "normal", "aggregate"),
    "eval.extractor": of("", "pixels"),
    "eval.ais_examples": of(1, 100),
    "eval.ais_temperatures": of(1, 4),
    "eval.ais_chains": of(1, 3),
    "eval.ais_leapfrogs": of(1, 2),
    "eval.ais_schedule": of("sigmoid", "linear"),
    "eval.ais_batch_size": of(1, 100),
    "eval.local_steps": of(1, 3),
    "eval.local_draws": of(1, 2),
    "eval.active_threshold": of(0.0, 0.01, 1e9),
    "eval.metric": of("elbo", "nll_iwae_3"),
    "data.id": of("none", "auto"),
}
SETTLED = (
    "data.name", "data.dir", "data.path", "data.label", "data.kind", "data.columns",
    "data.binarization", "data.context", "model.name", "model.bottleneck", "model.latent_size",
    "model.classifier", "model.regressor",
    "model.groups", "model.encoder", "model.decoder", "model.posterior", "model.prior",
    "model.likelihood", "model.filters", "objective.name", "objective.beta",
    "objective.beta_schedule", "objective.beta_epochs", "objective.capacity_epochs",
    "optimizer.weight_decay", "train.wandb", "train.init_from", "train.freeze", "eval.metrics",
    "eval.figures",
)  # fmt: skip
# Keys that most other choices refuse: changed less often.
NARROW = (
    "data.validation_size", "data.size", "data.image_size", "data.bits", "data.labelled",
    "data.stream", "data.standardize", "data.split", "data.left_out", "data.per_class",
    "data.leave_items", "data.missing", "data.missingness", "data.covariates",
    "train.model_axis",
)  # fmt: skip
LONG = ("epochs", "steps", "temperatures", "leapfrogs", "chains", "draws", "samples")
WEIGHTED = ("elbo", "capacity", "free_bits", "free_bits_per_example", "dip_i", "dip_ii")
WRONG = {
    bool: ("maybe", "2", ""),
    int: ("0", "-1", "2147483648", "9223372036854775808", "1" + "0" * 23, "1.5", "x", "", "None"),
    float: ("0.0", "-1.0", "1e-38", "1e30", "1e300", "inf", "nan", "x", "", "None"),
    str: ("", "nope", "0", "None", "é" * 300, "../../x", "%s{}"),
    tuple: ("()", "(0,)", "(-1,)", "(1.5,)", "('x',)", "3", "(", "(1,(2,))", "(2147483648,)"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """What is written, and what is run: the settings are of configs/base.py, as in a command."""

    source: Source
    settings: dict[str, str]
    resumes: bool  # trains again after its last checkpoint is gone
    evaluate: tuple[str, ...]
    sample: tuple[str, ...]
    report: tuple[str, ...]

    def flags(self, path: Any) -> list[str]:
        """Of `train`, with the data at `path`."""
        settings = {"data.path": str(path), **self.settings} if path else self.settings
        return ["--config=configs/base.py"] + [f"--config.{k}={v}" for k, v in settings.items()]


@functools.cache
def defaults() -> dict[str, Any]:
    return dict(configs.flatten(configs.default()))


def draw(seed: int, number: int) -> Case:
    """Case `number` of a seed: always the same."""
    d = Drawing(np.random.default_rng([seed, number]))
    source = sources.draw(d)
    settings = SMALL | source.settings
    _likelihood(d, source, settings)
    _model(d, source, settings)
    _objective(d, source, settings)
    _networks(d, source, settings)
    for key, values in KEYS.items():
        if d.chance(0.005 if key in NARROW else 0.1):
            settings[key] = values(d)
    if settings.get("optimizer.name") not in (None, "adam") and d.chance(0.3):
        settings["optimizer.weight_decay"] = d.pick(0.01, 1.0)
    if settings.get("objective.estimator") == "exact":
        settings["train.batch_size"] = source.training
    groups = [name for name in GROUPS if d.chance(0.9) == sources.suits(name, source, settings)]
    if d.chance(0.35) and groups:
        settings["eval.metrics"] = (d.pick(*groups),)
    texts = {key: v if isinstance(v, str) else repr(v) for key, v in settings.items()}
    if d.chance(0.12):
        key = d.pick(*(k for k in keys.KEYS if k not in ("data.path", "data.dir")))
        wrong = WRONG[type(defaults()[key])]
        long = any(key.endswith(end) for end in LONG)
        texts[key] = d.pick(*(w for w in wrong if not (long and w.isdigit() and len(w) > 3)))
    sampler = d.pick(*SAMPLERS) if d.chance(0.15) else "prior"
    seed = d.pick(0, 7, 2**32 - 1) if d.chance(0.99) else 2**33
    return Case(
        source, texts, d.chance(0.1),
        evaluate=(f"--split={d.pick('validation', 'test')}",) * d.chance(0.2),
        sample=(f"--num={d.pick(1, 2, 9)}", f"--seed={seed}", f"--sampler={sampler}"),
        report=("--format=png,pdf",) * d.chance(0.03),
    )  # fmt: skip


def _likelihood(d: Drawing, source: Source, settings: dict[str, Any]) -> None:
    """One for the data, which are binarised where it wants bits of grey images."""
    colours = len(source.shape) == 3 and source.shape[-1] > 1  # which are not binarised
    binarized = source.kind == "grey" and d.chance(0.02 if colours else 0.3)
    kind = "binary" if binarized else source.kind
    settings["data.binarization"] = d.pick("dynamic", "static") if binarized else "none"
    fitting = [
        name for name in likelihoods.__all__
        if kind in getattr(likelihoods, name).kinds
        and not (len(source.shape) > 1 and getattr(getattr(likelihoods, name), "vectors", False))
    ]  # fmt: skip
    settings["model.likelihood"] = d.pick(*(fitting if d.chance(0.95) else likelihoods.__all__))


def _model(d: Drawing, source: Source, settings: dict[str, Any]) -> None:
    image = len(source.shape) > 1
    maps = ("top_down", "autoencoder_kl")
    names = [name for name in KINDS if image or name not in maps or d.chance(0.1)]
    name = settings["model.name"] = "vae" if d.chance(0.6) else d.pick(*names)
    if name == "autoencoder_kl":
        settings["model.bottleneck"] = d.pick(*bottlenecks.__all__)
    settings["model.latent_size"] = d.pick(1, 2, 2, 3, 3, 5)
    if name != "vae" and d.chance(0.95):
        return
    posterior = d.pick("diagonal", *posteriors.__all__)
    sphere = posterior == "von_mises_fisher" and d.chance(0.95)
    some = [p for p in priors.__all__ if p not in ("sphere", "conditional")]
    if settings.get("data.context") and d.chance(0.9):
        some = ["normal", "mixture", "conditional", "realnvp"]
    elif posterior not in ("diagonal", "full_covariance") and d.chance(0.9):
        some.remove("vamp")
    settings["model.posterior"] = posterior
    settings["model.prior"] = "sphere" if sphere else d.pick("normal", *some)
    if sphere and d.chance(0.9):
        settings["model.latent_size"] = max(2, settings["model.latent_size"])


def stated(objective: str) -> facts.Facts:
    return facts.of(getattr(objectives, objective))


def trains(objective: str) -> bool:
    """Whether it trains a part that not every model has."""
    needs = stated(objective)
    return needs.codebook or needs.classifier or needs.regressor


def _objective(d: Drawing, source: Source, settings: dict[str, Any]) -> None:
    vae = settings["model.name"] == "vae"
    gaussian = settings.get("model.posterior", "diagonal") == "diagonal" and vae
    some = [name for name in objectives.__all__ if name != "sigma_vae" and not trains(name)]
    if not gaussian and d.chance(0.9):  # those that ask nothing of q
        some = ["elbo", "iwae", "miwae", "ciwae", "piwae", "renyi", "info_vae", "free_bits"]
    if settings["model.latent_size"] < 2 and d.chance(0.9):
        some = [name for name in some if stated(name).latents < 2]
    if settings["model.likelihood"] == "gaussian_learned":
        some.append("sigma_vae")
    context = settings.get("data.context", "")
    if context == "labels" and vae and d.chance(0.5):
        some = [name for name in objectives.__all__ if stated(name).classifier]
    elif context and vae and d.chance(0.3):
        some = [name for name in objectives.__all__ if stated(name).regressor]
    codes = settings["model.name"] == "vqvae" or settings.get("model.bottleneck", "kl") != "kl"
    quantised = codes and d.chance(0.95)
    name = "vq" if quantised else d.pick("elbo", *some)
    name = settings["objective.name"] = name if d.chance(0.98) else d.pick(*objectives.__all__)
    if stated(name).classifier:
        settings["model.classifier"] = "mlp"
    if stated(name).regressor:
        settings["model.regressor"] = "mlp"
    if name == "beta_tcvae" and d.chance(0.2):
        settings["objective.estimator"] = "exact"
    if name in WEIGHTED and d.chance(0.3):
        settings["objective.beta"] = d.pick(0.0, 0.5, 4.0)
        if d.chance(0.5):
            settings["objective.beta_schedule"] = d.pick("linear", "cyclical")
            settings["objective.beta_epochs"] = d.pick(0.5, 1.0)
    if name == "capacity" and d.chance(0.5):
        settings["objective.capacity_epochs"] = d.pick(0.5, 1.0)


def _networks(d: Drawing, source: Source, settings: dict[str, Any]) -> None:
    some = ["mlp", "gated_mlp"] + ["conv", "resnet"] * (len(source.shape) > 1)
    some += ["gru"] * (source.kind == "tokens")
    if settings["model.name"] == "autoencoder_kl" and d.chance(0.95):
        some = ["attention_resnet", "conv", "resnet"]
    for end in ("encoder", "decoder"):
        wanted = some if d.chance(0.97) else networks.encoders.__all__
        settings[f"model.{end}"] = d.pick(*wanted)
    levels = d.pick(1, 1, 2)
    settings["model.filters"] = (d.pick(1, 2),) * levels
    settings["model.groups"] = (1,) * levels if d.chance(0.8) else (2, 1)[:levels]

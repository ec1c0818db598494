"""Every key of a config: its default, what it may be, and what it means.

A key is declared here and nowhere else: `configs/base.py`, the checks of a config, what an older
run lacks and docs/keys.md are made from this table. Lengths in epochs may be fractions; a length of
0.0 means none.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from vae import parts
from vae.choices import names
from vae.errors import UserError
from vae.rules import (
    LARGEST,
    Number,
    Rule,
    above_zero,
    flag,
    flag_or,
    fraction,
    length,
    multiple_of,
    one_of,
    some_of,
    some_wholes,
    text,
    texts,
    whole,
    wholes,
)  # fmt: skip

AUTO = "auto"  # a value that the data decide
MOST_LAYERS = 1000  # of one kind after each other: each is compiled by itself


@dataclasses.dataclass(frozen=True)
class Key:
    """What a config may say under one name.

    Args:
      default: its value where none is given; AUTO where the data decide, before a run is written
        (`vae.automatic`).
      rule: what a value should have been, or None where it is right.
      doc: one line; empty where the name says it.
      names: the module that exports the choices, if the key takes a part by its name.
      part: whether a part may be one from outside, `package.module:name` (`vae.parts`).
      older: its value in a run that is older than the key, and so what the run was without it;
        None: the default.
    """

    default: Any
    rule: Rule
    doc: str = ""
    names: str = ""
    part: bool = False
    older: Any = None

    @property
    def before(self) -> Any:
        """Its value in a run that is older than the key."""
        return self.default if self.older is None else self.older


GROUPS: dict[str, dict[str, Key]] = {
    "": {
        "seed": Key(0, whole(0, 2**32 - 1), "weights, data order and every noise follow from it"),
    },
    "data": {
        "name": Key("digits", text,
            'a row of vae/data/table.py; "files" for your own; "tfds:NAME" for what else of TFDS '
            "is in data.dir; package.module:function of config.data for arrays of a program",
            part=True),
        "dir": Key("", text, 'TFDS data directory; "" is $TFDS_DATA_DIR or ~/tensorflow_datasets'),
        "path": Key("", text, 'for "files": a file or a folder; docs/data.md has the forms'),
        "label": Key("", text,
            'column of a table that is labels, not a feature; "": label, labels, y, class or target'
            " in any letter case, where one of them is there and no coordinate; none: all columns "
            "are features"),
        "id": Key(AUTO, text,
            "column of a table that names its rows, not a feature; auto: one called id or index, "
            "or of texts that all differ; none: no column", older="none"),
        "columns": Key("", text,
            'kinds of columns of a table, "age:gaussian,grade:ordinal(low<middle<high)", where '
            'model.likelihood is columns; "": by the numbers (docs/tables.md)'),
        "kind": Key("", one_of("", "binary", "grey", "real", "counts", "tokens", "columns"),
            'of "files"; "": look at the numbers'),
        "binarization": Key(AUTO, one_of(AUTO, "dynamic", "static", "none"),
            "dynamic: fresh at every step; static: once; auto: of grey images in the table, not of "
            "colours or your own", older="dynamic"),
        "validation_size": Key(-1, whole(-1),
            "examples held out of the training set; -1: the table's choice"),
        "split": Key(0, whole(0),
            "number of the draw of validation and test set, where they are drawn"),
        "size": Key(0, whole(0), "a seeded subset of this many examples; 0: all"),
        "per_class": Key(0, whole(0),
            "training examples of each class that are kept, by data.split; 0: all"),
        "missing": Key(0.0, Number(0.0, 0.95),
            "columns: share of the cells that are hidden, to see how well they are filled"),
        "missingness": Key("mcar", one_of("mcar", "mar", "mnar"),
            "data.missing: by chance, by other columns, or by their own values"),
        "image_size": Key(0, whole(0, 8192),
            "resize images to this many pixels a side; 0: as they are"),
        "bits": Key(0, whole(0, 7),
            "levels of brightness become 2^bits, neighbours merged; 0: as they are"),
        "context": Key("", one_of("", "labels", "factors", "array", "scaled"),
            'seen beside x: labels, factors, array (your own) as it is or scaled; "": nothing'),
        "covariates": Key((), texts,
            "columns of obs, or of a table, as the context: texts one-hot, numbers standardised; "
            "NAME:categorical for numbers that are names (docs/cells.md)"),
        "labelled": Key(0, whole(0), "training examples that keep their context, for m2; 0: all"),
        "labelled_share": Key(0.1, Number(0.0, 0.99, open_low=True),
            "of the training set that they are repeated to"),
        "left_out": Key(-1, whole(-1),
            "a class that is not trained on; labels become 1 for it, 0 else; -1: none"),
        "leave_items": Key(False, flag,
            "likes: train on all users without a fifth of each one's, the test"),
        "standardize": Key(AUTO, flag_or("robust", AUTO),
            "real vectors: by the training set's mean and standard deviation; robust: by its "
            "median and quartiles; auto: where model.likelihood is auto too, or columns",
            older=False),
        "stream": Key(False, flag,
            "read batches from disk through Grain instead of holding all on the device"),
    },
    "model": {
        "name": Key("vae", text,
            "chain, ladder: layers of latents; top_down: layers of maps of them; vqvae: codes; "
            "autoencoder_kl: a map of latents or codes",
            names="vae.models.build:KINDS"),
        "latent_size": Key(10, whole(1),
            "of the layer next to x in chain and ladder; at each position of a map in top_down; "
            "codes of an example in vqvae, where model.dense=0 gives it as many as the "
            "convolutions' map has positions; of a position in autoencoder_kl"),
        "upper_sizes": Key((10,), some_wholes,
            "chain, ladder: latents of the layers above the first"),
        "layer_hidden": Key((100, 100), wholes,
            "chain, ladder: widths of the networks between two layers"),
        "bottleneck": Key("kl", text,
            "autoencoder_kl: what a position of the map is", names="vae.models.bottlenecks"),
        "code_levels": Key((8, 5, 5, 5), some_wholes, "fsq: levels of each number of a position"),
        "code_depth": Key(2, whole(1, MOST_LAYERS), "residual: codebooks, one after the other"),
        "rotation": Key(False, flag,
            "vq, residual: the rotation trick's gradient in place of the straight-through one"),
        "simvq": Key(False, flag, "vq, residual: codes as a linear map of fixed vectors"),
        "codes": Key(128, whole(2), "vqvae, and vq and residual: in a codebook"),
        "code_size": Key(16, whole(1), "vqvae: numbers of a code"),
        "codebook_update": Key("ema", one_of("ema", "gradient"),
            "vqvae: by running means of what is quantised, or by gradient"),
        "prior_width": Key(64, multiple_of(4),
            "vqvae: of the network that is the prior over codes, of four heads"),
        "prior_depth": Key(2, whole(1, MOST_LAYERS), "vqvae: its layers"),
        "regressor": Key("", text,
            'mlp, of z, that predicts the context, which is then not given; "": none'),
        "classifier": Key("", text,
            'm2, supervised: the network of x that tells labels; "": none',
            names="vae.networks.encoders", part=True),
        "groups": Key((1, 1), some_wholes,
            "top_down: groups of latents of each level, the finest first"),
        "encoder": Key("mlp", text, "gru: of tokens", names="vae.networks.encoders",
            part=True),
        "decoder": Key("mlp", text, "gru: by steps", names="vae.networks.decoders",
            part=True),
        "posterior": Key("diagonal", text,
            "the family of q(z|x); von_mises_fisher goes with prior sphere",
            names="vae.probability.posteriors", part=True),
        "prior": Key("normal", text, "the family of p(z)", names="vae.probability.priors",
            part=True),
        "prior_components": Key(50, whole(1), "mixture: Gaussians; vamp: pseudo-inputs"),
        "flow_layers": Key(4, whole(1, MOST_LAYERS), "steps of a flow, in prior and posterior"),
        "flow_hidden": Key((64,), some_wholes,
            "widths of its networks: iaf, realnvp, spline, autoregressive"),
        "flow_bins": Key(8, whole(2), "spline: bins of [-5, 5]"),
        "flow_columns": Key(0, whole(0),
            "sylvester_orthogonal: columns of Q; 0: as many as latents"),
        "flow_reflections": Key(4, whole(1, MOST_LAYERS),
            "sylvester_householder: reflections that make Q"),
        "likelihood": Key(AUTO, text,
            "the family of p(x|z): docs/models.md says for which data each is; auto: by the data",
            names="vae.probability.likelihoods", part=True, older="bernoulli"),
        "library": Key("", one_of("", "observed", "latent"),
            "negative binomials: the mean is a share of a cell's counts: of their sum as it is, or "
            'a latent (docs/cells.md); "": the mean is an output'),
        "dispersion": Key("cell", one_of("cell", "gene", "gene_batch"),
            "negative binomials: an output; or one learned number a gene, or a gene and class of "
            "the context"),
        "sigma": Key(1.0, above_zero,
            "Gaussians, laplace: the standard deviation, or where it starts"),
        "mixtures": Key(5, whole(1), "discretized_logistic_mixture: components of a pixel"),
        "hidden": Key((200, 200), wholes,
            "mlp: widths from data to latents, mirrored back; (): linear"),
        "filters": Key((32, 64), some_wholes,
            "conv, resnet: channels of each level; a level halves the resolution"),
        "blocks": Key(1, whole(1, MOST_LAYERS), "resnet: residual blocks a level"),
        "dense": Key(256, whole(0),
            "conv, resnet: width of the layer between the image and the latents; 0: none"),
        "activation": Key("silu", text,
            "of every network", names="vae.networks.layers:ACTIVATIONS"),
        "dropout": Key(0.0, Number(0.0, 0.99), "of hidden units, in training"),
        "word_dropout": Key(0.0, Number(0.0, 1.0),
            "decoder gru: the share of ids before each that it is not given, in training"),
        "input_dropout": Key(0.0, Number(0.0, 0.99),
            "the share of what the encoder sees that is hidden, in training: 0.5 in Mult-VAE"),
        "dtype": Key("float32", one_of("float32", "bfloat16"),
            "of the networks' products; the rest is float32"),
    },
    "objective": {
        "name": Key("elbo", text,
            "docs/objectives.md says what each minimises", names="vae.objectives", part=True),
        "beta": Key(1.0, length, "weight of the rate"),
        "beta_schedule": Key("constant", one_of("constant", "linear", "cyclical"),
            "linear: warm-up from 0; cyclical: repeated warm-ups"),
        "beta_epochs": Key(0.0, length, "length of the warm-up, or of one cycle"),
        "gamma": Key(1000.0, length, "capacity: weight of the distance from it"),
        "capacity": Key(25.0, length, "capacity: nats at the end of the ramp from 0"),
        "capacity_epochs": Key(0.0, length, "length of the ramp; 0.0: at the end from the start"),
        "samples": Key(1, whole(1), "K: draws of z of the importance-weighted objectives"),
        "batches": Key(1, whole(1), "M of miwae: means over M bounds of K draws each"),
        "mix": Key(0.5, fraction, "ciwae: mix * ELBO + (1 - mix) * IWAE"),
        "alpha": Key(0.5, Number(-LARGEST), "renyi: its order; info_vae: (1 - alpha) KL"),
        "free_bits": Key(0.1, length, "nats that a group of latents may use for nothing"),
        "group_size": Key(1, whole(1), "free_bits: latents a group"),
        "estimator": Key("stratified", one_of("stratified", "weighted", "exact"),
            "beta_tcvae: of q(z)"),
        "off_diagonal": Key(10.0, length,
            "dip: weight of the covariance's entries off the diagonal"),
        "diagonal": Key(10.0, length, "dip: weight of those on it"),
        "mmd": Key(10.0, length, "info_vae, wae: weight of the discrepancy"),
        "kernel": Key("imq", one_of("imq", "rbf"), "info_vae, wae: of the discrepancy"),
        "decoder_penalty": Key(1e-3, length, "rae: weight of the decoder's squared weights"),
        "commitment": Key(0.25, length, "vq: weight of the encoder's distance from its codes"),
        "code_entropy": Key(0.1, length, "vq of lfq, bsq: weight of their entropy penalty"),
        "codebook_decay": Key(0.99, Number(0.0, 0.999999),
            "vq, model.codebook_update=ema: of the running means"),
        "revive": Key(0.1, length,
            "vq, model.codebook_update=ema: a code with fewer vectors a batch is put on a random "
            "one"),
        "labelled": Key(1.0, length, "m2: weight of the bound of an example whose class is known"),
        "classification": Key(1.0, length, "m2: weight of its -log q(y|x)"),
        "regression": Key(1.0, length,
            "property_vae: weight of the squared error of what is predicted"),
        "tc": Key(10.0, length, "factor_vae: weight of the total correlation"),
        "pixels": Key("likelihood", one_of("likelihood", "l1", "l2"),
            "perceptual: its pixel term: the distortion, or of the mean of p(x|z), summed"),
        "features": Key("", text,
            'perceptual: classifier: the project\'s own, of the same data; or package.module:name, '
            'images -> features; "": none'),
        "feature": Key(1.0, length, "perceptual: weight of the difference of features"),
        "adversarial": Key(0.0, length,
            "perceptual: weight of the critic's judgement, beside the adaptive one; 0.0: none"),
        "adversary": Key("hinge", one_of("hinge", "non_saturating"), "perceptual: the game"),
        "r1": Key(0.0, length, "perceptual: weight of the critic's squared gradient at the data"),
        "critic_start": Key(0.0, length, "perceptual: epochs before the critic takes part"),
        "critic_filters": Key((64, 128), some_wholes, "perceptual: channels of its critic"),
        "critic_hidden": Key((1000, 1000, 1000, 1000, 1000, 1000), some_wholes,
            "factor_vae: widths of its critic"),
        "critic_learning_rate": Key(1e-4, above_zero, "factor_vae, perceptual: of its critic"),
    },
    "optimizer": {
        "name": Key("adam", text, names="vae.training.optimizers"),
        "learning_rate": Key(2e-3, above_zero, "the highest of its schedule"),
        "schedule": Key("cosine", text,
            "cosine: to 0 at the end; iwae: 8 stages of 3^i epochs",
            names="vae.training.schedules:LEARNING_RATE"),
        "warmup_epochs": Key(0.0, length, "in which the learning rate rises from 0"),
        "b1": Key(0.9, Number(0.0, 0.999999), "momentum"),
        "b2": Key(0.999, Number(0.0, 0.999999), "of the squares; rmsprop's decay"),
        "eps": Key(1e-8, above_zero, "beside the root of the squares"),
        "weight_decay": Key(0.0, length, "decoupled; kernels only, biases do not decay"),
        "clip_norm": Key(0.0, length, "bound on the gradient's norm; 0.0: none"),
        "skip_norm": Key(0.0, length,
            "a step with a larger gradient is bad (train.skip_steps); 0.0: none"),
    },
    "train": {
        "epochs": Key(200, whole(1), "passes over the training set"),
        "batch_size": Key(100, whole(1), "examples a step, of all devices together"),
        "accumulate": Key(1, whole(1),
            "parts of a batch that are done one after the other, for their mean gradient"),
        "parallel": Key("auto", one_of("auto", "jit", "pmap", "shard"),
            "jit: one device; pmap: all; shard: all, as a mesh; auto: pmap if there are several"),
        "model_axis": Key(1, whole(1),
            "shard: devices that each hold a part of the large weights, not all of them"),
        "ema": Key(0.0, Number(0.0, 0.999999),
            "decay of the averaged weights that are evaluated, at most (1 + n) / (10 + n) at step "
            "n; 0.0: none"),
        "eval_epochs": Key(10.0, above_zero, "between validations; each is also a checkpoint"),
        "patience": Key(0, whole(0), "early stopping: validations without a better ELBO; 0: never"),
        "skip_steps": Key(0, whole(0),
            "bad (non-finite) steps in a row that are skipped before the run gives up"),
        "init_from": Key("", text, 'a run whose weights training starts from; "": random ones'),
        "freeze": Key((), texts,
            "parts of the model whose weights stay as they are, such as ('encoder',)"),
        "wandb": Key("", text, 'Weights & Biases project; "": none'),
        "picture_epochs": Key(0.0, length,
            "between pictures for TensorBoard and W&B, at validations: reconstructions and samples "
            "of images; 0.0: none"),
    },
    "eval": {
        "split": Key("test", one_of("validation", "test"), "that is evaluated"),
        "checkpoint": Key("best", one_of("best", "last"), "best: by validation ELBO at beta = 1"),
        "batch_size": Key(100, whole(1), "examples that a device holds at a time"),
        "iwae_samples": Key((100,), some_wholes, "one nll_iwae_K metric for each K"),
        "elbo_samples": Key(10, whole(1), "draws of z an example for elbo and distortion"),
        "metrics": Key((), some_of("vae.evaluation.groups:GROUPS"),
            "groups of metrics beside the bounds (docs/evaluation.md)", part=True),
        "figures": Key((), texts,
            "for the report: package.module:function of the trained run that gives a Matplotlib "
            "figure", part=True),
        "codes": Key(10_000, whole(2),
            "disentanglement, probes: most examples whose codes are used"),
        "samples": Key(10_000, whole(10), "samples: as many, beside as many of the split"),
        "sampler": Key("prior", text,
            "samples: what their z is drawn from (docs/models.md)",
            names="vae.evaluation.samplers:SAMPLERS"),
        "extractor": Key("", text,
            'samples: of features: module:function, pixels; "": trained here'),
        "ais_examples": Key(100, whole(1),
            "ais, bdmc, gaps: the first of the split, or drawn of the model"),
        "ais_temperatures": Key(1000, whole(1), "between the prior and the posterior"),
        "ais_chains": Key(16, whole(1), "an example"),
        "ais_leapfrogs": Key(10, whole(1), "of a transition"),
        "ais_schedule": Key("sigmoid", text,
            "of the temperatures", names="vae.estimators.ais:SCHEDULES"),
        "ais_batch_size": Key(100, whole(1), "examples that a device holds at a time"),
        "local_steps": Key(1000, whole(1),
            "gaps: of the optimisation of each example's own posterior"),
        "local_draws": Key(10, whole(1), "gaps: of z a step"),
        "active_threshold": Key(0.01, Number(0.0),
            "variance over data of a posterior mean (Burda et al. 2015)"),
        "metric": Key("elbo", text, "what a search optimises, on the validation set"),
    },
}

KEYS: dict[str, Key] = {
    f"{group}.{name}" if group else name: key
    for group, keys in GROUPS.items()
    for name, key in keys.items()
}

# Left to the data where they hold their default; `vae.automatic` settles them.
LEFT = ("data.id", "data.kind", "data.binarization", "data.standardize", "model.likelihood")

# Of the machine: they change no number of a result.
PLACE = (
    "train.parallel", "train.model_axis", "train.accumulate", "train.wandb",
    "train.picture_epochs", "data.dir",
)  # fmt: skip

# May differ between two launches of one run, because they change no weight of it.
NEUTRAL = ("eval.", *PLACE)

# Read by the host alone: no compiled program depends on them.
HOST = (
    "eval.", "train.patience", "train.parallel", "train.model_axis", "train.wandb",
    "train.picture_epochs",
    "train.init_from",
)  # fmt: skip

# Lengths of ramps, in epochs.
RAMPS = tuple(
    key for key in KEYS if key.endswith("_epochs") and key.startswith(("objective.", "optimizer."))
)


def outside(values: Mapping[str, Any]) -> dict[str, str]:
    """The parts from outside that values of dotted keys name, by key."""
    found = {}
    for key, declared in KEYS.items():
        value = values.get(key) if declared.part else None
        for each in value if isinstance(value, tuple | list) else (value,):
            if parts.is_outside(each):
                found[key if each == value else f"{key} {each}"] = each
    return found


def known(values: Mapping[str, Any]) -> dict[str, Key]:
    """KEYS, and those that the parts from outside declare that values of dotted keys name.

    Raises:
      UserError: a part cannot be imported, or declares a key that is there already.
    """
    found = dict(KEYS)
    for key, name in outside(values).items():
        for own, declared in getattr(parts.outside(name, key), "keys", {}).items():
            dotted = f"{key.partition('.')[0]}.{own}"
            if found.setdefault(dotted, declared) is not declared:
                raise UserError(f"{key}={name!r} declares the key {own!r}, which there is already")
    return found


def traced(declared: Mapping[str, Key]) -> tuple[str, ...]:
    """The real numbers that a compiled program takes as arguments: runs that differ in them share
    one."""
    real = (key for key, each in declared.items() if isinstance(each.rule, Number))
    return tuple(key for key in real if key.startswith(("objective.", "optimizer.")))


def choices(key: Key) -> list[str]:
    """The names that a key may take; none if it takes no part by its name."""
    return names(key.names) if key.names else []

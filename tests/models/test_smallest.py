"""Every part of a model at its smallest sizes: one latent, one component, one unit, one column.

No parameter of it is empty, which a checkpoint could not hold; and through the command line it
trains, resumes, evaluates, samples and reports, or is refused before it starts.
"""

import jax
import numpy as np
import pytest

from tests.fuzzing.draw import SMALL, Case
from tests.fuzzing.run import run
from tests.fuzzing.sources import Source
from tests.helpers import small_config
from vae import models, networks
from vae.checkpoint import Checkpoints
from vae.errors import UserError
from vae.models import bottlenecks
from vae.models.build import KINDS
from vae.probability import likelihoods, posteriors, priors

SMALLEST = SMALL | {
    "data.name": "files", "data.binarization": "none",
    "train.batch_size": 1, "train.parallel": "jit",
    "model.latent_size": 1, "model.upper_sizes": (1,), "model.layer_hidden": (1,),
    "model.codes": 2, "model.code_size": 1, "model.prior_components": 1, "model.flow_layers": 1,
    "model.code_levels": (2,), "model.code_depth": 1,
    "model.flow_hidden": (1,), "model.flow_bins": 2, "model.flow_columns": 1,
    "model.flow_reflections": 1, "model.mixtures": 1, "model.hidden": (1,), "model.filters": (1,),
    "model.dense": 1, "model.prior_width": 4, "model.prior_depth": 1, "eval.batch_size": 1,
}  # fmt: skip
ENDS = {"data.validation_size": 1}
CLASS = {"data.context": "labels"}  # of one class: a context of one number
POSTERIORS = {name: {"model.posterior": name} for name in posteriors.__all__}
PRIORS = {name: {"model.prior": name} for name in priors.__all__}
PRIORS["conditional"] |= CLASS
POSTERIORS["von_mises_fisher"] |= {"model.prior": "sphere"}
PRIORS["sphere"] |= {"model.posterior": "von_mises_fisher"}
MODELS = {name: {"model.name": name} for name in KINDS}
MODELS["vqvae"] |= {"objective.name": "vq"}
MAPS = {"model.encoder": "attention_resnet", "model.decoder": "attention_resnet"}
MODELS["autoencoder_kl"] |= MAPS
NETWORKS = {
    name: {"model.encoder": name, "model.decoder": name} for name in networks.encoders.__all__
}
NETWORKS["linear"] = {"model.hidden": ()}
NETWORKS["classifier"] = {"model.classifier": "mlp", "objective.name": "m2", **CLASS}
NETWORKS["regressor"] = {"model.regressor": "mlp", "objective.name": "property_vae", **CLASS}
NETWORKS["critic"] = {"objective.name": "info_vae", "train.batch_size": 2}
REFUSED = ("von_mises_fisher", "sphere")  # of one latent there is no sphere
BOTTLENECKS = {
    name: {"model.name": "autoencoder_kl", "model.bottleneck": name, "objective.name": "vq", **MAPS}
    for name in bottlenecks.__all__
    if name != "kl"
}
PARTS = BOTTLENECKS | POSTERIORS | PRIORS | MODELS | NETWORKS
LIKELIHOODS = {name: {"model.likelihood": name} for name in likelihoods.__all__}


def source(settings):
    """Ten examples: tokens and counts of one column, images of one pixel otherwise."""
    likelihood = getattr(likelihoods, settings.get("model.likelihood", "bernoulli"))
    kind = "tokens" if "gru" in settings.values() else likelihood.kinds[0]
    shape = (1,) if kind in ("tokens", "counts") or likelihood.vectors else (1, 1)
    rng = np.random.default_rng(0)
    values = {
        "binary": rng.integers(0, 2, (10, *shape)),
        "grey": rng.integers(0, 256, (10, *shape)),
        "real": rng.normal(size=(10, *shape)),
        "counts": rng.poisson(2.0, (10, *shape)),
        "tokens": rng.integers(0, 2, (10, *shape)),
        "columns": rng.normal(size=(10, *shape)),
    }[kind]
    arrays = {"x": values, "labels": np.zeros(10, int)}
    return Source(kind, shape, "npz", arrays, {"data.kind": kind}, 8, 1)


def config_of(settings):
    return small_config(**{key.replace(".", "__"): v for key, v in settings.items()})


def parameters(settings):
    """Shapes of all parameters of the model of one pixel, or of one token."""
    tokens = "gru" in settings.values()
    config = config_of(SMALLEST | settings)
    if tokens:
        config.model.likelihood = "categorical_tokens"
    shape = (1,) if tokens else (1, 1, 1)
    model = models.from_config(
        config.model, shape, levels=2, context_size=int("data.context" in settings)
    )
    return jax.eval_shape(lambda: models.initialise(model, shape))


@pytest.mark.parametrize("name", PARTS)
def test_no_parameter_is_empty(name):
    if name in REFUSED:
        with pytest.raises(UserError, match="set model.latent_size above 1"):
            parameters(PARTS[name])
        return
    leaves = jax.tree.leaves(parameters(PARTS[name]))
    assert leaves and all(leaf.size for leaf in leaves)


def test_a_full_covariance_of_one_latent_is_saved_and_restored(tmp_path):
    shapes = parameters(POSTERIORS["full_covariance"])
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, params, -1.0)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        step, restored = checkpoints.restore(shapes)
    assert step == 1 and jax.tree.all(jax.tree.map(np.array_equal, restored, params))


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS | LIKELIHOODS)
def test_the_smallest_goes_from_data_to_report(name, tmp_path):
    settings = SMALLEST | ENDS | (PARTS | LIKELIHOODS)[name]
    if "gru" in settings.values():
        settings["model.likelihood"] = "categorical_tokens"
    data = source(settings)
    settings |= data.settings
    texts = {key: v if isinstance(v, str) else repr(v) for key, v in settings.items()}
    found = run(Case(data, texts, True, (), ("--num=1",), ()), tmp_path)
    expected = ("refused", "train") if name in REFUSED else ("trained", None)
    assert (found["outcome"], found.get("verb")) == expected, found["message"]

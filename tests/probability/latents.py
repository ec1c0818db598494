"""Small models of two latents by every posterior and prior, with random weights.

What is slow here is to compile: what tests ask of all models is one program, compiled in haste.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from tests.helpers import small_config
from tests.margins import fixed_rng
from vae import models
from vae.probability import noise, posteriors, priors

PIXELS = 6
QUICK = {"xla_backend_optimization_level": 0}
OTHER = ("conditional", "normal", "sphere")  # priors with tests of their own
PAIRS = [
    *((name, "normal") for name in posteriors.__all__ if name != "von_mises_fisher"),
    *(("diagonal", name) for name in priors.__all__ if name not in OTHER),
    ("full_covariance", "vamp"),
    ("iaf", "realnvp"),
]


MODELS = {  # of two layers of one latent each
    "chain": {"model__latent_size": 1, "model__upper_sizes": (1,)},
    "ladder": {"model__latent_size": 1, "model__upper_sizes": (1,)},
    "top_down": {"model__latent_size": 1, "model__filters": (3,), "model__groups": (2,)},
}


def settings(posterior, prior, **changes):
    """The config of a posterior and a prior; or of one of MODELS, in the posterior's place."""
    if posterior in MODELS:
        changes |= {"model__layer_hidden": (4,), **MODELS[posterior], "model__name": posterior}
        posterior = "diagonal"
    small = {
        "model__hidden": (4,),
        "model__latent_size": 2,
        "model__prior_components": 3,
        "model__flow_layers": 3,
        "model__flow_hidden": (5,),
        "model__flow_bins": 4,
    }
    return small_config(**small | changes, model__posterior=posterior, model__prior=prior)


def shape_of(posterior):
    """Of an example: a vector, or where there have to be maps, an image."""
    return (2, 2, 1) if posterior == "top_down" else (PIXELS,)


@functools.cache
def bound(posterior="diagonal", prior="normal", scale=0.5, latent_size=2):
    """A model of vectors of bits, bound to random weights."""
    config = settings(posterior, prior, model__latent_size=latent_size)
    shape = shape_of(posterior)
    model = models.from_config(config.model, shape)
    shapes = jax.eval_shape(lambda: models.initialise(model, shape))
    rng = fixed_rng(1)
    params = jax.tree.map(lambda p: scale * rng.standard_normal(p.shape, np.float32), shapes)
    return model.bind({"params": params})


def bits(count, posterior="diagonal"):
    shape = shape_of(posterior)
    return fixed_rng(2).integers(0, 2, (count, *shape)).astype(np.float32)


def keys_for(count, seed=0):
    return noise.example_keys(jax.random.key(seed), jnp.arange(count))


def together(functions):
    """The results of several functions, compiled as one; arrays in float64."""
    program = jax.jit(lambda: {k: f() for k, f in functions.items()}, compiler_options=QUICK)
    return jax.tree.map(lambda a: np.asarray(a, np.float64), jax.device_get(program()))


def grid(reach=10.0, count=251):
    """Points [count^2, 2] of the plane, and the area of each."""
    line = np.linspace(-reach, reach, count, dtype=np.float32)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    return points, float((line[1] - line[0]) ** 2)

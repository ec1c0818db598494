"""A small model, and objectives of importance weights on it, with their gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from tests.margins import fixed_rng
from vae import models, objectives
from vae.configs import base
from vae.probability import noise

SHAPE = (4, 4, 1)
K, M = 4, 3
STATIC = {
    "iwae": {"samples": K},
    "miwae": {"samples": K, "batches": M},
    "ciwae": {"samples": K},
    "piwae": {"samples": K, "batches": M},
    "stl": {"samples": K},
    "dreg": {"samples": K},
    "renyi": {"samples": K},
}
HYPER = {"mix": np.float32(0.3), "alpha": np.float32(0.4)}


@functools.cache
def build(latent_size=2):
    """A small model with random weights."""
    config = base.get_config().model
    config.hidden, config.latent_size = (8,), latent_size
    config.likelihood = "bernoulli"
    model = models.from_config(config, SHAPE)
    params = jax.eval_shape(lambda: models.initialise(model, SHAPE))
    rng = fixed_rng(0)
    return model, jax.tree.map(lambda p: jnp.float32(rng.normal(size=p.shape) * 0.5), params)


def keys_for(count, seed=0):
    return noise.example_keys(jax.random.key(seed), jnp.arange(count))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def compiled(name, static, model, params, x, keys, hyper, latents):
    def loss(params):
        bound = model.bind(models.variables(model, params, latents))
        terms = getattr(objectives, name)(bound, x, keys, hyper, **dict(static))
        return terms["loss"].mean(), terms

    gradient, terms = jax.grad(loss, has_aux=True)(params)
    return terms, gradient


def evaluate(name, model, params, x, keys, hyper=HYPER, latents=None, **static):
    """The objective's terms, and the gradient of its mean loss."""
    static = tuple((STATIC[name] | static).items())
    return compiled(name, static, model, params, x, keys, hyper, latents)


def terms(*args, **options):
    return evaluate(*args, **options)[0]


def gradient(*args, **options):
    return evaluate(*args, **options)[1]


def assert_close(left, right, rtol=1e-5, atol=1e-6):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def inference(params):
    return {name: params[name] for name in params if name in ("encoder", "posterior")}


def generative(params):
    return {name: params[name] for name in params if name not in ("encoder", "posterior")}


@functools.partial(jax.jit, static_argnums=(0, 4))
def _log_weights(model, params, x, keys, samples):
    bound = model.bind({"params": params})
    q = bound.encode(x)
    z = q.sample(noise.fold(keys, 1), 0, samples)
    return bound.log_likelihood(bound.decode(z), x) + model.prior.log_prob(z) - q.log_prob(z)


def log_weights(model, params, x, keys, samples):
    """log w, written out a second time."""
    return np.asarray(_log_weights(model, params, x, keys, samples), np.float64)


@functools.partial(jax.jit, static_argnums=0)
def elbo(model, params, x, keys):
    """The terms of the ELBO of one sample."""
    return objectives.elbo(model.bind({"params": params}), x, keys, {"beta": 1.0})


def log_mean_exp(log_w, axis=0):
    return logsumexp(log_w, axis=axis) - np.log(log_w.shape[axis])

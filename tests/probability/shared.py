"""What tests of several likelihoods share. To compile is what is slow here: all else is numpy."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.margins import mean_is, within
from vae.choices import build
from vae.columns import Column
from vae.probability import likelihoods

COLUMNS = (Column(), Column("log_normal"), Column("bernoulli"), Column("poisson"),
           Column("ordinal", ("a", "b", "c")), Column("categorical", ("a", "b", "c")))  # fmt: skip
SETTINGS = {"levels": 9, "mixtures": 2, "sigma": 0.5, "columns": COLUMNS}


def example(name, **settings):
    """The likelihood of that name, with few levels unless `settings` say otherwise."""
    return build(likelihoods, name, "model.likelihood", SETTINGS | settings)


def with_scalars(likelihood, theta):
    """theta [..., channels] as the model hands it on: with the learned numbers as more channels."""
    return np.asarray(likelihood.joined(theta, likelihood.initial_scalars()))


def log_probs(likelihood, theta, values):
    """log p of every value [X] under each of the one-pixel parameters theta [T, channels]: float64
    [X, T], computed in float32."""
    theta = np.asarray(theta, np.float32)[:, None, None]
    x = np.asarray(values, np.float32)[:, None, None, None, None]

    @jax.jit
    def every(theta, x):
        return jax.lax.map(lambda value: likelihood.log_prob(theta, value), x, batch_size=64)

    x = np.broadcast_to(x, (len(x), len(theta), 1, 1, 1))
    return np.asarray(every(theta, x), np.float64)


def values_and_slopes(likelihood, theta, values):
    """log p of each value under theta [T, channels], and its gradients: [X, T],
    [X, T, channels]."""
    theta = np.asarray(theta, np.float32)[:, None, None]

    def one(theta, value):
        return likelihood.log_prob(theta, jnp.full((len(theta), 1, 1, 1), value)).sum()

    log_p = log_probs(likelihood, theta[:, 0, 0], values)
    slopes = jax.jit(jax.vmap(jax.grad(one), (None, 0)))(theta, np.asarray(values, np.float32))
    return log_p, np.asarray(slopes)[:, :, 0, 0]


def draws(likelihood, theta, count, seed=0):
    """Independent draws for theta [H, W, channels]: [count, H, W, C]."""
    keys = jax.random.split(jax.random.key(seed), count)
    return np.asarray(jax.jit(jax.vmap(likelihood.sample, (0, None)))(keys, jnp.asarray(theta)))


def mean(likelihood, theta):
    return np.asarray(jax.jit(likelihood.mean)(jnp.asarray(theta, jnp.float32)))


def same_moments(draws, mean, variance):
    """Whether draws [N, ...] have these moments, to five standard errors."""
    within(draws.mean(0), mean, np.sqrt(variance / len(draws)) + 1e-9)
    mean_is(np.square(np.asarray(draws, np.float64) - mean), variance, 1e-9)


def same_shares(numbers, probabilities):
    """Whether whole numbers [N, ...] come as often as probabilities [L, ...] say."""
    found = (numbers[None] == np.arange(len(probabilities)).reshape(-1, *[1] * numbers.ndim))
    error = np.sqrt(probabilities * (1 - probabilities) / len(numbers)) + 0.4 / len(numbers)
    within(found.mean(1), probabilities, error)

"""Expected losses against quadrature in a one-dimensional latent, with a decoder that bends."""

import functools

import jax
import numpy as np
import pytest

from tests.margins import below, mean_is
from tests.objectives.shared import bits, chosen, hyper, keys_for, model_and_params

GRID = np.linspace(-9.0, 9.0, 1201)
DRAWS = 20_000


@functools.cache
def integrand():
    """The bound model, one x, and on the grid log w and the weight of each point under q."""
    model, params = model_and_params(1)
    bound, x = model.bind({"params": params}), bits(1)
    z = GRID[:, None, None].astype(np.float32)

    @jax.jit
    def parts():
        log_p = bound.log_likelihood(bound.decode(z), x) + model.prior.log_prob(z)
        return bound.encode(x).log_prob(z), log_p

    log_q, log_p = parts()
    log_q = np.asarray(log_q, np.float64)[:, 0]
    log_w = np.asarray(log_p, np.float64)[:, 0] - log_q
    return bound, x, log_w, np.exp(log_q) * (GRID[1] - GRID[0])


def expected(name):
    """The mean of the loss; of two draws for the objectives of several."""
    _, _, log_w, weight = integrand()
    if name == "elbo":
        return -weight @ log_w
    if name == "piwae":
        return -weight_of_four(log_w, weight)
    if name == "ciwae":
        return 0.3 * expected("elbo") + 0.7 * expected("iwae")
    return -of_two(0.4 if name == "renyi" else 1.0)


@functools.cache
def of_two(power):
    """E 1/s log mean of two w^s, s = `power`."""
    _, _, log_w, weight = integrand()
    pair = np.logaddexp(power * log_w[:, None], power * log_w) - np.log(2)  # [G, G]
    return weight @ (pair / power) @ weight


def weight_of_four(log_w, weight, bins=4000):
    """E log mean of four w, by the distribution of the mean of two on a grid."""
    pair = np.logaddexp(log_w[:, None], log_w) - np.log(2)
    both = weight[:, None] * weight
    edges = np.linspace(pair[both > 1e-15].min(), pair.max() + 1e-9, bins + 1)
    mass, _ = np.histogram(pair, edges, weights=both)
    centre = 0.5 * (edges[1:] + edges[:-1])
    at = mass > 1e-12
    mean = np.logaddexp(centre[at][:, None], centre[at]) - np.log(2)
    return mass[at] @ mean @ mass[at]


def test_the_grid_is_fine_enough():
    bound, x, log_w, weight = integrand()
    np.testing.assert_allclose(weight.sum(), 1.0, rtol=1e-6)
    # log p(x) over all 64 values of x sums to 1.
    every = np.array(np.meshgrid(*[[0.0, 1.0]] * x.shape[1])).reshape(x.shape[1], -1).T
    z = GRID[:, None, None].astype(np.float32)

    @jax.jit
    def log_p():
        theta = jax.numpy.broadcast_to(bound.decode(z), (len(GRID), len(every), x.shape[1], 1))
        return bound.log_likelihood(theta, every.astype(np.float32))

    log_p = np.asarray(log_p(), np.float64)
    prior = np.exp(-0.5 * GRID**2) / np.sqrt(2 * np.pi) * (GRID[1] - GRID[0])
    np.testing.assert_allclose((prior @ np.exp(log_p)).sum(), 1.0, rtol=1e-5)
    assert expected("elbo") > expected("iwae") > -np.log(np.exp(log_w) @ weight)


@pytest.mark.parametrize(
    "name", ["elbo", "iwae", "miwae", "ciwae", "piwae", "stl", "dreg", "renyi"]
)
def test_expected_losses_are_quadrature_in_one_latent(name):
    bound, x, _, _ = integrand()
    objective = chosen(name, objective__samples=2, objective__batches=2)
    values = hyper(beta=1.0, mix=0.3, alpha=0.6)
    many = np.repeat(x, DRAWS, axis=0)
    loss = jax.jit(lambda x, keys: objective(bound, x, keys, values)["loss"])(many, keys_for(DRAWS))
    loss = np.asarray(loss, np.float64)
    mean_is(loss, expected(name))
    below(loss.std() / np.sqrt(DRAWS), 0.01)

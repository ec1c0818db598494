"""Laplace against numpyro; the continuous Bernoulli, which it lacks, against float64 quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from tests.probability.shared import (
    draws,
    example,
    log_probs,
    mean,
    same_moments,
    values_and_slopes,
    with_scalars,
)
from vae.probability import likelihoods

LOGITS = np.array(
    [-200, -50, -8, -1.001, -0.999, -0.3, -1e-3, 0, 1e-7, 0.2, 0.9999, 1.0001, 3, 90, 200]
)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)
NODES, WEIGHTS = 0.5 * NODES + 0.5, 0.5 * WEIGHTS  # on [0, 1]


def tilted(power):
    """E[x^power] under the continuous Bernoulli of each of LOGITS, in float64."""
    density = np.exp(LOGITS * (NODES[:, None] - (LOGITS > 0)))
    return (density * (WEIGHTS * NODES**power)[:, None]).sum(0) / (
        density * WEIGHTS[:, None]
    ).sum(0)


@pytest.mark.parametrize("sigma", [1e-3, 0.3, 30.0])
def test_laplace_is_numpyros(sigma):
    likelihood, rng = likelihoods.laplace(sigma), np.random.default_rng(0)
    x = rng.normal(size=(4, 3, 2, 1)).astype(np.float32)
    mu = rng.normal(size=(5, 4, 3, 2, 1)).astype(np.float32)

    @jax.jit
    def both(theta):
        expected = dist.Laplace(theta[..., :1], sigma / 2**0.5).log_prob(x)
        return likelihood.log_prob(theta, x), expected.sum((-1, -2, -3))

    np.testing.assert_allclose(*both(with_scalars(likelihood, mu)), rtol=1e-5)


def test_laplace_optimal_scale_is_the_mean_absolute_error():
    rng = np.random.default_rng(1)
    x, mu = (rng.normal(size=(4, 3, 2, 1)).astype(np.float32) for _ in range(2))

    @jax.jit
    @jax.vmap
    def total(log_b):
        theta = jnp.concatenate([mu, jnp.full_like(mu, log_b)], -1)
        return likelihoods.laplace().log_prob(theta, x).sum()

    best = np.log(np.abs(x - mu).mean())
    left, middle, right = total(jnp.array([best - 0.05, best, best + 0.05]))
    assert middle > max(left, right)
    np.testing.assert_allclose((right - left) / 0.1, 0.0, atol=0.02)


def test_continuous_bernoulli_is_the_float64_density_with_its_slope():
    """On both sides of where the expansion about lambda = 1/2 ends, and at logits of +-200."""
    x = np.array([0.0, 0.1, 0.5, 1.0])
    got, slope = values_and_slopes(likelihoods.continuous_bernoulli(), LOGITS[:, None], x)
    constant = np.log((np.exp(LOGITS * (NODES[:, None] - 1.0)) * WEIGHTS[:, None]).sum(0))
    expected = LOGITS * (x[:, None] - 1.0) - constant
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(slope[..., 0], x[:, None] - tilted(1), atol=2e-6)


def test_continuous_bernoulli_integrates_to_one_and_has_its_mean():
    likelihood = likelihoods.continuous_bernoulli()
    density = np.exp(log_probs(likelihood, LOGITS[:, None], NODES))
    np.testing.assert_allclose((density * WEIGHTS[:, None]).sum(0), 1.0, rtol=2e-5)
    np.testing.assert_allclose(mean(likelihood, LOGITS), tilted(1), rtol=2e-6)


def test_continuous_bernoulli_samples_have_the_moments_of_the_density():
    theta = LOGITS.reshape(1, -1, 1).astype(np.float32)
    drawn = draws(likelihoods.continuous_bernoulli(), theta, 40_000)[:, 0, :, 0]
    assert drawn.min() >= 0.0 and drawn.max() <= 1.0
    same_moments(drawn, tilted(1), tilted(2) - tilted(1) ** 2)


def test_laplace_samples_have_the_moments_of_the_density():
    likelihood = example("laplace")
    theta = with_scalars(likelihood, np.array([-40.0, -3.0, 0.0, 12.0])[None, :, None])
    drawn = draws(likelihood, np.float32(theta), 40_000)[:, 0, :, 0]
    same_moments(drawn, theta[0, :, 0], np.full(4, 0.25))

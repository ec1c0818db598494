"""Categorical likelihoods against numpyro, and their draws against their probabilities."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

from tests.probability.shared import draws, log_probs, mean, same_shares, values_and_slopes
from vae.probability import likelihoods


def test_categorical_is_numpyros():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 4, 3, 2, 2, 7)).astype(np.float32) * 3
    level = rng.integers(0, 7, (4, 3, 2, 2))

    @jax.jit
    def both(logits):
        expected = dist.Categorical(logits=logits).log_prob(level).sum((-1, -2, -3))
        x = (level / 6).astype(np.float32)
        return likelihoods.categorical(7).log_prob(logits.reshape(5, 4, 3, 2, 14), x), expected

    got, expected = both(logits)
    assert got.shape == (5, 4)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_categorical_tokens_are_numpyros():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(5, 4, 6, 11)).astype(np.float32) * 3
    ids = rng.integers(0, 11, (4, 6, 1))

    @jax.jit
    def both(logits):
        expected = dist.Categorical(logits=logits).log_prob(ids[..., 0]).sum(-1)
        return likelihoods.categorical_tokens(11).log_prob(logits, ids.astype(np.float32)), expected

    np.testing.assert_allclose(*both(logits), rtol=1e-5)


def extremes(levels):
    """Logits [T, levels]: moderate, and each of -200, 0 and 200 against the others."""
    rows = np.array([np.roll(row, n) for n in (0, 1) for row in np.eye(levels)[:2] * 200.0])
    return np.concatenate([np.random.default_rng(2).normal(size=(3, levels)), rows, -rows])


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_categorical_sums_to_one_and_has_finite_slopes(levels):
    x = np.arange(levels) / (levels - 1)
    log_p, slope = values_and_slopes(likelihoods.categorical(levels), extremes(levels), x)
    np.testing.assert_allclose(np.exp(log_p).sum(0), 1.0, rtol=1e-5)
    assert np.isfinite(log_p).all() and np.isfinite(slope).all()


def test_categorical_draws_and_mean_are_those_of_its_probabilities():
    likelihood = likelihoods.categorical(levels=9)
    theta = np.random.default_rng(3).normal(size=(12, 9)).astype(np.float32) * 1.5
    x = np.arange(9) / 8
    probabilities = np.exp(log_probs(likelihood, theta, x))  # [9, 12]
    got = mean(likelihood, theta[None])[0, :, 0]
    np.testing.assert_allclose(got, (probabilities * x[:, None]).sum(0), rtol=1e-5)
    drawn = draws(likelihood, theta[None], 20_000)[:, 0, :, 0]
    levels = np.round(drawn * 8)
    np.testing.assert_allclose(drawn, levels / 8, atol=1e-7)
    same_shares(levels, probabilities)


def test_token_draws_are_those_of_the_probabilities_and_the_mean_is_the_mode():
    likelihood = likelihoods.categorical_tokens(levels=5)
    theta = np.random.default_rng(4).normal(size=(6, 5)).astype(np.float32)
    probabilities = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
    np.testing.assert_array_equal(mean(likelihood, theta)[:, 0], probabilities.argmax(-1))
    same_shares(draws(likelihood, theta, 20_000)[..., 0], probabilities.T)


def test_output_bias_of_levels_leaves_none_impossible():
    for data_mean in (0.0, 0.3, 1.0):
        logits = likelihoods.categorical(256).output_bias(np.full((1, 1, 1), data_mean))
        assert logits.shape == (1, 1, 256) and logits.min() > -15 and logits.max() <= 0

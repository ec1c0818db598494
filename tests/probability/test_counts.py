"""Probabilities of counts against numpyro, scipy in float64, and sums over all counts."""

import itertools

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import special, stats

from tests.probability.shared import (
    draws,
    example,
    log_probs,
    mean,
    same_moments,
    same_shares,
    values_and_slopes,
)
from vae.probability import likelihoods
from vae.probability.elementwise import bounded, unbounded

BOTH = ["negative_binomial", "zero_inflated_negative_binomial"]


def negative_binomial64(x, log_mean, log_r):
    """In float64, by the logarithms of the gamma function that scipy is careful with."""
    r = np.exp(log_r)
    ways = -special.betaln(x + 1.0, r) - np.log(x + r)
    return ways - r * np.logaddexp(0, log_mean - log_r) - x * np.logaddexp(0, log_r - log_mean)


def test_multinomial_is_numpyros():
    """The coefficient included."""
    rng = np.random.default_rng(0)
    x = rng.poisson(2.0, (4, 6, 1)).astype(np.float32)
    theta = rng.normal(size=(5, 4, 6, 1)).astype(np.float32) * 3

    @jax.jit
    def both(theta):
        expected = [
            dist.Multinomial(int(one.sum()), logits=theta[:, i, :, 0]).log_prob(one[:, 0])
            for i, one in enumerate(x)
        ]
        return likelihoods.multinomial().log_prob(theta, x), jax.numpy.stack(expected, -1)

    np.testing.assert_allclose(*both(theta), rtol=1e-5)


def test_multinomial_sums_to_one_over_all_counts_of_a_total():
    log_prob = jax.jit(likelihoods.multinomial().log_prob)
    for total in (0, 1, 4):
        counts = [c for c in itertools.product(range(5), repeat=3) if sum(c) == total]
        x = np.array(counts, np.float32)[:, :, None]
        for theta in ([0.3, -1.0, 2.0], [200.0, 0.0, -200.0]):
            theta = np.tile(np.array(theta, np.float32)[:, None], (len(x), 1, 1))
            np.testing.assert_allclose(np.exp(log_prob(theta, x)).sum(), 1.0, rtol=1e-5)


def test_multinomial_keeps_its_precision_at_a_million_draws():
    x = np.array([700_000, 200_000, 99_990, 10, 0])
    theta = np.log(np.array([0.7, 0.2, 0.1, 1e-5, 1e-9]))
    expected = stats.multinomial(x.sum(), np.exp(theta) / np.exp(theta).sum()).logpmf(x)
    got = jax.jit(likelihoods.multinomial().log_prob)(
        np.float32(theta)[None, :, None], np.float32(x)[None, :, None]
    )
    np.testing.assert_allclose(got[0], expected, atol=0.1)  # of logarithms to 1e6 times 1e-7


def test_multinomial_draws_one():
    likelihood, theta = likelihoods.multinomial(), np.float32([[0.5], [-1.0], [1.0], [0.0]])
    drawn = draws(likelihood, theta, 20_000)[..., 0]
    assert drawn.shape == (20_000, 4) and (drawn.sum(1) == 1).all()
    shares = mean(likelihood, theta)[:, 0]
    np.testing.assert_allclose(shares, special.softmax(theta[:, 0]), rtol=1e-6)
    same_shares(drawn.argmax(1), shares)


@pytest.mark.parametrize("name", BOTH)
def test_negative_binomials_are_numpyros(name):
    likelihood, rng = example(name), np.random.default_rng(0)
    x = rng.poisson(3.0, (4, 3, 1)).astype(np.float32)
    x[:, 0] = 0.0
    theta = rng.normal(size=(5, 4, 3, likelihood.channels(1))).astype(np.float32) * 2

    @jax.jit
    def both(theta):
        mean, r = jax.numpy.exp(bounded(theta[..., :1])), jax.numpy.exp(bounded(theta[..., 1:2]))
        if name == "negative_binomial":
            expected = dist.NegativeBinomial2(mean, r)
        else:
            expected = dist.ZeroInflatedNegativeBinomial2(mean, r, gate_logits=theta[..., 2:])
        return likelihood.log_prob(theta, x), expected.log_prob(x).sum((-1, -2))

    np.testing.assert_allclose(*both(theta), rtol=1e-4)


def test_negative_binomial_keeps_its_precision_at_extreme_dispersions():
    """float32 against float64: nearly a Poisson at large r, nearly all zeros at small r."""
    x = np.array([0.0, 1.0, 7.0, 300.0, 1e5, 1e6])[:, None]
    log_mean, log_r = np.array(list(itertools.product((-8, 0, 5, 11), (-9, 0, 5, 14)))).T
    theta = unbounded(np.stack([log_mean, log_r], -1))
    got = log_probs(likelihoods.negative_binomial(), theta, x[:, 0])
    expected = negative_binomial64(x, log_mean, log_r)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-3)
    scipys = stats.nbinom(np.exp(log_r), 1 / (1 + np.exp(log_mean - log_r))).logpmf(x[:4])
    few = np.broadcast_to((np.abs(log_r) < 6) & (np.abs(log_mean) < 6), scipys.shape)
    np.testing.assert_allclose(expected[:4][few], scipys[few], rtol=1e-6)


@pytest.mark.parametrize("name", BOTH)
def test_negative_binomials_sum_to_one_over_all_counts(name):
    likelihood = example(name)
    cases = itertools.product((-200.0, -3.0, 0.0, 3.0), (-1.0, 1.0, 200.0), (-200.0, 0.0, 200.0))
    theta = np.array(list(cases))[:, : likelihood.channels(1)]
    total = np.exp(log_probs(likelihood, theta, np.arange(2048.0))).sum(0)
    np.testing.assert_allclose(total, 1.0, atol=2e-5)


@pytest.mark.parametrize("name", BOTH)
def test_count_gradients_are_finite_at_extreme_outputs(name):
    likelihood = example(name)
    theta = np.array(list(itertools.product((-200.0, 0.0, 200.0), repeat=likelihood.channels(1))))
    log_p, slope = values_and_slopes(likelihood, theta, [0.0, 1.0, 1e5])
    assert np.isfinite(log_p).all() and np.isfinite(slope).all()


def test_negative_binomial_gradient_is_the_float64_slope():
    x = np.array([0.0, 2.0, 40.0, 3000.0])
    theta = np.array([[0.5, -1.0], [2.0, 3.0], [1.0, 6.0], [8.0, 9.0]])
    _, slope = values_and_slopes(likelihoods.negative_binomial(), theta, x)
    for column in (0, 1):
        step = 1e-4 * np.eye(2)[column]
        high, low = (
            negative_binomial64(x[:, None], *(15 * np.tanh((theta + s) / 15)).T)
            for s in (step, -step)
        )
        expected = (high - low) / 2e-4
        np.testing.assert_allclose(slope[..., column], expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("gate", [None, -0.5])
def test_count_samples_have_the_mean_and_variance(gate):
    log_mean, log_r = np.array([-1.0, 0.5, 3.0]), np.array([2.0, -0.5, 1.0])
    parts = [unbounded(log_mean), unbounded(log_r)] + ([np.full(3, gate)] if gate else [])
    theta = np.stack(parts, -1).astype(np.float32)
    likelihood = example(BOTH[1] if gate else BOTH[0])
    m, r = np.exp(log_mean), np.exp(log_r)
    there = 1 / (1 + np.exp(gate)) if gate else 1.0
    expected = there * m
    np.testing.assert_allclose(mean(likelihood, theta)[:, 0], expected, rtol=1e-5)
    variance = there * (m + m**2 / r + m**2) - expected**2
    same_moments(draws(likelihood, theta, 20_000, seed=3)[..., 0], expected, variance)

"""Probabilities of grey levels: they sum to one, and are those of plain float64 loops."""

import itertools

import jax
import numpy as np
import pytest

from tests.probability.shared import draws, example, log_probs, mean, same_shares, values_and_slopes
from vae.probability import likelihoods
from vae.probability.elementwise import unbounded

LEVELS = (2, 4, 16, 17, 256)
MEANS = (-200.0, -1.0, 0.0, 0.3, 0.5, 1.0, 1.002, 2.0, 200.0)
SCALES = (1e-4, 1e-3, 0.01, 0.1, 1.0, 30.0, 1e3)


def over_levels(likelihood, theta):
    """log p of every level under each of the one-pixel parameters theta [T, channels]: [L, T]."""
    return log_probs(likelihood, theta, np.arange(likelihood.levels) / likelihood.top)


def every_logistic():
    return np.array([(m, unbounded(np.log(s))) for m in MEANS for s in SCALES])


def log_logistic_bins(levels, mean, scale):
    """log of the difference of two distribution functions, from the side with the precision."""
    edges = (np.arange(1, levels) - 0.5) / (levels - 1)
    edges = np.concatenate([[-np.inf], (edges - mean) / scale, [np.inf]])
    low, high = edges[:-1], edges[1:]
    low, high = np.where(low > 0, -high, low), np.where(low > 0, -low, high)
    upper, lower = (-np.logaddexp(0.0, -edge) for edge in (high, low))
    with np.errstate(invalid="ignore"):
        return upper + np.log1p(-np.exp(np.where(np.isinf(lower), -np.inf, lower - upper)))


@pytest.mark.parametrize("levels", LEVELS)
def test_discretised_logistic_bins_sum_to_one_at_every_depth(levels):
    """At extreme means and scales, and at those that the decoder can put out at all."""
    likelihood = likelihoods.discretized_logistic(levels)
    extreme = [(m, raw) for m in (-200.0, 0.4, 200.0) for raw in (-200.0, 200.0)]
    theta = np.concatenate([every_logistic(), extreme])
    total = np.exp(over_levels(likelihood, theta)).sum(0)
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


@pytest.mark.parametrize("levels", LEVELS)
def test_discretised_logistic_top_bin_is_open_above(levels):
    """Every bin against float64; the lowest and the highest hold all that lies beyond."""
    got = over_levels(likelihoods.discretized_logistic(levels), every_logistic())
    cases = itertools.product(MEANS, SCALES)
    expected = np.stack([log_logistic_bins(levels, m, s) for m, s in cases], -1)
    sure = np.isfinite(expected)  # float64 loses what lies thousands of scales away
    assert sure[[0, -1]].mean() > 0.8
    np.testing.assert_allclose(got[sure], expected[sure], rtol=2e-4, atol=2e-3)
    beyond = [(m, s) for m, s in itertools.product(MEANS, SCALES)].index((2.0, 1e-4))
    assert np.argmax(got[:, beyond]) == levels - 1 and got[-1, beyond] == 0.0


@pytest.mark.parametrize("name", ["discretized_logistic", "discretized_logistic_mixture"])
def test_gradients_are_finite_at_extreme_outputs(name):
    likelihood = example(name, levels=4)
    rows = itertools.product((-200.0, 0.0, 200.0), repeat=likelihood.channels(1))
    log_p, slope = values_and_slopes(likelihood, np.array(list(rows)), [0.0, 1 / 3, 1.0])
    assert np.isfinite(log_p).all() and np.isfinite(slope).all()


@pytest.mark.parametrize("levels", LEVELS)
def test_a_mixture_of_one_pixel_sums_to_one(levels):
    likelihood = likelihoods.discretized_logistic_mixture(levels, mixtures=3)
    theta = np.random.default_rng(0).normal(size=(20, 9)) * 4
    np.testing.assert_allclose(np.exp(over_levels(likelihood, theta)).sum(0), 1.0, rtol=1e-5)


def test_a_mixture_of_one_is_the_discretised_logistic():
    theta = np.concatenate([np.ones((len(every_logistic()), 1)), every_logistic()], -1)
    got = over_levels(likelihoods.discretized_logistic_mixture(16, mixtures=1), theta)
    expected = over_levels(likelihoods.discretized_logistic(16), theta[:, 1:])
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def over_colours(likelihood, theta):
    """Every colour [levels^3, 3], and its log p under theta [T, channels]: [levels^3, T]."""
    colours = np.array(list(itertools.product(np.arange(likelihood.levels), repeat=3)))
    colours = (colours / likelihood.top).astype(np.float32)
    theta = np.asarray(theta, np.float32)[:, None, None, None]  # [T, 1, 1, 1, channels]
    log_p = jax.jit(likelihood.log_prob)(theta, colours[:, None, None])  # [T, levels^3]
    return colours, np.asarray(log_p, np.float64).T


def test_a_colour_mixture_sums_to_one_over_all_colours():
    likelihood = likelihoods.discretized_logistic_mixture(3, mixtures=4)
    theta = np.random.default_rng(2).normal(size=(6, likelihood.channels(3)))
    _, log_p = over_colours(likelihood, np.concatenate([0.5 * theta, 3 * theta, 200 * theta]))
    np.testing.assert_allclose(np.exp(log_p).sum(0), 1.0, rtol=1e-5)


def test_a_colour_mixture_couples_its_channels_as_in_pixelcnn():
    """Salimans et al. 2017, eq. 3, written out for one pixel in float64."""
    likelihood = likelihoods.discretized_logistic_mixture(5, mixtures=2)
    theta = np.random.default_rng(3).normal(size=20)
    x = np.array([0.25, 1.0, 0.5])
    logits, mu, log_s, coefficients = theta[:2], theta[2:8], theta[8:14], np.tanh(theta[14:])
    mu, coefficients = mu.reshape(3, 2), coefficients.reshape(3, 2)
    scale = np.exp(15 * np.tanh(log_s / 15)).reshape(3, 2)
    red, green = x[0] - 0.5, x[1] - 0.5
    total = 0.0
    for k in range(2):
        means = (
            mu[0, k],
            mu[1, k] + coefficients[0, k] * red,
            mu[2, k] + coefficients[1, k] * red + coefficients[2, k] * green,
        )
        bins = [log_logistic_bins(5, means[c], scale[c, k])[round(4 * x[c])] for c in range(3)]
        total += np.exp(logits[k] + sum(bins))
    expected = np.log(total) - np.log(np.exp(logits).sum())
    theta, x = (np.float32(a)[None, None, None] for a in (theta, x))
    got = jax.jit(likelihood.log_prob)(theta, x)
    np.testing.assert_allclose(got, [expected], rtol=1e-5)


@pytest.mark.parametrize("name", ["discretized_logistic", "discretized_logistic_mixture"])
def test_samples_and_mean_are_those_of_the_probabilities(name):
    likelihood = example(name)
    theta = np.random.default_rng(1).normal(size=(12, likelihood.channels(1))) * 1.5
    probabilities = np.exp(over_levels(likelihood, theta))  # [9, 12]
    theta = theta[None].astype(np.float32)  # [H, W, channels]
    expected = (probabilities * np.arange(9)[:, None] / 8).sum(0)
    np.testing.assert_allclose(mean(likelihood, theta)[0, :, 0], expected, rtol=1e-5)
    drawn = draws(likelihood, theta, 20_000, seed=4)[:, 0, :, 0]
    levels = np.round(drawn * 8)
    np.testing.assert_allclose(drawn, levels / 8, atol=1e-7)
    same_shares(levels, probabilities)


def test_colour_samples_have_the_joint_probabilities():
    likelihood = likelihoods.discretized_logistic_mixture(3, mixtures=2)
    theta = np.random.default_rng(5).normal(size=(1, likelihood.channels(3))) * 1.5
    colours, log_p = over_colours(likelihood, theta)
    probabilities = np.exp(log_p[:, 0])
    theta = theta[None].astype(np.float32)  # [1, 1, channels]
    drawn = draws(likelihood, theta, 20_000, seed=6)[:, 0, 0]
    same_shares(np.round(2 * drawn) @ [9, 3, 1], probabilities)
    got, exact = mean(likelihood, theta)[0, 0], (probabilities[:, None] * colours).sum(0)
    np.testing.assert_allclose(got[0], exact[0], rtol=1e-5)
    np.testing.assert_allclose(got, exact, atol=0.05)  # means in place of draws


def test_an_x_between_two_levels_counts_as_the_nearer():
    likelihood, x = likelihoods.discretized_logistic(17), np.array([4.0, 4.4, 4.6]) / 16
    values = log_probs(likelihood, [[0.3, -1.0]], x)
    assert values[0] == values[1] != values[2]

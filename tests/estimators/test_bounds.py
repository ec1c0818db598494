"""Bounds against the closed form: a linear decoder with Gaussian noise is probabilistic PCA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from tests.estimators import linear_gaussian
from tests.margins import above, below, near
from vae.estimators import bounds
from vae.probability import noise
from vae.scores.latents import active_units

KEY = noise.key_for(0, "evaluate")


@pytest.fixture(scope="module")
def linear():
    return linear_gaussian.linear()


@pytest.fixture(scope="module")
def log_w(linear):
    """log w of the first 7 draws that evaluation takes of each example: [7, N]."""
    model, params, x, _ = linear

    @jax.jit
    def weights(x):
        bound = model.bind({"params": params})
        q = bound.encode(x)
        z = q.sample(noise.example_keys(KEY, jnp.arange(len(x))), 0, 7)
        return bound.log_likelihood(bound.decode(z), x) + model.prior.log_prob(z) - q.log_prob(z)

    return np.asarray(weights(x), np.float64)


def test_elbo_iwae_and_log_likelihood_are_in_order(linear):
    model, params, x, log_p = linear
    elbo = bounds.elbo(model, 50)({"params": params}, x, KEY, 50)["elbo"]
    means = [elbo.mean()]
    means += [bounds.iwae(model, k)({"params": params}, x, KEY, 50).mean() for k in (2, 20, 2000)]
    for low, high in zip(means, means[1:], strict=False):
        above(high - low, 0.0)
    below(means[-1] - log_p.mean(), 1.0)  # log K forgotten would be 7.6


def test_bounds_are_tight_at_the_exact_posterior(linear):
    model, params, x, log_p = linear
    exact = linear_gaussian.with_exact_posterior(params)
    iwae = bounds.iwae(model, 3)({"params": exact}, x, KEY, 50)
    np.testing.assert_allclose(iwae, log_p, atol=2e-3)
    elbo = bounds.elbo(model, 2000)({"params": exact}, x, KEY, 50)["elbo"]
    near(elbo.mean(), log_p.mean(), 0.02)


def test_elbo_is_minus_distortion_minus_rate(linear):
    model, params, x, _ = linear
    arrays = bounds.elbo(model)({"params": params}, x, KEY, 64)
    np.testing.assert_allclose(arrays["elbo"], -arrays["distortion"] - arrays["rate"], rtol=1e-6)
    np.testing.assert_allclose(arrays["kl_per_latent"].sum(1), arrays["rate"], rtol=1e-5)


def test_iwae_of_one_draw_is_an_elbo_estimate(linear, log_w):
    model, params, x, _ = linear
    iwae = bounds.iwae(model, 1)({"params": params}, x, KEY, 50)
    np.testing.assert_allclose(iwae, log_w[0], atol=1e-3)


@pytest.mark.parametrize("chunk", [1, 3, 7, 20])
def test_iwae_counts_exactly_k_draws_whatever_the_chunk(linear, log_w, chunk):
    """k = 7 with chunks that do not divide it, and chunks larger than it."""
    model, params, x, _ = linear
    expected = logsumexp(log_w, axis=0) - np.log(7)
    got = bounds.iwae(model, 7, chunk)({"params": params}, x, KEY, 50)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("batch_size", [1, 7, 203, 1000])
def test_evaluation_does_not_depend_on_batch_size_or_devices(linear, batch_size):
    """203 examples over 4 devices: the last batch is short, and no example counts twice."""
    model, params, x, _ = linear
    assert jax.local_device_count() == 4
    reference = bounds.elbo(model)
    reference.devices, reference.compiled = 1, jax.jit(_on_one_device(model))
    expected = reference({"params": params}, x, KEY, 50)
    got = bounds.elbo(model)({"params": params}, x, KEY, batch_size)
    for name, value in expected.items():
        assert got[name].shape == value.shape and len(value) == 203
        np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-4)


def _on_one_device(model):
    function = bounds.elbo(model).function
    return lambda weights, batch, key, index: function(
        weights, batch[0], noise.example_keys(key, index)
    )


def test_active_units_count_variances_above_the_threshold():
    mean = np.random.default_rng(0).normal(size=(5000, 3)) * np.array([1.0, 0.2, 0.01])
    count, variance = active_units(mean, 0.01)
    assert count == 2
    near(variance, [1.0, 0.04, 0.0001], rel=0.15)

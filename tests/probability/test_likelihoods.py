import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vae.probability import likelihoods

X = (np.random.default_rng(0).random((4, 3, 2, 1)) < 0.5).astype(np.float32)


def test_bernoulli_is_numpyros():
    logits = jax.random.normal(jax.random.key(0), (6, 4, 3, 2, 1)) * 3
    expected = dist.Bernoulli(logits=logits).log_prob(X).sum((-1, -2, -3))
    got = likelihoods.bernoulli().log_prob(logits, X)
    assert got.shape == (6, 4)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("logit", [-200.0, -88.0, 0.0, 88.0, 200.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_bce_is_finite_at_extreme_logits(logit, label):
    x = jnp.full((1, 1, 1, 1), label)

    def log_prob(theta):
        return likelihoods.bernoulli().log_prob(theta, x).sum()

    value, slope = jax.value_and_grad(log_prob)(jnp.full((1, 1, 1, 1), logit))
    assert np.isfinite(value)
    sigmoid = 1 / (1 + np.exp(-np.float64(logit)))
    np.testing.assert_allclose(slope.squeeze(), label - sigmoid, atol=1e-6)
    np.testing.assert_allclose(value, label * logit - np.logaddexp(0, logit), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("logit", [-300.0, -20.0, 0.3, 20.0, 300.0])
def test_bernoulli_sums_to_one(logit):
    theta, ones = jnp.full((1, 1, 1, 1), logit), jnp.ones((1, 1, 1, 1))
    values = [likelihoods.bernoulli().log_prob(theta, v * ones) for v in (0.0, 1.0)]
    np.testing.assert_allclose(np.exp(np.stack(values)).sum(), 1.0, rtol=1e-6)


def test_bernoulli_output_bias_is_the_clipped_logit_of_the_mean():
    bias = likelihoods.bernoulli().output_bias(np.array([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), [0.001, 0.25, 0.999], rtol=1e-9)


def test_fixed_gaussian_keeps_its_constant():
    sigma = 0.3
    mean = jax.random.normal(jax.random.key(1), (4, 3, 2, 1))
    got = likelihoods.gaussian_fixed(sigma).log_prob(mean, X)
    expected = dist.Normal(mean, sigma).log_prob(X).sum((-1, -2, -3))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_per_pixel_gaussian_is_numpyros():
    theta = jax.random.normal(jax.random.key(2), (5, 4, 3, 2, 2))
    expected = dist.Normal(theta[..., :1], jnp.exp(0.5 * theta[..., 1:])).log_prob(X)
    got = likelihoods.gaussian_per_pixel().log_prob(theta, X)
    np.testing.assert_allclose(got, expected.sum((-1, -2, -3)), rtol=1e-5)


def test_sigma_vae_optimal_variance_is_the_mse():
    """Minimising the learned-sigma Gaussian over its log variance gives the mean squared error."""
    mean = jax.random.normal(jax.random.key(3), (4, 3, 2, 1))
    mse = jnp.mean(jnp.square(mean - X))

    def total(logvar):
        theta = jnp.concatenate([mean, jnp.full_like(mean, logvar)], -1)
        return likelihoods.gaussian_learned().log_prob(theta, X).sum()

    np.testing.assert_allclose(jax.grad(total)(jnp.log(mse)), 0.0, atol=1e-4)
    assert total(jnp.log(mse)) > total(jnp.log(mse) + 0.1)
    assert total(jnp.log(mse)) > total(jnp.log(mse) - 0.1)


@pytest.mark.parametrize("name", ["gaussian_fixed", "gaussian_per_pixel", "bernoulli"])
def test_samples_have_the_mean_and_noise_of_the_density(name):
    likelihood = getattr(likelihoods, name)()
    theta = jnp.linspace(-1, 1, likelihood.channels(1) * 2).reshape(1, 1, 2, -1)
    draws = jax.vmap(lambda k: likelihood.sample(k, theta))(
        jax.random.split(jax.random.key(4), 40_000)
    )
    mean = likelihood.mean(theta)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.02)
    variance = mean * (1 - mean)
    if name != "bernoulli":
        variance = jnp.exp(jnp.broadcast_to(likelihood.split(theta)[1], mean.shape))
    np.testing.assert_allclose(draws.var(0), variance, rtol=0.03)

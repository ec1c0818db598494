import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from vae.probability import gaussian, noise, priors
from vae.probability.distributions import Diagonal


@pytest.fixture
def q():
    rng = np.random.default_rng(0)
    return Diagonal(
        jnp.asarray(rng.normal(size=(5, 3)), jnp.float32),
        jnp.asarray(rng.normal(size=(5, 3)), jnp.float32),
    )


def test_log_prob_is_numpyros(q):
    z = jax.random.normal(jax.random.key(0), (7, 5, 3))
    expected = dist.Normal(q.mu, q.std).log_prob(z).sum(-1)
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-5)


def test_prior_log_prob_is_numpyros():
    z = jax.random.normal(jax.random.key(0), (7, 5, 3))
    expected = dist.Normal(0.0, 1.0).log_prob(z).sum(-1)
    np.testing.assert_allclose(priors.normal(3).log_prob(z), expected, rtol=1e-5)


def test_kl_is_the_closed_form(q):
    expected = dist.kl_divergence(dist.Normal(q.mu, q.std), dist.Normal(0.0, 1.0))
    np.testing.assert_allclose(priors.normal(3).kl(q), expected, rtol=1e-5)
    by_hand = 0.5 * (1.5**2 + np.exp(-0.7) - 1 + 0.7)
    np.testing.assert_allclose(gaussian.kl_standard_normal(1.5, -0.7), by_hand, rtol=1e-6)


def test_monte_carlo_kl_is_the_analytic_kl(q):
    keys = noise.example_keys(jax.random.key(1), jnp.arange(5))
    z = q.sample(keys, 0, 100_000)
    draws = np.asarray(q.log_prob(z) - priors.normal(3).log_prob(z), np.float64)
    stderr = draws.std(0) / np.sqrt(len(draws))
    error = np.abs(draws.mean(0) - np.asarray(priors.normal(3).kl(q).sum(-1)))
    assert (error < 4 * stderr).all()


def test_sampler_has_the_moments_of_the_density(q):
    keys = noise.example_keys(jax.random.key(2), jnp.arange(5))
    z = np.asarray(q.sample(keys, 0, 50_000), np.float64)
    np.testing.assert_allclose(z.mean(0), q.mu, atol=0.03)
    np.testing.assert_allclose(z.std(0), q.std, rtol=0.02)


def test_noise_of_an_example_depends_on_its_position_alone():
    key = jax.random.key(3)
    whole = noise.normal(noise.example_keys(key, jnp.arange(8)), (4,))
    part = noise.normal(noise.example_keys(key, jnp.arange(5, 8)), (4,))
    np.testing.assert_array_equal(whole[5:], part)
    assert len(np.unique(np.asarray(whole))) == 32


def test_draws_do_not_depend_on_the_chunk():
    keys = noise.example_keys(jax.random.key(4), jnp.arange(3))
    whole = noise.normals(keys, 0, 10, 2)
    np.testing.assert_array_equal(whole[6:9], noise.normals(keys, 6, 3, 2))


def test_purposes_have_different_keys():
    words = [jax.random.key_data(noise.key_for(0, purpose)) for purpose in noise.PURPOSES]
    assert len(np.unique(np.stack(words), axis=0)) == len(noise.PURPOSES)

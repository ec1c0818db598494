import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from tests.margins import mean_is, within
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
    mean_is(draws, np.asarray(priors.normal(3).kl(q).sum(-1)))


def test_sampler_has_the_moments_of_the_density(q):
    keys = noise.example_keys(jax.random.key(2), jnp.arange(5))
    z = np.asarray(q.sample(keys, 0, 50_000), np.float64)
    std = np.asarray(q.std, np.float64)
    within(z.mean(0), q.mu, std / np.sqrt(len(z)))
    within(z.std(0), std, std / np.sqrt(2 * len(z)))


def test_noise_of_an_example_depends_on_its_position_alone():
    key = jax.random.key(3)
    whole, part = (noise.example_keys(key, jnp.arange(first, 8)) for first in (0, 5))
    words, part_words = map(jax.random.key_data, (whole, part))
    np.testing.assert_array_equal(words[5:], part_words)
    whole, part = noise.normal(whole, (4,)), noise.normal(part, (4,))
    np.testing.assert_array_max_ulp(whole[5:], part, 8)  # of two shapes: two programs
    assert len(np.unique(np.asarray(whole))) == 32


def test_draws_do_not_depend_on_the_chunk():
    keys = noise.example_keys(jax.random.key(4), jnp.arange(3))
    whole = noise.normals(keys, 0, 10, 2)
    np.testing.assert_array_max_ulp(whole[6:9], noise.normals(keys, 6, 3, 2), 8)


def test_purposes_have_different_keys():
    words = [jax.random.key_data(noise.key_for(0, purpose)) for purpose in noise.PURPOSES]
    assert len(np.unique(np.stack(words), axis=0)) == len(noise.PURPOSES)


def test_every_gaussian_at_every_z_is_one_at_a_time():
    rng = np.random.default_rng(1)
    mu, logvar = (jnp.asarray(rng.normal(size=(40, 20)), jnp.float32) for _ in range(2))
    q, z = Diagonal(mu + 3.0, logvar - 2.0), jnp.asarray(3.0 + rng.normal(size=(2, 6, 20)))

    def total(log_prob, q, z):
        return jax.nn.logsumexp(log_prob(q, z), axis=-1).sum()

    @jax.jit
    def both(q, z):
        each, alone = Diagonal.log_prob_each, lambda q, z: q.log_prob(z[..., None, :])
        gradients = [jax.grad(lambda *a, f=f: total(f, *a), (0, 1))(q, z) for f in (each, alone)]
        return each(q, z), alone(q, z), gradients

    each, alone, gradients = both(q, z)
    assert each.shape == (2, 6, 40)
    np.testing.assert_allclose(each, alone, rtol=1e-5)
    for got, wanted in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-4 * float(jnp.abs(wanted).max()))

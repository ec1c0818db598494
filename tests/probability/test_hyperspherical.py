"""The von Mises-Fisher distribution against scipy's, its draws, and its KL."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from tests.margins import fixed_rng, likely, mean_is, near
from tests.probability.latents import keys_for, settings
from vae import models
from vae.errors import UserError
from vae.probability import priors
from vae.probability.hyperspherical import VonMisesFisher, log_area, log_bessel, quantile

DRAWS = 20_000
CASES = [(2, 1.0), (3, 0.5), (3, 30.0), (10, 5.0), (50, 2.0), (50, 200.0)]


@jax.jit
def known_of(q, points):
    """What the distribution says: log q of points [S, size], mean, std and KL."""
    return q.log_prob(points[:, None])[:, 0], q.mean[0], q.std[0], q.kl_uniform()[0, 0]


def of(size, kappa, count=1):
    mu = fixed_rng(size).normal(size=size)
    mu = np.tile(mu / np.linalg.norm(mu), (count, 1)).astype(np.float32)
    return VonMisesFisher(jnp.asarray(mu), jnp.full(count, np.float32(kappa)))


@pytest.mark.parametrize("order", [0.0, 0.5, 4.0, 24.0, 99.0])
def test_bessel_functions_are_scipy_s(order):
    x = np.geomspace(0.1, 1e4, 60)
    value, ratio = log_bessel(order, jnp.asarray(x, jnp.float32))
    expected = np.log(special.ive(order, x)) + x
    known = np.isfinite(expected)
    assert known.sum() > 30
    np.testing.assert_allclose(value[known], expected[known], rtol=2e-5, atol=2e-3)
    expected = special.ive(order + 1, x) / special.ive(order, x)
    np.testing.assert_allclose(ratio[known], expected[known], rtol=2e-5)


@pytest.mark.parametrize(("size", "kappa"), CASES)
def test_density_and_kl_are_the_known_values(size, kappa):
    q = of(size, kappa)
    known = stats.vonmises_fisher(np.asarray(q.mu[0], np.float64), kappa)
    points = known.rvs(100, random_state=0)
    got, _, _, kl = known_of(q, points.astype(np.float32))
    np.testing.assert_allclose(got, known.logpdf(points), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(kl, log_area(size) - known.entropy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("size", "kappa"), CASES)
def test_draws_have_the_moments_and_the_kl_of_the_density(size, kappa):
    q, prior = of(size, kappa), priors.sphere(size)
    z, log_q = jax.jit(lambda q: q.sample_and_log_prob(keys_for(1), 0, DRAWS))(q)
    z, log_q = np.asarray(z)[:, 0], np.asarray(log_q, np.float64)[:, 0]
    density, mean, std, kl = known_of(q, z)
    log_prior = np.asarray(jax.jit(prior.log_prob)(z), np.float64)
    z = np.asarray(z, np.float64)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(log_q, density, atol=2e-3)
    mean_is(z, mean, 1e-6)
    near(z.std(0), std, rel=0.06)
    along = z @ np.asarray(q.mu[0], np.float64)  # the distribution of the angle, whole
    known = stats.vonmises_fisher(np.asarray(q.mu[0], np.float64), kappa)
    theirs = known.rvs(DRAWS, random_state=1) @ np.asarray(q.mu[0], np.float64)
    likely(stats.ks_2samp(along, theirs).pvalue)
    mean_is(log_q - log_prior, float(kl), 1e-3)


@pytest.mark.parametrize(("size", "kappa"), [(2, 1.0), (3, 5.0), (20, 15.0)])
def test_the_gradient_by_kappa_is_that_of_the_angle_s_quantile(size, kappa):
    u = jnp.linspace(0.02, 0.98, 25)[:, None]
    kind = jnp.zeros(size)

    @jax.jit
    def angle(k):
        return quantile(u, k[None], kind)[:, 0]

    tangent = jax.jit(jax.jacfwd(angle))(jnp.float32(kappa))
    step = 0.02 * kappa
    numeric = (angle(jnp.float32(kappa + step)) - angle(jnp.float32(kappa - step))) / (2 * step)
    np.testing.assert_allclose(tangent, numeric, rtol=0.03, atol=2e-3)


def test_the_gradient_of_a_mean_is_that_of_its_closed_form():
    """d/dkappa E[mu . z] = d/dkappa I_m/2(kappa) / I_m/2-1(kappa)."""
    size, kappa = 5, 3.0

    def by_draws(k):
        q = VonMisesFisher(of(size, kappa).mu, k[None])
        z, _ = q.sample_and_log_prob(keys_for(1), 0, DRAWS)
        return (z * q.mu).sum(-1).mean()

    got = jax.jit(jax.grad(by_draws))(jnp.float32(kappa))
    ratio = lambda k: log_bessel(0.5 * size - 1.0, k)[1]  # noqa: E731
    near(got, jax.jit(jax.grad(ratio))(jnp.float32(kappa)), rel=0.03)


def test_a_sphere_s_draws_are_uniform():
    z = np.asarray(jax.jit(priors.sphere(3).sample)(keys_for(DRAWS)), np.float64)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1.0, rtol=1e-5)
    for axis in z.T:  # each coordinate of a uniform point of the sphere of R^3 is uniform
        likely(stats.kstest(axis, "uniform", (-1.0, 2.0)).pvalue)


@pytest.mark.parametrize(
    ("posterior", "prior", "size", "message"),
    [
        ("von_mises_fisher", "normal", 3, "not on the same space"),
        ("diagonal", "sphere", 3, "not on the same space"),
        ("von_mises_fisher", "sphere", 1, "above 1"),
    ],
)
def test_a_sphere_goes_with_nothing_else(posterior, prior, size, message):
    config = settings(posterior, prior, model__latent_size=size)
    with pytest.raises(UserError, match=message):
        models.from_config(config.model, (6,))

"""Gradient estimators over many draws: means, noise, and bounds where log p(x) is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tests.margins import above, below, fixed_rng, mean_is, near
from tests.objectives.weights import HYPER, STATIC, K, keys_for, terms
from vae import models, objectives
from vae.configs import base


class Given:
    """A bound model whose posterior is given."""

    def __init__(self, bound, q):
        self.bound, self.q = bound, q

    def __getattr__(self, name):
        return getattr(self.bound, name)

    def encode(self, x, keys=None):
        return self.q


@functools.partial(jax.jit, static_argnums=(0, 1, 3))
def head_gradients(names, samples, params, model, x, keys):
    """[draws, P] for each objective, on the same draws: the gradient by the output of the encoder's
    head, example by example, P numbers for all of x. There is a row of keys a draw."""
    repeated = jnp.tile(x, (keys.shape[0], *[1] * (x.ndim - 1)))
    bound = model.bind({"params": params})
    q = bound.encode(x)
    q = jax.tree.map(lambda leaf: jnp.tile(leaf, (keys.shape[0], 1)), q)

    def loss(q, name):
        objective = getattr(objectives, name)
        given = Given(bound, q)
        return objective(given, repeated, keys.ravel(), HYPER, samples=samples)["loss"].sum()

    def one(name):
        by_q = jax.grad(loss)(q, name)
        return jnp.concatenate([by_q.mu, by_q.logvar], axis=1).reshape(keys.shape[0], -1)

    return [one(name) for name in names]


def draw_gradients(names, model, params, x, draws, samples):
    keys = keys_for(draws * len(x), 5).reshape(draws, len(x))
    many = head_gradients(names, samples, params, model, x, keys)
    return [np.asarray(values, np.float64) for values in many]


def z_scores(samples):
    """The mean of each column in standard errors."""
    return samples.mean(0) / (samples.std(0, ddof=1) / np.sqrt(len(samples)))


def test_dreg_has_the_mean_gradient_of_iwae(parts):
    """Over 10,000 draws, the same on both sides, so that what they share cancels. Sticking the
    landing, which is biased for k > 1, fails the same test."""
    model, params, x, _ = parts
    names = ("iwae", "dreg", "stl")
    plain, doubly, landing = draw_gradients(names, model, params, x, 10_000, K)
    assert plain.shape == (10_000, 24)
    # There is a gradient to get wrong.
    above(np.log(np.abs(z_scores(plain)).max()), np.log(20.0))
    mean_is(doubly - plain, 0.0)
    above(np.abs(z_scores(landing - plain)).max(), 8.0)


def test_stl_has_the_mean_gradient_of_the_elbo(parts):
    model, params, x, _ = parts
    plain, landing = draw_gradients(("iwae", "stl"), model, params, x, 10_000, 1)
    mean_is(landing - plain, 0.0)


D, L, SIGMA = 6, 2, 0.5


@functools.cache
def linear(shift=0.0):
    """A linear-Gaussian model whose encoder is the exact posterior, up to a random `shift` of its
    weights; five examples of it, and log p(x) of each in closed form."""
    config = base.get_config().model
    config.hidden, config.latent_size = (), L
    config.likelihood, config.sigma = "gaussian_fixed", SIGMA
    model = models.from_config(config, (D,))
    rng, draws = fixed_rng(0), np.random.default_rng(1)
    basis, r = np.linalg.qr(rng.normal(size=(D, L)))
    basis = (basis * np.sign(np.diag(r))).T  # signs are LAPACK's choice: the same on every machine
    scales, b = np.array([0.9, 0.5]), rng.normal(size=D)
    w = scales[:, None] * basis  # orthogonal rows: the posterior's covariance is diagonal
    variance = 1 / (1 + (scales / SIGMA) ** 2)
    to_mean = (w.T / SIGMA**2) * variance
    kernel = np.stack([to_mean, np.zeros((D, L))], -1).reshape(D, -1)  # mu and logvar by turns
    bias = np.stack([-b @ to_mean, np.log(variance)], -1).ravel()
    kernel = kernel + shift * rng.normal(size=kernel.shape)
    bias = bias + shift * rng.normal(size=bias.shape)
    params = {
        "decoder": {"Dense_0": {"kernel": w, "bias": b}},
        "posterior": {"kernel": kernel, "bias": bias},
    }
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), params)
    density = multivariate_normal(b, w.T @ w + SIGMA**2 * np.eye(D))
    x = b + draws.normal(size=(5, L)) @ w + SIGMA * draws.normal(size=(5, D))
    return model, params, jnp.asarray(x, jnp.float32), density.logpdf(x)


def test_the_mean_does_not_fall_as_k_grows_and_is_bounded_by_log_p():
    model, params, x, log_p = linear(0.15)
    many = jnp.repeat(x, 3000, axis=0)
    means, errors = [], []
    for samples in (1, 2, 8, 64):
        loss = -terms("iwae", model, params, many, keys_for(15_000), samples=samples)["loss"]
        means.append(np.asarray(loss, np.float64).mean())
        errors.append(np.asarray(loss).reshape(5, 3000).std(1).mean() / np.sqrt(15_000))
    above(np.diff(means), -0.07)  # it rises; which x there are decides by how much
    below((means[-1] - log_p.mean()) / errors[-1], 6.0)
    above(means[-1] - log_p.mean(), -0.1)


@pytest.mark.slow
def test_bounds_are_tight_at_the_exact_posterior():
    model, params, x, log_p = linear()
    for name in STATIC:
        got = terms(name, model, params, x, keys_for(5))
        np.testing.assert_allclose(got["loss"], -log_p, atol=1e-4)


def test_stl_has_no_variance_at_the_exact_posterior():
    model, params, x, _ = linear()
    plain, landing = draw_gradients(("iwae", "stl"), model, params, x, 1000, 1)
    above(plain.std(0).min(), 0.05)
    assert landing.std(0).max() < 1e-4 and np.abs(landing).max() < 1e-3


@pytest.mark.slow
def test_signal_to_noise_of_the_encoder_falls_with_k_for_iwae_and_not_for_dreg():
    """Rainforth et al. 2018: like 1/sqrt(k) for IWAE, near the exact posterior, where k is large
    enough for it at once. Its own mean is not resolved at k = 64; that of DReG, which is the same
    (above), is."""
    model, params, x, _ = linear(0.05)
    ks = [1, 4, 16, 64]
    ratios = {"iwae": [], "dreg": []}
    for samples in ks:
        plain, doubly = draw_gradients(("iwae", "dreg"), model, params, x, 4000, samples)
        signal = np.linalg.norm(doubly.mean(0))
        for name, values in (("iwae", plain), ("dreg", doubly)):
            ratios[name].append(signal / np.sqrt(values.var(0).sum()))
        below(doubly.var(0).sum() / plain.var(0).sum(), 0.1)
    slopes = {name: np.polyfit(np.log(ks), np.log(r), 1)[0] for name, r in ratios.items()}
    near(slopes["iwae"], -0.5, 0.1)
    above(slopes["dreg"], 0.0)

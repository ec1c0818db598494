"""A linear decoder with Gaussian noise: probabilistic PCA, of which everything is known."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import multivariate_normal

from tests.margins import fixed_rng
from vae import models
from vae.configs import base

D, L, SIGMA = 6, 2, 0.5


def linear(posterior="diagonal"):
    """A linear-Gaussian model with random weights, its data, and log p(x) in closed form."""
    config = base.get_config().model
    config.hidden, config.latent_size, config.posterior = (), L, posterior
    config.likelihood, config.sigma = "gaussian_fixed", SIGMA
    model = models.from_config(config, (D,))
    shapes = jax.eval_shape(lambda: models.initialise(model, (D,)))
    weights, rng = fixed_rng(0), np.random.default_rng(0)
    params = jax.tree.map(lambda p: jnp.float32(weights.normal(size=p.shape) * 0.5), shapes)
    (w, b) = (params["decoder"]["Dense_0"][k] for k in ("kernel", "bias"))
    w, b = np.asarray(w, np.float64), np.asarray(b, np.float64)
    x = rng.multivariate_normal(b, w.T @ w + SIGMA**2 * np.eye(D), size=203)
    log_p = multivariate_normal(b, w.T @ w + SIGMA**2 * np.eye(D)).logpdf(x)
    return model, params, x.astype(np.float32), log_p


def with_exact_posterior(params):
    """Sets the encoder to the true posterior, made diagonal by an orthogonal decoder."""
    w = np.asarray(params["decoder"]["Dense_0"]["kernel"], np.float64)
    b = np.asarray(params["decoder"]["Dense_0"]["bias"], np.float64)
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    w = s[:, None] * vt  # same p(x): the prior is isotropic
    variance = 1 / (1 + s**2 / SIGMA**2)
    to_mean = (w.T / SIGMA**2) * variance
    kernel = np.stack([to_mean, np.zeros((D, L))], -1).reshape(D, -1)  # mu and logvar by turns
    bias = np.stack([-b @ to_mean, np.log(variance)], -1).ravel()
    to_float = lambda a: jnp.asarray(a, jnp.float32)  # noqa: E731
    return {
        "decoder": {"Dense_0": {"kernel": to_float(w), "bias": to_float(b)}},
        "posterior": {"kernel": to_float(kernel), "bias": to_float(bias)},
    }

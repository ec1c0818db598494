"""Likelihoods of continuous values: Gaussians, Laplace, the continuous Bernoulli."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vae.probability import gaussian
from vae.probability.elementwise import flat, solve, tilted_mean
from vae.protocols import Likelihood


@dataclasses.dataclass(frozen=True)
class _Gaussian(Likelihood):
    """Independent Gaussian pixels: what the three below share. `split` gives (mean, logvar)."""

    kinds = ("grey", "real")
    sigma: float = 1.0

    def split(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log variance [..., H, W, C]: the two halves of theta."""
        mu, logvar = jnp.split(theta, 2, axis=-1)
        return mu, logvar

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z): [..., B] nats."""
        mu, logvar = self.split(theta)
        logvar = jnp.broadcast_to(logvar, mu.shape)
        return gaussian.log_prob(flat(x, x), flat(mu, x), flat(logvar, x)).sum(-1)

    def mean(self, theta: jax.Array) -> jax.Array:
        """The Gaussians' means: [..., H, W, C]."""
        return self.split(theta)[0]

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """A Gaussian draw of every pixel: [..., H, W, C]."""
        mu, logvar = self.split(theta)
        return gaussian.sample(jax.random.normal(key, mu.shape), mu, logvar)


class gaussian_fixed(_Gaussian):  # noqa: N801  (the name is the config value)
    """Gaussian pixels of one fixed standard deviation, `model.sigma`."""

    def channels(self, data_channels: int) -> int:
        """One mean for each data channel."""
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """The data's mean [H, W, C] itself."""
        return mean

    def split(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        """theta as the mean [..., H, W, C], and the one log variance."""
        return theta, jnp.asarray(2.0 * np.log(self.sigma), theta.dtype)


class gaussian_learned(_Gaussian):  # noqa: N801
    """Gaussian pixels of one learned standard deviation, which starts at `model.sigma`.

    At the optimum sigma^2 is the mean squared error (Rybkin et al. 2021, eq. 6). The model appends
    its one log variance to theta as a last channel block, so the density is the per-pixel one.
    """

    learned_sigma = True

    def channels(self, data_channels: int) -> int:
        """One mean for each data channel."""
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """The data's mean [H, W, C] itself."""
        return mean

    def initial_scalars(self) -> np.ndarray:
        """The log variance of `sigma`: [1]."""
        return np.full(1, 2.0 * np.log(self.sigma), np.float32)


class gaussian_per_pixel(_Gaussian):  # noqa: N801
    """Gaussian pixels whose means and log variances are both decoder outputs."""

    def channels(self, data_channels: int) -> int:
        """A mean and a log variance for each data channel."""
        return 2 * data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """The data's mean [H, W, C], then the log variance of `sigma`: [H, W, 2 C]."""
        logvar = np.full_like(mean, 2.0 * np.log(self.sigma))
        return np.concatenate([mean, logvar], axis=-1)


@dataclasses.dataclass(frozen=True)
class laplace(Likelihood):  # noqa: N801
    """Laplace pixels of one learned scale b; the standard deviation, b sqrt(2), starts at
    `model.sigma`.

    At the optimum b is the mean absolute error. The model appends its one log b to theta as a last
    channel block, as it does for `gaussian_learned`.
    """

    kinds = ("grey", "real")
    sigma: float = 1.0

    def channels(self, data_channels: int) -> int:
        """One centre for each data channel."""
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """The data's mean [H, W, C] itself."""
        return mean

    def initial_scalars(self) -> np.ndarray:
        """log b for a standard deviation of `sigma`: [1]."""
        return np.full(1, np.log(self.sigma) - 0.5 * np.log(2.0), np.float32)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z): [..., B] nats."""
        mu, log_b = (flat(part, x) for part in jnp.split(theta, 2, axis=-1))
        return -(jnp.abs(flat(x, x) - mu) * jnp.exp(-log_b) + log_b + np.log(2.0)).sum(-1)

    def mean(self, theta: jax.Array) -> jax.Array:
        """The centres: [..., H, W, C]."""
        return jnp.split(theta, 2, axis=-1)[0]

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """A Laplace draw of every pixel: [..., H, W, C]."""
        mu, log_b = jnp.split(theta, 2, axis=-1)
        return mu + jnp.exp(log_b) * jax.random.laplace(key, mu.shape)


@dataclasses.dataclass(frozen=True)
class continuous_bernoulli(Likelihood):  # noqa: N801
    """Independent grey pixels in [0, 1] with p(x) proportional to exp(theta x).

    Loaiza-Ganem & Cunningham 2019, with theta the logit of their lambda: the Bernoulli's formula
    made a density by its constant. The mean is not lambda.
    """

    kinds = ("grey",)

    def channels(self, data_channels: int) -> int:
        """One theta for each data channel."""
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """The logit with the data mean, clipped to [.02, .98]: logits of -50 and 50."""
        return solve(tilted_mean, np.clip(np.asarray(mean, np.float64), 0.02, 0.98), 60.0)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z), a density: [..., B] nats."""
        theta, x = flat(theta, x), flat(x, x)
        return (theta * (x - 0.5) - _log_sinhc(theta)).sum(-1)

    def mean(self, theta: jax.Array) -> jax.Array:
        """1/2 + coth(theta / 2) / 2 - 1 / theta: their eq. 8, exact at theta = 0 too."""
        size = jnp.abs(theta)
        small, safe = size < 1.0, jnp.where(size < 1.0, 1.0, size)
        far = jnp.sign(theta) * (0.5 + 1.0 / jnp.expm1(safe) - 1.0 / safe)
        t = jnp.where(small, theta, 0.0)
        s = jnp.square(t)
        near = t * (1 / 12 - s * (1 / 720 - s * (1 / 30240 - s * (1 / 1209600 - s / 47900160))))
        return 0.5 + jnp.where(small, near, far)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """The inverse of the distribution function at a uniform draw, exact for every logit."""
        size = jnp.maximum(jnp.abs(theta), 1e-6)  # below it the density is flat to rounding
        uniform = jax.random.uniform(key, theta.shape)
        from_zero = -jnp.log1p(uniform * jnp.expm1(-size)) / size  # of the logit -size
        return jnp.clip(jnp.where(theta > 0, 1.0 - from_zero, from_zero), 0.0, 1.0)  # of rounding


def _log_sinhc(theta: jax.Array) -> jax.Array:
    """log(sinh(theta / 2) / (theta / 2)) = log of the integral of exp(theta (x - 1/2)) on [0, 1].

    Its series near 0, where lambda is near 1/2 and the closed form is 0 / 0. Its slope is the
    mean less 1/2.
    """
    size = jnp.abs(theta)
    small, safe = size < 1.0, jnp.where(size < 1.0, 1.0, size)
    far = 0.5 * safe + jnp.log(-jnp.expm1(-safe) / safe)
    s = jnp.square(jnp.where(small, theta, 0.0))
    near = s * (1 / 24 - s * (1 / 2880 - s * (1 / 181440 - s * (1 / 9676800 - s / 479001600))))
    return jnp.where(small, near, far)

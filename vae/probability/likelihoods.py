"""Likelihoods p(x|z): what the decoder's outputs are the parameters of.

A likelihood says which kinds of data it is one for, how many decoder outputs a pixel takes, and
whether it is a probability (bits per dimension are legal) or a density (they are not).
Decoder outputs are theta [..., H, W, channels(C)]; x is [B, H, W, C]; log_prob is [..., B] nats.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vae.probability import gaussian

__all__ = ["bernoulli", "gaussian_fixed", "gaussian_learned", "gaussian_per_pixel"]


def flat(values: jax.Array, x: jax.Array) -> jax.Array:
    """values [..., *event] with the event axes of x [B, *event] made one: [..., D].

    Element-wise work and sums over several axes, the last of size 1, are 10 times slower on CPUs.
    """
    return values.reshape(*values.shape[: values.ndim - x.ndim + 1], -1)


@jax.custom_jvp
def softplus(logits: jax.Array) -> jax.Array:
    """log(1 + exp(l)) without overflow. The derivative is written as the sigmoid, so value and
    gradient share one exponential: together they are the dearest element-wise work of a step."""
    return jnp.maximum(logits, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))


@softplus.defjvp
def _softplus_jvp(primals, tangents):
    (logits,), (tangent,) = primals, tangents
    decay = jnp.exp(-jnp.abs(logits))
    sigmoid = jnp.where(logits >= 0, 1.0, decay) / (1.0 + decay)
    return jnp.maximum(logits, 0.0) + jnp.log1p(decay), sigmoid * tangent


@dataclasses.dataclass(frozen=True)
class bernoulli:  # noqa: N801  (the name is the config value)
    """Independent pixels in {0, 1}; theta holds the logits."""

    kinds = ("binary",)
    discrete = True
    num_scalars = 0

    def channels(self, data_channels: int) -> int:
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Logit of the data mean, clipped to [.001, .999] (Burda et al. 2015, code)."""
        mean = np.clip(mean, 0.001, 0.999)
        return np.log(mean / (1.0 - mean))

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        theta, x = flat(theta, x), flat(x, x)
        return (x * theta - softplus(theta)).sum(-1)

    def mean(self, theta: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(theta)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        return jax.random.bernoulli(key, self.mean(theta)).astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class _Gaussian:
    """Independent Gaussian pixels: what the three below share. `split` gives (mean, logvar)."""

    kinds = ("grey", "real")
    discrete = False
    num_scalars = 0
    sigma: float = 1.0

    def split(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        mu, logvar = jnp.split(theta, 2, axis=-1)
        return mu, logvar

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        mu, logvar = self.split(theta)
        logvar = jnp.broadcast_to(logvar, mu.shape)
        return gaussian.log_prob(flat(x, x), flat(mu, x), flat(logvar, x)).sum(-1)

    def mean(self, theta: jax.Array) -> jax.Array:
        return self.split(theta)[0]

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        mu, logvar = self.split(theta)
        return gaussian.sample(jax.random.normal(key, mu.shape), mu, logvar)


class gaussian_fixed(_Gaussian):  # noqa: N801
    """Gaussian pixels of one fixed standard deviation, `model.sigma`."""

    def channels(self, data_channels: int) -> int:
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        return mean

    def split(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        return theta, jnp.asarray(2.0 * np.log(self.sigma), theta.dtype)


class gaussian_learned(_Gaussian):  # noqa: N801
    """Gaussian pixels of one learned standard deviation, which starts at `model.sigma`.

    At the optimum sigma^2 is the mean squared error (Rybkin et al. 2021, eq. 6). The model appends
    its one log variance to theta as a last channel block, so the density is the per-pixel one.
    """

    num_scalars = 1

    def channels(self, data_channels: int) -> int:
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        return mean

    def initial_scalars(self) -> np.ndarray:
        return np.full(1, 2.0 * np.log(self.sigma), np.float32)


class gaussian_per_pixel(_Gaussian):  # noqa: N801
    """Gaussian pixels whose means and log variances are both decoder outputs."""

    def channels(self, data_channels: int) -> int:
        return 2 * data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        logvar = np.full_like(mean, 2.0 * np.log(self.sigma))
        return np.concatenate([mean, logvar], axis=-1)

"""Likelihoods of values out of a finite set, one distribution a value: {0, 1}, levels, tokens."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from vae.probability.elementwise import flat, softplus, solve, tilted_mean
from vae.protocols import Likelihood


@dataclasses.dataclass(frozen=True)
class bernoulli(Likelihood):  # noqa: N801  (the name is the config value)
    """Independent pixels in {0, 1}; theta holds the logits."""

    kinds = ("binary",)
    discrete = True
    levels: ClassVar[int] = 2

    def channels(self, data_channels: int) -> int:
        """One logit for each data channel."""
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Logit of the data mean, clipped to [.001, .999] (Burda et al. 2015, code)."""
        mean = np.clip(mean, 0.001, 0.999)
        return np.log(mean / (1.0 - mean))

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z): [..., B] nats."""
        theta, x = flat(theta, x), flat(x, x)
        return (x * theta - softplus(theta)).sum(-1)

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of 0 and of 1: [..., H, W, 2]."""
        logits = theta[..., channel]
        return jnp.stack([-softplus(logits), -softplus(-logits)], axis=-1)

    def mean(self, theta: jax.Array) -> jax.Array:
        """The probability of a 1: [..., H, W, C]."""
        return jax.nn.sigmoid(theta)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """Zeros and ones [..., H, W, C]."""
        return jax.random.bernoulli(key, self.mean(theta)).astype(jnp.float32)


def _log_probability(logits: jax.Array, number: jax.Array) -> jax.Array:
    """log softmax(logits) [..., L] at whole numbers [B, ...] in 0..L-1, without that last axis.

    A sum over a mask, not a gather: its gradient is element-wise, where a scatter is slow.
    """
    chosen = number[..., None] == jnp.arange(logits.shape[-1])
    return jnp.where(chosen, logits, 0.0).sum(-1) - jax.nn.logsumexp(logits, axis=-1)


@dataclasses.dataclass(frozen=True)
class categorical(Likelihood):  # noqa: N801
    """Grey levels 0..levels-1, seen as level / (levels - 1), each with a logit of its own.

    theta [..., H, W, C * levels]: the logits of the first channel, then of the second, ... An x
    between two levels counts as the nearer.
    """

    kinds = ("grey",)
    discrete = True
    levels: int = 256

    def channels(self, data_channels: int) -> int:
        """`levels` logits for each data channel."""
        return data_channels * self.levels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Logits with the data's mean, clipped to [.001, .999]: p(level) proportional to exp(tilt
        level), which is the flattest, mixed with up to a tenth of the uniform, so that no level
        starts almost impossible."""
        mean = np.clip(np.asarray(mean, np.float64), 0.001, 0.999)
        share = np.minimum(np.minimum(mean, 1.0 - mean), 0.1)
        target = (mean - 0.5 * share) / (1.0 - share) * (self.levels - 1)

        def mean_level(tilt: np.ndarray) -> np.ndarray:  # a cut-off geometric distribution's
            return self.levels * tilted_mean(self.levels * tilt) - tilted_mean(tilt)

        logits = solve(mean_level, target, 20.0)[..., None] * np.arange(self.levels)
        tilted = np.exp(logits - logits.max(-1, keepdims=True))
        tilted *= ((1.0 - share) / tilted.sum(-1))[..., None]
        logits = np.log(tilted + share[..., None] / self.levels)  # [H, W, C, levels]
        return logits.reshape(*mean.shape[:-1], -1)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z) of the levels nearest to x: [..., B] nats."""
        level = jnp.round(x * (self.levels - 1))
        return flat(_log_probability(self._logits(theta), level), x).sum(-1)

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of each level: [..., H, W, levels]."""
        return jax.nn.log_softmax(self._logits(theta)[..., channel, :])

    def mean(self, theta: jax.Array) -> jax.Array:
        """The expected grey value in [0, 1]: [..., H, W, C]."""
        values = jnp.arange(self.levels, dtype=jnp.float32) / (self.levels - 1)
        return (jax.nn.softmax(self._logits(theta), axis=-1) * values).sum(-1)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """Grey values in [0, 1]: [..., H, W, C]."""
        level = jax.random.categorical(key, self._logits(theta))
        return level.astype(jnp.float32) / (self.levels - 1)

    def _logits(self, theta: jax.Array) -> jax.Array:
        return theta.reshape(*theta.shape[:-1], -1, self.levels)  # [..., H, W, C, levels]


@dataclasses.dataclass(frozen=True)
class categorical_tokens(Likelihood):  # noqa: N801
    """Sequences [B, D] of ids 0..levels-1, each place with its own logits: theta [..., D, levels].

    The encoder sees each id as one-hot. Ids have no mean: `mean` gives the most probable id. Bits
    per dimension are bits per token.
    """

    kinds = ("tokens",)
    discrete = True
    levels: int = 256

    def encoder_input(self, x: jax.Array) -> jax.Array:
        """One-hot: [B, D] -> [B, D, levels]."""
        return jax.nn.one_hot(x.astype(jnp.int32), self.levels, dtype=jnp.float32)

    def channels(self, data_channels: int) -> int:
        """One logit for each id."""
        return self.levels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Zeros: the mean of ids says nothing of their probabilities."""
        return np.zeros((*mean.shape[:-1], self.levels))

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z) of ids x [B, D, 1]: [..., B] nats."""
        return _log_probability(theta, x[..., 0]).sum(-1)

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of each id: [..., D, levels]."""
        return jax.nn.log_softmax(theta)

    def mean(self, theta: jax.Array) -> jax.Array:
        """The most probable id at each place: [..., D, 1]."""
        return jnp.argmax(theta, axis=-1, keepdims=True).astype(jnp.float32)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """An id for each place: [..., D, 1]."""
        return jax.random.categorical(key, theta)[..., None].astype(jnp.float32)

"""What all bottlenecks share, and the one without codes."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.probability.distributions import Diagonal

__all__ = ["kl"]


class Bottleneck(nn.Module):
    """What all share; a number of codes is of the discrete ones."""

    size: int  # D: numbers of a position's z

    discrete = True

    @property
    def width(self) -> int:
        """Raw numbers of a position that it takes."""
        return self.size

    @property
    def codes(self) -> int:
        """K: values that an index takes; 0 of a continuous one."""
        return 0

    @property
    def streams(self) -> int:
        """Indices of a position."""
        return 1

    @property
    def choices(self) -> int:
        """Codes that each index of a position has to choose from."""
        return self.codes // self.streams

    @property
    def nats(self) -> float:
        """Length of a position's code: the logarithm of its choices, for each index."""
        return self.streams * math.log(self.choices)

    def draw(self, key: jax.Array, positions: int) -> jax.Array:
        """Any indices, each as likely: [positions, streams]."""
        drawn = jax.random.randint(key, (positions, self.streams), 0, self.choices)
        return drawn + self.choices * jnp.arange(self.streams)

    def embed(self, indices: jax.Array) -> jax.Array:
        """The codes [..., D] of indices [..., streams]."""
        raise TypeError(f"{type(self).__name__} has no codes")

    def nearest(self, raw: jax.Array) -> jax.Array:
        """Indices [..., streams] of raw numbers [..., width], or of codes."""
        raise TypeError(f"{type(self).__name__} has no codes")


class kl(Bottleneck):  # noqa: N801  (the name is the config value)
    """A Gaussian of D latents a position, with mean and log variance from 2 D raw numbers;
    p(z) = N(0, I), whose weight is objective.beta (Rombach et al. 2022)."""

    discrete = False

    @property
    def width(self) -> int:
        """Mean and log variance of each latent."""
        return 2 * self.size

    def __call__(self, raw: jax.Array) -> Diagonal:
        """q(z|x), z [B, P D], of raw [B, P, 2 D]."""
        mean, spread = (a.reshape(len(raw), -1) for a in jnp.split(raw, 2, axis=-1))
        return Diagonal(mean, spread)

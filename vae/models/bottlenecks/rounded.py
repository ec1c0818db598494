"""Bottlenecks that round: their codes are a grid, and no codebook is learnt."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vae.models.bottlenecks.base import Bottleneck
from vae.models.codes import Codes, bit_entropy, pulled, still

__all__ = ["bsq", "fsq", "lfq"]


class fsq(Bottleneck):  # noqa: N801
    """Each of D numbers rounded to one of a few levels, `code_levels` [D]: no codebook to learn,
    and none to die (Mentzer et al. 2024). D is the number of levels given."""

    code_levels: tuple[int, ...] = (8, 5, 5, 5)

    @property
    def width(self) -> int:
        """One number a level."""
        return len(self.code_levels)

    @property
    def codes(self) -> int:
        """The product of the levels."""
        return math.prod(self.code_levels)

    def bounded(self, raw: jax.Array) -> jax.Array:
        """raw [..., D] between the lowest and the highest level, by tanh."""
        levels = np.asarray(self.code_levels, np.float32)
        half = (levels - 1.0) * (1.0 + 1e-3) / 2.0
        offset = np.where(levels % 2 == 0, 0.5, 0.0).astype(np.float32)
        return jnp.tanh(raw + np.arctanh(offset / half)) * half - offset

    def __call__(self, raw: jax.Array) -> Codes:
        """raw [B, P, D] rounded, in [-1, 1]."""
        scale = np.asarray(self.code_levels, np.float32) // 2
        bounded = self.bounded(raw)
        quantised = jnp.round(bounded) / scale
        through = jax.lax.stop_gradient(quantised) + still(bounded / scale)
        return Codes(raw, self._indices(quantised)[..., 0], quantised, through)

    def _indices(self, quantised: jax.Array) -> jax.Array:
        basis = np.cumprod([1, *self.code_levels[:-1]])
        half = np.asarray(self.code_levels) // 2
        digits = jnp.round(quantised * half).astype(jnp.int32) + half
        return (digits * basis).sum(-1)[..., None].astype(jnp.int32)

    def nearest(self, raw: jax.Array) -> jax.Array:
        """Indices [..., 1] of codes [..., D], as z holds them."""
        return self._indices(raw)

    def embed(self, indices: jax.Array) -> jax.Array:
        """Codes [..., D] of indices [..., 1]."""
        levels = np.asarray(self.code_levels)
        basis = np.cumprod([1, *self.code_levels[:-1]])
        digits = indices // basis % levels
        return (digits - levels // 2) / (levels // 2).astype(np.float32)


class lfq(Bottleneck):  # noqa: N801
    """The signs of D numbers: 2^D codes without a codebook (Yu et al. 2024).

    A position's soft code is by its distances from all codes, which are corners of a cube, so that
    it factorises over the bits.
    """

    @property
    def codes(self) -> int:
        """2^D."""
        return 2**self.size

    def point(self, raw: jax.Array) -> jax.Array:
        """Where raw [..., D] lies before its signs are taken."""
        return raw

    @property
    def unit(self) -> float:
        """What a bit is in z: plus or minus this."""
        return 1.0

    def __call__(self, raw: jax.Array) -> Codes:
        """The signs of raw [B, P, D]."""
        raw = self.point(raw)
        quantised = jnp.where(raw > 0, self.unit, -self.unit)
        through = jax.lax.stop_gradient(quantised) + still(raw)
        chance = jax.nn.sigmoid(4.0 * self.unit * raw * self.size)
        return Codes(
            raw, self._indices(quantised)[..., 0], quantised, through, pulled(raw, quantised),
            entropy=bit_entropy(chance).sum((-2, -1)), chances=chance.mean(1),
        )  # fmt: skip

    def _indices(self, z: jax.Array) -> jax.Array:
        basis = 2 ** np.arange(self.size)
        return ((z > 0) * basis).sum(-1)[..., None].astype(jnp.int32)

    def nearest(self, raw: jax.Array) -> jax.Array:
        """Indices [..., 1] of raw [..., D]."""
        return self._indices(raw)

    def embed(self, indices: jax.Array) -> jax.Array:
        """Codes [..., D] of indices [..., 1]."""
        bits = indices // 2 ** np.arange(self.size) % 2
        return jnp.where(bits > 0, self.unit, -self.unit)


class bsq(lfq):  # noqa: N801
    """As `lfq`, of numbers put on the unit sphere first (Zhao et al. 2024)."""

    def point(self, raw: jax.Array) -> jax.Array:
        """On the sphere: [..., D]."""
        return raw * jax.lax.rsqrt(jnp.square(raw).sum(-1, keepdims=True) + 1e-12)

    @property
    def unit(self) -> float:
        """So that a code is on the sphere too."""
        return 1.0 / math.sqrt(self.size)

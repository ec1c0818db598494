"""Bottlenecks that look codes up in a codebook: the nearest, or several that add up."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.models.bottlenecks.base import Bottleneck
from vae.models.codes import Codes, codebook, nearest, pulled, still

__all__ = ["residual", "vq"]


class vq(Bottleneck):  # noqa: N801
    """The nearest of K codes of D numbers, learnt by gradient (van den Oord et al. 2017).

    With `simvq` the codes are a linear map of fixed normal vectors, so that all move together and
    none dies (Zhu et al. 2024).
    """

    num_codes: int = 128
    rotation: bool = False
    simvq: bool = False

    def setup(self) -> None:
        """Declares the codebook, or the map of its vectors."""
        self.table_of = table(self.num_codes, self.size, self.simvq)

    @property
    def codes(self) -> int:
        """K."""
        return self.num_codes

    def __call__(self, raw: jax.Array) -> Codes:
        """The codes nearest to raw [B, P, D]."""
        codes = self.table_of()
        indices = nearest(raw, codes)
        quantised = jnp.take(codes, indices, axis=0)
        return Codes(
            raw, indices, quantised, carried(raw, quantised, self.rotation),
            pulled(raw, quantised), pulled(quantised, raw),
        )  # fmt: skip

    def nearest(self, raw: jax.Array) -> jax.Array:
        """Indices [..., 1] of raw [..., D]."""
        return nearest(raw, self.table_of())[..., None]

    def embed(self, indices: jax.Array) -> jax.Array:
        """Codes [..., D] of indices [..., 1]."""
        return jnp.take(self.table_of(), indices[..., 0], axis=0)


class residual(Bottleneck):  # noqa: N801
    """`code_depth` codebooks of K codes, each of what those before have left over (Zeghidour et al.
    2021; Lee et al. 2022)."""

    num_codes: int = 128
    code_depth: int = 2
    rotation: bool = False
    simvq: bool = False

    def setup(self) -> None:
        """Declares the codebooks."""
        self.tables = [table(self.num_codes, self.size, self.simvq) for _ in range(self.code_depth)]

    @property
    def codes(self) -> int:
        """K, of all codebooks; indices of the second begin where those of the first end."""
        return self.num_codes * self.code_depth

    @property
    def streams(self) -> int:
        """One index a codebook."""
        return self.code_depth

    def __call__(self, raw: jax.Array) -> Codes:
        """The sum of codes next to raw [B, P, D], codebook by codebook."""
        left, found = raw, []
        commitment = pull = jnp.zeros(len(raw))
        for codes in self.tables:
            indices = nearest(left, codes())
            quantised = jnp.take(codes(), indices, axis=0)
            commitment = commitment + pulled(left, quantised)
            pull = pull + pulled(quantised, left)
            found.append((indices, quantised))
            left = left - jax.lax.stop_gradient(quantised)
        whole = functools.reduce(jnp.add, [quantised for _, quantised in found])
        indices = self._numbered([indices for indices, _ in found])
        through = carried(raw, whole, self.rotation)
        return Codes(raw, indices, whole, through, commitment, pull)

    def nearest(self, raw: jax.Array) -> jax.Array:
        """Indices [..., R] of raw [..., D]."""
        found = []
        for codes in self.tables:
            found.append(nearest(raw, codes()))
            raw = raw - jnp.take(codes(), found[-1], axis=0)
        return self._numbered(found)

    def _numbered(self, found: list[jax.Array]) -> jax.Array:
        return jnp.stack(found, axis=-1) + self.num_codes * jnp.arange(self.code_depth)

    def embed(self, indices: jax.Array) -> jax.Array:
        """Sums of codes [..., D] of indices [..., R]."""
        within = indices - self.num_codes * jnp.arange(self.code_depth)
        parts = [jnp.take(c(), within[..., i], axis=0) for i, c in enumerate(self.tables)]
        return functools.reduce(jnp.add, parts)


class table(nn.Module):  # noqa: N801  (its name in the tree of parameters)
    """K codes of D numbers: learnt each by itself, or as one linear map of fixed ones."""

    codes: int
    size: int
    simvq: bool = False

    @nn.compact
    def __call__(self) -> jax.Array:
        """The codes [K, D]."""
        vectors = codebook(self.codes, self.size)()
        if not self.simvq:
            return vectors
        way = self.param("way", nn.initializers.orthogonal(), (self.size, self.size))
        return jax.lax.stop_gradient(vectors) @ way


def carried(raw: jax.Array, quantised: jax.Array, rotation: bool) -> jax.Array:
    """The codes [..., D], with a gradient to raw: as if they were equal, or as a rotation and a
    stretch of it (Fifty et al. 2024, section 4)."""
    quantised = jax.lax.stop_gradient(quantised)
    if not rotation:
        return quantised + still(raw)
    fixed = jax.lax.stop_gradient(raw)
    (a, long), (b, far) = unit(fixed), unit(quantised)
    between, _ = unit(a + b)
    turned = (
        raw
        - 2.0 * (raw * between).sum(-1, keepdims=True) * between
        + 2.0 * (raw * a).sum(-1, keepdims=True) * b
    ) * (far / long)
    return quantised + still(turned)


def unit(x: jax.Array) -> tuple[jax.Array, Any]:
    """Vectors [..., D] of length 1, and the lengths [..., 1]."""
    length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)
    return x / length, length

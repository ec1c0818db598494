"""Bottlenecks of an autoencoder with latents in space: what a position's numbers become.

Each takes the raw numbers of P positions [B, P, `width`] and gives a q(z|x) of B examples, z being
[B, P D]. A continuous one is a Gaussian; the others have a finite number of codes, and p(z) is
uniform over them, so that the rate is their length in nats: `indices` [B, P, streams], each the
number of one of `codes`. The rotation trick (Fifty et al. 2024) replaces the straight-through
gradient of those that look codes up.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vae.models.codes import Codes, codebook
from vae.probability.distributions import Diagonal

__all__ = ["bsq", "fsq", "kl", "lfq", "residual", "vq"]


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
        raise NotImplementedError

    def nearest(self, raw: jax.Array) -> jax.Array:
        """Indices [..., streams] of raw numbers [..., width], or of codes."""
        raise NotImplementedError


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

    Its penalty is the entropy of each position's soft code, which factorises over the bits, less
    the entropies of the bits' shares in the batch.
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
        # Of squared distances: each code is a corner, so a position's soft code is one of bits.
        chance = jax.nn.sigmoid(4.0 * self.unit * raw * self.size)
        each, shared = bit_entropy(chance).sum(-1), bit_entropy(chance.mean((0, 1))).sum()
        return Codes(
            raw, self._indices(quantised)[..., 0], quantised, through, pulled(raw, quantised),
            entropy=(each - shared).sum(-1),
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


def nearest(raw: jax.Array, codes: jax.Array) -> jax.Array:
    """Indices [...] of the codes [K, D] next to vectors [..., D]."""
    codes = jax.lax.stop_gradient(codes)
    products = jnp.einsum("...d,kd->...k", raw, codes, precision=jax.lax.Precision.HIGHEST)
    return jnp.argmin(jnp.square(codes).sum(-1) - 2.0 * products, axis=-1).astype(jnp.int32)


def pulled(moved: jax.Array, target: jax.Array) -> jax.Array:
    """|moved - target|^2 of each example, summed over positions and numbers; `moved` alone learns:
    [B, P, D] -> [B]."""
    return jnp.square(moved - jax.lax.stop_gradient(target)).sum((-2, -1))


def bit_entropy(chance: jax.Array) -> jax.Array:
    """Of a bit that is 1 by this chance [...], in nats."""
    chance = jnp.clip(chance, 1e-7, 1.0 - 1e-7)
    return -(chance * jnp.log(chance) + (1.0 - chance) * jnp.log1p(-chance))


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


def still(x: jax.Array) -> jax.Array:
    """Zeros, with the gradient of x: so that what they are added to stays to the last bit."""
    return x - jax.lax.stop_gradient(x)


def unit(x: jax.Array) -> tuple[jax.Array, Any]:
    """Vectors [..., D] of length 1, and the lengths [..., 1]."""
    length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)
    return x / length, length

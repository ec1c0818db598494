"""Discrete latents: q(z|x) that is a point, and a codebook."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.protocols import Distribution


class Codes(Distribution):
    """q(z|x) of a model with codes: all of its mass on one sequence of them, so log q = 0.

    Args:
      raw: what the encoder gives, [B, P, D].
      indices: of the codes, [B, P], or [B, P, R] where a position has R.
      quantised: those codes, [B, P, D].
      through: the same codes, with the gradient that goes to `raw`; by default as if they were
        equal (van den Oord et al. 2017, section 3.2).
      commitment: the encoder's distance from its codes, [B]; 0.0: none.
      pull: the codes' distance from what was quantised to them, [B], where they learn by it.
      entropy: of soft codes of bits, summed over positions and bits, [B], in nats; 0.0: no bits.
      chances: that each bit is 1, the mean over positions, [B, bits]; None: no bits.
    """

    def __init__(
        self,
        raw: jax.Array,
        indices: jax.Array,
        quantised: jax.Array,
        through: jax.Array | None = None,
        commitment: jax.Array | float = 0.0,
        pull: jax.Array | float = 0.0,
        entropy: jax.Array | float = 0.0,
        chances: jax.Array | None = None,
    ):
        self.raw, self.indices, self.quantised = raw, indices, quantised
        self.commitment, self.pull, self.entropy = commitment, pull, entropy
        self.chances = chances
        if through is None:
            through = raw + jax.lax.stop_gradient(quantised - raw)
        self.through = through

    def sample_and_log_prob(
        self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        """z [count, B, P D], whose gradient goes to `raw`, and zeros."""
        z = self.through.reshape(len(self.raw), -1)
        return jnp.broadcast_to(z, (count, *z.shape)), jnp.zeros((count, len(z)))

    @property
    def mean(self) -> jax.Array:
        """The codes as one vector: [B, L]."""
        return self.quantised.reshape(len(self.quantised), -1)

    @property
    def std(self) -> jax.Array:
        """Zeros [B, L], as q is a point."""
        return jnp.zeros_like(self.mean)


class codebook(nn.Module):  # noqa: N801  (its name in the tree of parameters)
    """K codes of D numbers, learnt by gradients."""

    codes: int
    size: int

    @nn.compact
    def __call__(self) -> jax.Array:
        """The codes [K, D]."""
        return self.param("codes", nn.initializers.normal(1.0), (self.codes, self.size))


def nearest(raw: jax.Array, codes: jax.Array) -> jax.Array:
    """Indices [...] of the codes [K, D] next to vectors [..., D]."""
    codes = jax.lax.stop_gradient(codes)
    products = jnp.einsum("...d,kd->...k", raw, codes, precision=jax.lax.Precision.HIGHEST)
    return jnp.argmin(jnp.square(codes).sum(-1) - 2.0 * products, axis=-1).astype(jnp.int32)


def pulled(moved: jax.Array, target: jax.Array) -> jax.Array:
    """|moved - target|^2 of each example, summed over positions and numbers; `moved` alone learns:
    [B, P, D] -> [B]."""
    return jnp.square(moved - jax.lax.stop_gradient(target)).sum((-2, -1))


def still(x: jax.Array) -> jax.Array:
    """Zeros, with the gradient of x: so that what they are added to stays to the last bit."""
    return x - jax.lax.stop_gradient(x)


def bit_entropy(chance: jax.Array) -> jax.Array:
    """Of a bit that is 1 by this chance [...], in nats."""
    chance = jnp.clip(chance, 1e-7, 1.0 - 1e-7)
    return -(chance * jnp.log(chance) + (1.0 - chance) * jnp.log1p(-chance))

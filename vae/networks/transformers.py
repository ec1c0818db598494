"""Transformers over a sequence of codes: logits of the code at each position."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class Transformer(nn.Module):
    """What both share: blocks of attention and two dense layers, layer norms before each (Radford
    et al. 2019). A learnt vector stands for each position, each code that is seen, and each class.
    """

    codes: int
    positions: int
    width: int = 64
    depth: int = 2
    heads: int = 4
    classes: int = 0  # that can be given; one more number is for no class

    def _vectors(self, indices: jax.Array, count: int) -> jax.Array:
        """Of indices [N, P] of `count` codes: [N, P, width]."""
        init = nn.initializers.normal(0.02)
        return nn.Embed(count, self.width, embedding_init=init)(indices)

    def _logits(self, x: jax.Array, label: jax.Array | None, seen: np.ndarray) -> jax.Array:
        """Of what stands at each position [N, P, width], which sees those of `seen` [P, P]."""
        init = nn.initializers.normal(0.02)
        x = x + self.param("place", init, (self.positions, self.width))
        if self.classes:
            x = x + nn.Embed(self.classes + 1, self.width, embedding_init=init)(label)[:, None]
        for _ in range(self.depth):
            x = x + self._attention(nn.LayerNorm()(x), seen)
            inner = jax.nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm()(x)))
            x = x + nn.Dense(self.width, kernel_init=init)(inner)
        return nn.Dense(self.codes, kernel_init=init)(nn.LayerNorm()(x))

    def _attention(self, x: jax.Array, seen: np.ndarray) -> jax.Array:
        size = self.width // self.heads
        q, k, v = jnp.split(nn.Dense(3 * self.width)(x), 3, axis=-1)
        q, k, v = (a.reshape(*a.shape[:2], self.heads, size) for a in (q, k, v))
        scores = jnp.einsum("nphd,nqhd->nhpq", q, k) / np.sqrt(size)
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
        mixed = jnp.einsum("nhpq,nqhd->nphd", weights, v).reshape(x.shape)
        return nn.Dense(self.width)(mixed)


class causal(Transformer):  # noqa: N801  (as the other networks)
    """Position i sees the codes at positions before it."""

    @nn.compact
    def __call__(self, indices: jax.Array, label: jax.Array | None = None) -> jax.Array:
        """Codes [N, P], label [N] where there are classes -> logits [N, P, codes]."""
        x = self._vectors(indices, self.codes)
        x = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]  # what came before each position
        return self._logits(x, label, np.tril(np.ones((self.positions, self.positions), bool)))


class masked(Transformer):  # noqa: N801
    """Every position sees all; the number `codes` stands for a code that is hidden."""

    @nn.compact
    def __call__(self, indices: jax.Array, label: jax.Array | None = None) -> jax.Array:
        """Codes, or `codes`, [N, P], label [N] where there are classes -> logits [N, P, codes]."""
        x = self._vectors(indices, self.codes + 1)
        return self._logits(x, label, np.ones((self.positions, self.positions), bool))

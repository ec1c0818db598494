"""An autoregressive network over a sequence of codes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class causal(nn.Module):  # noqa: N801  (as the other networks)
    """A transformer in which position i sees positions before it: logits of every code.

    Layer norms come before attention and before the dense layers (Radford et al. 2019). A learnt
    vector stands for each position and for each code at the position before.
    """

    codes: int
    positions: int
    width: int = 64
    depth: int = 2
    heads: int = 4

    @nn.compact
    def __call__(self, indices: jax.Array) -> jax.Array:
        """Codes [N, P] -> logits [N, P, codes]."""
        init = nn.initializers.normal(0.02)
        x = nn.Embed(self.codes, self.width, embedding_init=init)(indices)
        x = jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]  # what came before each position
        x = x + self.param("place", init, (self.positions, self.width))
        for _ in range(self.depth):
            x = x + self._attention(nn.LayerNorm()(x))
            inner = jax.nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm()(x)))
            x = x + nn.Dense(self.width, kernel_init=init)(inner)
        return nn.Dense(self.codes, kernel_init=init)(nn.LayerNorm()(x))

    def _attention(self, x: jax.Array) -> jax.Array:
        size = self.width // self.heads
        q, k, v = jnp.split(nn.Dense(3 * self.width)(x), 3, axis=-1)
        q, k, v = (a.reshape(*a.shape[:2], self.heads, size) for a in (q, k, v))
        scores = jnp.einsum("nphd,nqhd->nhpq", q, k) / np.sqrt(size)
        seen = np.tril(np.ones((self.positions, self.positions), bool))
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
        mixed = jnp.einsum("nhpq,nqhd->nphd", weights, v).reshape(x.shape)
        return nn.Dense(self.width)(mixed)

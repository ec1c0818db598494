"""Recurrent encoder and decoder of sequences of ids [B, T]; id 0 ends a sequence and fills it up.

Gated recurrent units (Cho et al. 2014) whose reset gate acts after the product with the state.
Everything that does not depend on the state is one product for all places, before the walk.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from vae.networks.layers import Network, widened

END = 0
IMPOSSIBLE = -1e9  # a logit


class Cell(nn.Module):
    """The recurrent part: inputs [..., 3 W], of reset gate, update gate and candidate."""

    width: int
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """Declares the kernel [W, 3 W], orthogonal for each gate, and the candidate's bias [W]."""

        def blocks(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
            square = nn.initializers.orthogonal()
            return jnp.concatenate(
                [square(each, (shape[0], shape[0])) for each in jax.random.split(key, 3)], axis=1
            )

        self.kernel = self.param("kernel", blocks, (self.width, 3 * self.width))
        self.bias = self.param("bias", nn.initializers.zeros, (self.width,))

    def step(self, state: jax.Array, inputs: jax.Array) -> jax.Array:
        """The state [B, W] after inputs [B, 3 W]."""
        reset, update, candidate = jnp.split(inputs, 3, axis=-1)
        product = (state.astype(self.dtype) @ self.kernel.astype(self.dtype)).astype(state.dtype)
        reset_h, update_h, candidate_h = jnp.split(product, 3, axis=-1)
        update = jax.nn.sigmoid(update + update_h)
        new = jnp.tanh(candidate + jax.nn.sigmoid(reset + reset_h) * (candidate_h + self.bias))
        return update * state + (1.0 - update) * new

    def along(
        self, state: jax.Array, inputs: jax.Array, there: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """The last state [B, W] and all of them [B, T, W], of inputs [B, T, 3 W]; where `there`
        [B, T] is False the state stays."""

        def move(state: jax.Array, now: tuple) -> tuple[jax.Array, jax.Array]:
            new = self.step(state, now[0])
            if there is not None:
                new = jnp.where(now[1][:, None], new, state)
            return new, new

        given = (inputs.swapaxes(0, 1),) + (() if there is None else (there.swapaxes(0, 1),))
        last, states = jax.lax.scan(move, state, given)
        return last, states.swapaxes(0, 1)


class gru_encoder(Network):  # noqa: N801
    """One cell forwards and one backwards along one-hot ids [B, T, V], up to the end; gives their
    last states [B, 2 W]."""

    sequential = True
    hidden: tuple[int, ...] = (256,)  # W
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array | None = None, context: jax.Array | None = None
    ) -> jax.Array:
        """The last states [B, 2 W] of one-hot ids [B, T, V] and their context [B, C]."""
        ends = x[..., END] > 0.5
        there = jnp.cumsum(ends, axis=1) - ends == 0  # the first end counts
        last = []
        for name, turned in (("forth", False), ("back", True)):
            inputs = widened(nn.Dense(3 * self.hidden[0], dtype=self.dtype, name=f"{name}_in")(x))
            if context is not None:
                given = nn.Dense(3 * self.hidden[0], use_bias=False, name=f"{name}_context")
                inputs = inputs + given(context)[:, None]
            cell = Cell(self.hidden[0], self.dtype, name=name)
            start = jnp.zeros((len(x), self.hidden[0]), jnp.float32)
            if turned:
                last.append(cell.along(start, inputs[:, ::-1], there[:, ::-1])[0])
            else:
                last.append(cell.along(start, inputs, there)[0])
        return jnp.concatenate(last, axis=-1)


class gru_decoder(Network):  # noqa: N801
    """Logits of each id given z and the ids before it: [B, T, V].

    z sets the first state and is seen at every place. After an end come only ends, with probability
    1. In training each earlier id is hidden with probability `word_dropout` (Bowman et al. 2016),
    so that z has to carry it.
    """

    sequential = True
    shape: tuple[int, ...]  # of an example: (T,)
    channels: int  # V
    hidden: tuple[int, ...] = (256,)  # W
    word_dropout: float = 0.0
    never_first: tuple[int, ...] = ()  # ids that no sequence begins with: of probability 0 there
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        """Declares the first state's layer, the table of ids, the cell and the logits' layer."""
        width, ids = self.hidden[0], self.channels
        self.begin = nn.Dense(width, dtype=self.dtype)
        self.seen = nn.Dense(3 * width, dtype=self.dtype)
        # What stands before the first id, and what a hidden one becomes, are ids V and V + 1.
        init = nn.initializers.normal(0.1)
        self.table = self.param("table", init, (ids + 2, 3 * width))
        self.cell = Cell(width, self.dtype)
        self.kernel = self.param("kernel", nn.initializers.glorot_uniform(), (width, ids))
        self.bias = self.param("bias", nn.initializers.zeros, (ids,))

    def __call__(
        self, z: jax.Array, keys: jax.Array | None = None, x: jax.Array | None = None
    ) -> jax.Array:
        """Logits at ids x [B, T]; without them along the most probable ids."""
        if x is None:
            return self._walk(z, lambda place, logits: jnp.argmax(logits, axis=-1))[1]
        ids = x.astype(jnp.int32)
        before = jnp.pad(ids, ((0, 0), (1, 0)), constant_values=self.channels)[:, :-1]
        ended = jnp.cumsum(before == END, axis=1) > 0
        if keys is not None and self.word_dropout > 0.0:
            hidden = jax.vmap(
                lambda key: jax.random.bernoulli(key, self.word_dropout, before.shape[1:])
            )(keys)
            before = jnp.where(hidden & (before < self.channels), self.channels + 1, before)
        inputs = jnp.take(self.table, before, axis=0) + widened(self.seen(z))[:, None]
        states = self.cell.along(jnp.tanh(widened(self.begin(z))), inputs)[1]
        logits = self._logits(states, ended)
        return logits.at[:, 0].add(self._first())

    def sample(self, keys: jax.Array, z: jax.Array) -> jax.Array:
        """Ids [B, T] drawn one after the other, by a key an example."""

        def draw(place: jax.Array, logits: jax.Array) -> jax.Array:
            at = jax.vmap(jax.random.fold_in, (0, None))(keys, place)
            return jax.vmap(jax.random.categorical)(at, logits)

        return self._walk(z, draw)[0]

    def _logits(self, states: jax.Array, ended: jax.Array) -> jax.Array:
        """Logits [..., V] of states [..., W]; where it has ended [...], all on the end."""
        logits = states.astype(self.dtype) @ self.kernel.astype(self.dtype)
        only = jnp.where(jnp.arange(self.channels) == END, 0.0, IMPOSSIBLE)
        return jnp.where(ended[..., None], only, widened(logits) + self.bias)

    def _first(self) -> jax.Array:
        """What is added to the first logits [V]."""
        barred = np.isin(np.arange(self.channels), self.never_first)
        return jnp.where(barred, IMPOSSIBLE, 0.0)

    def _walk(
        self, z: jax.Array, choose: Callable[[jax.Array, jax.Array], jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        """Ids [B, T] chosen one after the other, and the logits [B, T, V] each was chosen by."""
        seen = widened(self.seen(z))

        def move(carry: tuple, place: jax.Array) -> tuple[tuple, tuple]:
            state, before, ended = carry
            state = self.cell.step(state, jnp.take(self.table, before, axis=0) + seen)
            logits = self._logits(state, ended) + jnp.where(place == 0, self._first(), 0.0)
            chosen = choose(place, logits)
            return (state, chosen, ended | (chosen == END)), (chosen, logits)

        state = jnp.tanh(widened(self.begin(z)))
        before = jnp.full(len(z), self.channels)
        start = (state, before, jnp.zeros(len(z), bool))
        _, (ids, logits) = jax.lax.scan(move, start, jnp.arange(self.shape[0]))
        return ids.T, logits.swapaxes(0, 1)

"""Latents whose bins are chosen before their prior is known: those of all of its draws."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from vae.coding.bins import Bins
from vae.coding.latents import Drawn, Latents, Shift, moments
from vae.coding.streams import Streams
from vae.probability.distributions import Diagonal
from vae.probability.gaussian_priors import vamp

if TYPE_CHECKING:
    from vae.models import Model

MOMENT_DRAWS = 4096  # of the prior, for the places of bins


class MixtureLatents(Latents):
    """One layer with a mixture of diagonal Gaussians as the prior: each latent given those before
    it is a mixture of the same components, weighted by how likely they made those."""

    def __init__(self, model: "Model", variables: Any, bins: Bins, streams: int):
        super().__init__(model, variables, bins, streams)
        found = jax.jit(_components, static_argnums=0)(model, variables)
        logits, mean, std = (np.asarray(a, np.float64) for a in found)
        share = np.exp(logits)[:, None]  # [C, 1]
        m = (share * mean).sum(0)
        self.shift = Shift(m, np.sqrt((share * (std**2 + (mean - m) ** 2)).sum(0)))
        self.logits = logits
        self.mean, self.std = self.shift.standard((mean, std))  # [C, L]

    def _posterior(self, weights: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.shift.standard(super()._posterior(weights, x))

    def infer(self, stacks: Streams, x: np.ndarray, count: int) -> Drawn:
        """As of one Gaussian."""
        drawn = super().infer(stacks, x, count)
        return drawn._replace(state=self.shift.place(self.bins.middles[drawn.k]))

    def store(self, stacks: Streams, drawn: Drawn, count: int) -> np.ndarray:
        """Latent by latent, the last first."""
        k = drawn.k
        logits = [np.broadcast_to(self.logits, (self.streams, len(self.logits)))]
        for number in range(k.shape[1] - 1):
            logits.append(logits[-1] + self._likely(k, number))
        length = np.zeros(self.streams)
        for number in reversed(range(k.shape[1])):
            one = k[:, number : number + 1]
            length += self._push(stacks, one, *self._given(number, logits[number], count))
        return length

    def fetch(self, stacks: Streams, count: int) -> Drawn:
        """Latent by latent, the first first."""
        k = np.zeros((self.streams, self.model.latent_size), np.int64)
        logits = np.broadcast_to(self.logits, (self.streams, len(self.logits)))
        for number in range(k.shape[1]):
            found, _ = self._pop(stacks, *self._given(number, logits, count))
            k[:, number] = found[:, 0]
            logits = logits + self._likely(k, number)
        return Drawn(k, self.shift.place(self.bins.middles[k]), 0.0)

    def _likely(self, k: np.ndarray, number: int) -> np.ndarray:
        """log p of a latent by each component, but for a constant: [S, C]."""
        mean, std = self.mean[:, number], self.std[:, number]
        away = (self.bins.middles[k[:, number]].astype(np.float64)[:, None] - mean) / std
        return -0.5 * away**2 - np.log(std)

    def _given(self, number: int, logits: np.ndarray, count: int) -> tuple[Any, int, np.ndarray]:
        """Latent `number` given those before: components' means and deviations, and weights."""
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        shape = (self.streams, 1, len(self.logits))
        components = tuple(np.broadcast_to(a[:, number], shape) for a in (self.mean, self.std))
        return components, count, (weights / weights.sum(-1, keepdims=True))[:, None]


class UpwardLatents(Latents):
    """Layers inferred from the bottom up, each by the one below: Bit-Swap (Kingma et al. 2019,
    algorithm 1). The first latents need bits for one layer alone, since x is pushed before the
    others are popped."""

    def __init__(self, model: "Model", variables: Any, bins: Bins, streams: int):
        super().__init__(model, variables, bins, streams)
        keys = jax.random.split(jax.random.key(0), MOMENT_DRAWS)
        draws = np.asarray(jax.jit(self._draws)(variables, keys), np.float64)
        parts = self.model.split(draws)
        self.shifts = [Shift(np.asarray(z).mean(0), np.asarray(z).std(0)) for z in parts[:-1]]
        self.shifts.append(Shift())  # the top layer is N(0, I)
        self._up = jax.jit(self._inferred, static_argnums=1)
        self._down = jax.jit(self._generated, static_argnums=1)

    @property
    def popped_first(self) -> int:
        """Those of the layer next to x."""
        return self.model.sizes[0]

    def theta(self, weights: Any, state: Any) -> jax.Array:
        """From z_1."""
        return self.model.bind(weights).emit(state, (self.streams,), None)

    def infer(self, stacks: Streams, x: np.ndarray, count: int) -> Drawn:
        """Pops z_1 alone."""
        k, length = self._pop(stacks, self._q(0, self._encode(self.variables, x)), count)
        return Drawn([k], self._z(0, k), length)

    def store(self, stacks: Streams, drawn: Drawn, count: int) -> np.ndarray:
        """Pops z_i+1 by q(z_i+1|z_i), pushes z_i by p(z_i|z_i+1), and so on; the top by N(0, I)."""
        k, length = drawn.k[0], np.zeros(self.streams)
        for number in range(self.model.layers - 1):
            q = self._q(number + 1, self._up(self.variables, number, self._z(number, k)))
            above, popped = self._pop(stacks, q, count)
            length += self._push(stacks, k, self._p(number, above), count) - popped
            k = above
        return length + Latents.store(self, stacks, Drawn(k, None, 0.0), count)

    def fetch(self, stacks: Streams, count: int) -> Drawn:
        """From the top."""
        k = stacks.pop_even(self.bins.precision, self.model.sizes[-1], count)
        for number in reversed(range(self.model.layers - 1)):
            below, _ = self._pop(stacks, self._p(number, k), count)
            q = self._q(number + 1, self._up(self.variables, number, self._z(number, below)))
            self._push(stacks, k, q, count)
            k = below
        return Drawn([k], self._z(0, k), 0.0)

    def restore(self, stacks: Streams, drawn: Drawn, x: np.ndarray, count: int) -> None:
        """Pushes z_1."""
        self._push(stacks, drawn.k[0], self._q(0, self._encode(self.variables, x)), count)

    def _posterior(self, weights: Any, x: jax.Array) -> Any:
        return self.model.bind(weights).encode(x).evidence

    def _draws(self, weights: Any, keys: jax.Array) -> jax.Array:
        return self.model.bind(weights).sample_prior(keys)

    def _inferred(self, weights: Any, number: int, z: jax.Array) -> Diagonal:
        return self.model.bind(weights).inference[number](z)

    def _generated(self, weights: Any, number: int, z: jax.Array) -> Diagonal:
        return self.model.bind(weights).generative[number](z)

    def _z(self, number: int, k: np.ndarray) -> np.ndarray:
        return self.shifts[number].place(self.bins.middles[k])

    def _q(self, number: int, q: Diagonal) -> tuple[np.ndarray, np.ndarray]:
        return self.shifts[number].standard(moments(q))

    def _p(self, number: int, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p(z_i|z_i+1) in the units of layer i's bins."""
        return self._q(number, self._down(self.variables, number, self._z(number + 1, above)))


def _components(model: "Model", weights: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of a mixture: log weights [C], means and deviations [C, L]."""
    bound: Any = model.bind(weights)
    if isinstance(bound.prior, vamp):
        q = bound.encode(bound.prior.inputs())
        return jnp.full(len(q.mean), -jnp.log(len(q.mean))), q.mean, q.std
    logits = jax.nn.log_softmax(bound.prior.logits)
    return logits, bound.prior.mu, jnp.exp(0.5 * bound.prior.logvar)

"""Latents whose prior is known when their bins are chosen: bins that it makes equally likely."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from vae.coding.bins import Bins
from vae.coding.latents import Drawn, Latents, Shift, moments
from vae.coding.streams import Streams
from vae.probability.distributions import Diagonal

if TYPE_CHECKING:
    from vae.models import Model


class DownwardLatents(Latents):
    """Layers whose q(z_i|x) knows the layers above, as their priors do: from the top layer down.

    Each layer's prior is a program of its own, and so is its posterior: pushing and popping run the
    same ones, or their last digits would differ.
    """

    def __init__(self, model: "Model", variables: Any, bins: Bins, streams: int):
        super().__init__(model, variables, bins, streams)
        self._layer = jax.jit(self._given_above, static_argnums=2)

    @property
    def parts(self) -> list[slice]:
        """The latents of each layer, the one that no other depends on last."""
        ends = np.cumsum(self.model.sizes)
        return [slice(end - size, end) for end, size in zip(ends, self.model.sizes, strict=True)]

    def infer(self, stacks: Streams, x: np.ndarray, count: int) -> Drawn:
        """From the top layer down."""
        evidence, length = self._encode(self.variables, x), np.zeros(self.streams)
        k = np.zeros((self.streams, self.model.latent_size), np.int64)
        z = np.zeros(k.shape, np.float32)
        for number, part in reversed([*enumerate(self.parts)]):
            p = self._prior(z, number)
            q = p.standard(self._q(evidence, z, number))
            k[:, part], popped = self._pop(stacks, q, count)
            z[:, part] = p.place(self.bins.middles[k[:, part]])
            length += popped
        return Drawn(k, z, length)

    def fetch(self, stacks: Streams, count: int) -> Drawn:
        """From the top layer down."""
        k = stacks.pop_even(self.bins.precision, self.model.latent_size, count)
        z = np.zeros(k.shape, np.float32)
        for number, part in reversed([*enumerate(self.parts)]):
            z[:, part] = self._prior(z, number).place(self.bins.middles[k[:, part]])
        return Drawn(k, z, 0.0)

    def restore(self, stacks: Streams, drawn: Drawn, x: np.ndarray, count: int) -> None:
        """From the bottom layer up."""
        evidence = self._encode(self.variables, x)
        for number, part in enumerate(self.parts):
            q = self._q(evidence, drawn.state, number)
            q = self._prior(drawn.state, number).standard(q)
            self._push(stacks, drawn.k[:, part], q, count)

    def _posterior(self, weights: Any, x: jax.Array) -> Any:
        return self.model.bind(weights).encode(x).evidence

    def _prior(self, z: np.ndarray, number: int) -> Shift:
        """p(z_i | above), of all z [S, L], of which those above count."""
        return Shift.of(self._layer(self.variables, z, number, None))

    def _q(self, evidence: Any, z: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of q(z_i | above, x)."""
        return moments(self._layer(self.variables, z, number, evidence))

    def _given_above(self, weights: Any, z: jax.Array, number: int, evidence: Any) -> Diagonal:
        """A layer's prior; with evidence its posterior. What the walk does after it is left out
        when this is compiled."""
        model: Any = self.model.bind(weights)
        above, parts = model.above(evidence, 1) if evidence is not None else None, model.split(z)
        found = {}

        def pick(layer: int, p: Diagonal, state: Any) -> jax.Array:
            if layer == number:
                found["it"] = above(layer, p, state) if above else p
            return parts[layer]

        model.walk(pick, len(z))
        return found["it"]


class AutoregressiveLatents(DownwardLatents):
    """One layer whose prior gives each latent's Gaussian by those before it: as many layers of one
    latent, and the same q(z|x) at each."""

    def __init__(self, model: "Model", variables: Any, bins: Bins, streams: int):
        super().__init__(model, variables, bins, streams)
        self._conditionals = jax.jit(
            lambda weights, z: self.model.bind(weights).prior.conditionals(z)
        )

    _posterior = Latents._posterior

    @property
    def parts(self) -> list[slice]:
        """A latent each, the first last."""
        return [slice(n, n + 1) for n in reversed(range(self.model.latent_size))]

    def _prior(self, z: np.ndarray, number: int) -> Shift:
        part = self.parts[number]
        mu, logvar = (a[:, part] for a in self._conditionals(self.variables, z))
        return Shift.of(Diagonal(mu, logvar))

    def _q(self, evidence: Any, z: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        mean, std = evidence
        part = self.parts[number]
        return np.asarray(mean)[:, part], np.asarray(std)[:, part]

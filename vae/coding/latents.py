"""How the latents of a model lie on stacks of bits, for each kind of prior and inference.

A latent is the number k of a bin. Of N(0, 1), in whose units z - m over s is told, the bins are
equally likely: a latent whose m and s are those of its own prior given the latents before it costs
`precision` bits and no table (Townsend et al. 2020, HiLLoC, section 3). Where a latent's bins have
to be chosen before its prior is known, m and s are those of all draws of the prior, and a table of
shares codes it on both sides.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae.coding.bins import Bins
from vae.coding.streams import Streams, log2, whole
from vae.errors import UserError
from vae.models.hierarchy import Downward
from vae.models.layered import chain
from vae.probability.distributions import Diagonal
from vae.probability.flow_priors import autoregressive
from vae.probability.gaussian_priors import mixture, vamp

if TYPE_CHECKING:
    from vae.models import Model

MOMENT_DRAWS = 4096  # of the prior, for the places of bins


class Drawn(NamedTuple):
    """Latents that are off the stacks."""

    k: Any  # numbers of bins: [S, L], or of each layer [S, L_i]
    state: Any  # what theta is made of
    length: Any  # log2 of the probability that they were popped with: [S]


@dataclasses.dataclass(frozen=True)
class Shift:
    """Where bins lie: those of N(m, s^2)."""

    m: Any = 0.0
    s: Any = 1.0

    @staticmethod
    def of(p: Diagonal) -> "Shift":
        """Bins that are equally likely under p."""
        return Shift(*_moments(p))

    def standard(self, q: tuple[Any, Any]) -> tuple[Any, Any]:
        """Mean and deviation of q in the units of N(0, 1)."""
        return (q[0] - self.m) / self.s, q[1] / self.s

    def place(self, middles: np.ndarray) -> np.ndarray:
        """z in float32 for places in the units of N(0, 1)."""
        return (self.m + self.s * middles.astype(np.float64)).astype(np.float32)


class Latents:
    """One layer with the prior N(0, I), and what the other kinds share.

    To push an image x, `infer` pops what p(x|z) needs to be known, then x is pushed, then `store`
    ends the push. To pop it, `fetch` undoes `store`, then x is popped, then `restore` undoes
    `infer`. All take the number of stacks that have an image, and arrays of all S.
    """

    def __init__(self, model: "Model", variables: Any, bins: Bins, streams: int):
        self.model, self.variables, self.bins, self.streams = model, variables, bins, streams
        self._encode = jax.jit(self._posterior)

    @property
    def popped_first(self) -> int:
        """Latents that are popped before anything of an image is pushed."""
        return self.model.latent_size

    def theta(self, weights: Any, state: Any) -> jax.Array:
        """The likelihood's parameters, of a drawn state; it is compiled."""
        return self.model.bind(weights).decode(state)

    def infer(self, stacks: Streams, x: np.ndarray, count: int) -> Drawn:
        """Pops latents by q(z|x) of images as the model sees them."""
        k, length = self._pop(stacks, self._encode(self.variables, x), count)
        return Drawn(k, self.bins.middles[k], length)

    def store(self, stacks: Streams, drawn: Drawn, count: int) -> np.ndarray:
        """Pushes them by p(z): log2 of its probability, less that of what was popped, [S]."""
        stacks.push_even(drawn.k, self.bins.precision, count)
        return np.full(self.streams, -float(self.bins.precision * drawn.k.shape[1]))

    def fetch(self, stacks: Streams, count: int) -> Drawn:
        """Undoes `store`."""
        k = stacks.pop_even(self.bins.precision, self.model.latent_size, count)
        return Drawn(k, self.bins.middles[k], 0.0)

    def restore(self, stacks: Streams, drawn: Drawn, x: np.ndarray, count: int) -> None:
        """Undoes `infer`."""
        self._push(stacks, drawn.k, self._encode(self.variables, x), count)

    def _posterior(self, weights: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        q = self.model.bind(weights).encode(x)
        return q.mean, q.std

    def _pop(
        self, stacks: Streams, q: Any, count: int, weights: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of bins [S, n] by q, in the units of N(0, 1): a Gaussian's mean and deviation
        [S, n], or those of a mixture [S, n, C] with its weights; and log2 of their probability."""
        mean, std = q
        k, tables, digits = np.zeros(np.shape(mean)[:2], np.int64), [], []
        for digit, bits in enumerate(self.bins.digits):
            tables.append(whole(self.bins.masses(mean, std, digit, k, weights)))
            digits.append(stacks.pop(tables[-1], count))
            k = k * 2**bits + digits[-1]
        return k, log2(tables, digits)

    def _push(
        self, stacks: Streams, k: np.ndarray, q: Any, count: int, weights: np.ndarray | None = None
    ) -> np.ndarray:
        """The reverse: log2 of their probability."""
        (mean, std), tables, digits = q, [], []
        for digit in reversed(range(len(self.bins.digits))):
            before = self.bins.before(k, digit)
            tables.append(whole(self.bins.masses(mean, std, digit, before, weights)))
            digits.append(self.bins.digit(k, digit))
            stacks.push(digits[-1], tables[-1], count)
        return log2(tables, digits)


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
        return _moments(self._layer(self.variables, z, number, evidence))

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
        return self.shifts[number].standard(_moments(q))

    def _p(self, number: int, above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p(z_i|z_i+1) in the units of layer i's bins."""
        return self._q(number, self._down(self.variables, number, self._z(number + 1, above)))


def kind_of(model: "Model") -> type[Latents]:
    """How a model's latents are coded.

    Raises:
      UserError: they are not.
    """
    if isinstance(model, chain):
        return UpwardLatents
    if isinstance(model, Downward):
        return DownwardLatents
    if model.layers == 1 and issubclass(model.distribution, Diagonal):
        prior = getattr(model, "prior", None)
        if model.standard:
            return Latents
        if isinstance(prior, mixture | vamp):
            return MixtureLatents
        if isinstance(prior, autoregressive):
            return AutoregressiveLatents
    raise UserError(
        "compress takes hierarchies, and one layer of latents with model.posterior=diagonal and "
        f"model.prior=normal, mixture, vamp or autoregressive; this model has {model.chosen_by}"
    )


def _components(model: "Model", weights: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of a mixture: log weights [C], means and deviations [C, L]."""
    bound: Any = model.bind(weights)
    if isinstance(bound.prior, vamp):
        q = bound.encode(bound.prior.inputs())
        return jnp.full(len(q.mean), -jnp.log(len(q.mean))), q.mean, q.std
    logits = jax.nn.log_softmax(bound.prior.logits)
    return logits, bound.prior.mu, jnp.exp(0.5 * bound.prior.logvar)


def _moments(q: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation in float64."""
    return np.asarray(q.mu, np.float64), np.exp(0.5 * np.asarray(q.logvar, np.float64))

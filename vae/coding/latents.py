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

    @property
    def bound(self) -> Any:
        """The model with its weights."""
        return self.model.bind(self.variables)

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
        k, length = np.zeros(np.shape(mean)[:2], np.int64), np.zeros(self.streams)
        for digit, bits in enumerate(self.bins.digits):
            table = whole(self.bins.masses(mean, std, digit, k, weights))
            found = stacks.pop(table, count)
            k, length = k * 2**bits + found, length + log2(table, found)
        return k, length

    def _push(
        self, stacks: Streams, k: np.ndarray, q: Any, count: int, weights: np.ndarray | None = None
    ) -> np.ndarray:
        """The reverse: log2 of their probability."""
        (mean, std), length = q, np.zeros(self.streams)
        for digit in reversed(range(len(self.bins.digits))):
            table = whole(self.bins.masses(mean, std, digit, self.bins.before(k, digit), weights))
            found = self.bins.digit(k, digit)
            stacks.push(found, table, count)
            length += log2(table, found)
        return length


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
    """Layers whose q(z_i|x) knows the layers above, as their priors do: pushed and popped on one
    walk of the model, whose networks are run one by one, so that both ways compute the same."""

    def theta(self, weights: Any, state: Any) -> jax.Array:
        """From the end of a walk."""
        return self.model.bind(weights).emit(state, (self.streams,), None)

    def _posterior(self, weights: Any, x: jax.Array) -> Any:
        return self.model.bind(weights).encode(x).evidence

    def _walk(self, pick: Any) -> Any:
        return self.bound.walk(pick, self.streams)

    def _above(self, x: np.ndarray) -> Any:
        """(layer, its prior, state) -> q(z_i | above, x)."""
        return self.bound.above(self._encode(self.variables, x), 1)

    def infer(self, stacks: Streams, x: np.ndarray, count: int) -> Drawn:
        """From the top layer down."""
        above, found, lengths = self._above(x), {}, []

        def pick(number: int, p: Diagonal, state: Any) -> np.ndarray:
            bins = Shift.of(p)
            q = bins.standard(_moments(above(number, p, state)))
            found[number], length = self._pop(stacks, q, count)
            lengths.append(length)
            return bins.place(self.bins.middles[found[number]])

        state = self._walk(pick)
        return Drawn(self._joined(found), state, sum(lengths))

    def fetch(self, stacks: Streams, count: int) -> Drawn:
        """From the top layer down."""
        k = stacks.pop_even(self.bins.precision, self.model.latent_size, count)
        return Drawn(k, self._walk(self._given(k)), 0.0)

    def restore(self, stacks: Streams, drawn: Drawn, x: np.ndarray, count: int) -> None:
        """From the bottom layer up, by what one more walk finds."""
        above, given, found = self._above(x), self._given(drawn.k), {}

        def pick(number: int, p: Diagonal, state: Any) -> np.ndarray:
            found[number] = Shift.of(p).standard(_moments(above(number, p, state)))
            return given(number, p, state)

        self._walk(pick)
        parts = self._split(drawn.k)
        for number in sorted(found):
            self._push(stacks, parts[number], found[number], count)

    def _given(self, k: np.ndarray) -> Any:
        """A `pick` of given numbers."""
        parts = self._split(k)

        def pick(number: int, p: Diagonal, state: Any) -> np.ndarray:
            return Shift.of(p).place(self.bins.middles[parts[number]])

        return pick

    def _joined(self, parts: dict[int, np.ndarray]) -> np.ndarray:
        return np.concatenate([parts[number] for number in range(len(parts))], axis=1)

    def _split(self, k: np.ndarray) -> list[np.ndarray]:
        return np.split(k, np.cumsum(self.model.sizes)[:-1], axis=1)


class AutoregressiveLatents(DownwardLatents):
    """One layer whose prior gives each latent's Gaussian by those before it: as many layers of one
    latent, and the same q(z|x) at each."""

    def __init__(self, model: "Model", variables: Any, bins: Bins, streams: int):
        super().__init__(model, variables, bins, streams)
        self._conditionals = jax.jit(
            lambda weights, z: self.model.bind(weights).prior.conditionals(z)
        )

    theta = Latents.theta
    _posterior = Latents._posterior

    def _walk(self, pick: Any) -> np.ndarray:
        size = self.model.latent_size
        z = np.zeros((self.streams, size), np.float32)
        for number in range(size):
            mu, logvar = (a[:, number, None] for a in self._conditionals(self.variables, z))
            # Layers are counted from the bottom up, where walks end.
            z[:, number] = pick(size - 1 - number, Diagonal(mu, logvar), None)[:, 0]
        return z

    def _above(self, x: np.ndarray) -> Any:
        mean, std = map(np.asarray, self._encode(self.variables, x))

        def posterior(number: int, p: Diagonal, state: Any) -> tuple[np.ndarray, np.ndarray]:
            place = mean.shape[1] - 1 - number
            return mean[:, place, None], std[:, place, None]

        return posterior

    def _split(self, k: np.ndarray) -> list[np.ndarray]:
        return np.split(k, k.shape[1], axis=1)


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
    if isinstance(q, tuple):
        return q
    return np.asarray(q.mu, np.float64), np.exp(0.5 * np.asarray(q.logvar, np.float64))

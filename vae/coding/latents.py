"""How the latents of a model lie on stacks of bits: what its kinds share (`kinds.kind_of`).

A latent is the number k of a bin. Of N(0, 1), in whose units z - m over s is told, the bins are
equally likely: a latent whose m and s are those of its own prior given the latents before it costs
`precision` bits and no table (Townsend et al. 2020, HiLLoC, section 3). Where a latent's bins have
to be chosen before its prior is known, m and s are those of all draws of the prior, and a table of
shares codes it on both sides.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from vae.coding.bins import Bins
from vae.coding.streams import Streams, log2, whole
from vae.probability.distributions import Diagonal

if TYPE_CHECKING:
    from vae.models import Model


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
        return Shift(*moments(p))

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


def moments(q: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation in float64."""
    return np.asarray(q.mu, np.float64), np.exp(0.5 * np.asarray(q.logvar, np.float64))

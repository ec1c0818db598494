"""Bits back coding with ANS: a code as long as minus the ELBO, image after image on one stack.

To push x: z is popped by q(z|x), which gives bits back; x is pushed by p(x|z), then z by p(z). To
pop x all of that is undone in reverse (Townsend et al. 2019, section 2). The first images of a
stack need bits that are not there yet: random ones, which decoding leaves as they were.
"""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from vae.coding.bins import Bins
from vae.coding.streams import WORD, Streams, log2, whole
from vae.errors import UserError
from vae.models.base import image_shape
from vae.probability.distributions import Diagonal

if TYPE_CHECKING:
    from vae.models import Model

SPARE = 4  # words that a stack begins with beyond what its first z can take


@dataclasses.dataclass(frozen=True)
class Coded:
    """Images on stacks of bits."""

    words: list[np.ndarray]  # of each stack: [n] uint32
    first: int  # bits that lay on all of them before: random
    bits: int  # that lie on them now
    ideal: np.ndarray  # -log2 p(x, z) / q(z|x) of each at the z that it got, as coded: [N]

    @property
    def net(self) -> int:
        """Bits that the images added."""
        return self.bits - self.first


class Coder:
    """Pushes and pops images of one model.

    Image number i lies on stack i mod S. The networks always see S images at a time, whichever way
    it goes: what they compute may depend on the size of a batch in its last digits.

    Args:
      model: with latents of N(0, I) and q(z|x) diagonal, and a discrete likelihood.
      variables: its weights.
      shape: of one example.
      bins: of the latents.
      streams: S.

    Raises:
      UserError: another model.
    """

    def __init__(
        self, model: "Model", variables: Any, shape: tuple[int, ...], bins: Bins, streams: int
    ):
        check(model)
        self.model, self.variables = model, jax.device_put(variables, jax.local_devices()[0])
        self.shape, self.bins, self.streams = shape, bins, streams
        self.channels = image_shape(shape)[-1]
        likelihood: Any = model.likelihood
        self.top = 1 if "tokens" in likelihood.kinds else likelihood.levels - 1
        self._posterior = jax.jit(self._q)
        self._theta = jax.jit(lambda weights, z: model.bind(weights).decode(z))
        self._table = jax.jit(self._probabilities, static_argnums=3)

    def push(self, levels: np.ndarray, seed: int = 0) -> Coded:
        """Images of whole numbers [N, *shape], onto stacks that begin with bits of `seed`."""
        stacks = Streams(self.first_words(seed))
        first, ideal = int(stacks.bits.sum()), [np.zeros(0)]
        for start in range(0, len(levels), self.streams):
            batch = levels[start : start + self.streams]
            ideal.append(self._push(stacks, batch))
        return Coded(stacks.words, first, int(stacks.bits.sum()), np.concatenate(ideal))

    def pop(self, words: list[np.ndarray], num: int, seed: int = 0) -> np.ndarray:
        """The `num` images that were pushed: whole numbers [num, *shape].

        Raises:
          UserError: what is left is not what lay there first: not these weights, this machine or
            this seed.
        """
        stacks, found = Streams(words, fresh=False), []
        starts = range(0, num, self.streams)
        for start in reversed(starts):
            found.append(self._pop(stacks, min(self.streams, num - start)))
        first = self.first_words(seed)
        if not all(map(np.array_equal, stacks.words, Streams(first).words)):
            raise UserError(
                "the images do not come out as they went in: this machine computes the networks "
                "with other last digits; decompress on one like that which compressed"
            )
        shape = (num, *self.shape)
        return np.concatenate(found[::-1]).reshape(shape) if found else np.zeros(shape, np.int32)

    def first_words(self, seed: int) -> list[np.ndarray]:
        """What stacks begin with: as much as the latents of an image can take."""
        count = -(-self.bins.precision * self.model.latent_size // WORD) + SPARE
        drawn = np.random.default_rng(seed).integers(1, 2**32, (self.streams, count), np.uint32)
        return list(drawn)

    def _push(self, stacks: Streams, levels: np.ndarray) -> np.ndarray:
        count = len(levels)
        levels = _filled(levels, self.streams)
        x = self._seen(levels)
        k, length = self._pop_latents(stacks, x, count)
        theta = self._theta(self.variables, self.bins.middles[k])
        images = levels.reshape(self.streams, -1, self.channels)
        length = length + self.bins.precision * k.shape[1]
        for channel in reversed(range(self.channels)):
            table = whole(self._table(self.variables, theta, x, channel))
            stacks.push(images[..., channel], table, count)
            length = length - log2(table, images[..., channel])
        stacks.push_even(k, self.bins.precision, count)
        return length[:count]

    def _pop(self, stacks: Streams, count: int) -> np.ndarray:
        k = stacks.pop_even(self.bins.precision, self.model.latent_size, count)
        theta = self._theta(self.variables, self.bins.middles[k])
        levels = np.zeros((self.streams, *self.shape), np.int32)
        images = levels.reshape(self.streams, -1, self.channels)
        for channel in range(self.channels):
            table = self._table(self.variables, theta, self._seen(levels), channel)
            images[..., channel] = stacks.pop(whole(table), count)
        self._push_latents(stacks, self._seen(levels), k, count)
        return levels[:count]

    def _pop_latents(
        self, stacks: Streams, x: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of bins [S, L] by q(z|x), and log2 of their probability [S]."""
        mean, std = self._posterior(self.variables, x)
        k, length = np.zeros(mean.shape, np.int64), np.zeros(self.streams)
        for digit, bits in enumerate(self.bins.digits):
            table = whole(self.bins.masses(mean, std, digit, k))
            found = stacks.pop(table, count)
            k, length = k * 2**bits + found, length + log2(table, found)
        return k, length

    def _push_latents(self, stacks: Streams, x: np.ndarray, k: np.ndarray, count: int) -> None:
        """The reverse."""
        mean, std = self._posterior(self.variables, x)
        for digit in reversed(range(len(self.bins.digits))):
            table = whole(self.bins.masses(mean, std, digit, self.bins.before(k, digit)))
            stacks.push(self.bins.digit(k, digit), table, count)

    def _seen(self, levels: np.ndarray) -> np.ndarray:
        """Whole numbers as the model sees them."""
        return levels.astype(np.float32) / np.float32(self.top)

    def _q(self, weights: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        q = self.model.bind(weights).encode(x)
        return q.mean, q.std

    def _probabilities(
        self, weights: Any, theta: jax.Array, x: jax.Array, channel: int
    ) -> jax.Array:
        """Of each value of a channel: [S, pixels, levels]."""
        x = x.reshape(len(x), *image_shape(self.shape))
        table = self.model.bind(weights).likelihood.log_table(theta, x, channel)
        return jnp.exp(table).reshape(len(x), -1, table.shape[-1])


def check(model: "Model") -> None:
    """Raises UserError for a model whose images cannot be coded."""
    if model.layers > 1 or not model.standard or not issubclass(model.distribution, Diagonal):
        raise UserError(
            "compress takes one layer of latents with model.prior=normal and "
            f"model.posterior=diagonal, and this model has {model.chosen_by}"
        )
    if not model.likelihood.discrete:
        raise UserError(
            f"compress takes a likelihood of whole numbers, and {type(model.likelihood).__name__} "
            "is a density or has no highest value: train with model.likelihood=bernoulli, "
            "categorical or discretized_logistic"
        )
    if model.conditional:
        raise UserError("compress takes no conditional model: its context is not in the file")
    if getattr(getattr(model, "decoder", None), "sequential", False):
        raise UserError("compress takes no decoder along a sequence: set model.decoder=mlp")


def _filled(levels: np.ndarray, count: int) -> np.ndarray:
    """Rows repeated up to `count`."""
    return np.concatenate([levels, np.repeat(levels[-1:], count - len(levels), 0)])

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
from vae.coding.kinds import kind_of
from vae.coding.streams import WORD, Shortage, Streams, log2, whole
from vae.errors import UserError
from vae.models.base import image_shape

if TYPE_CHECKING:
    from vae.models import Model

SPARE = 4  # words that a stack begins with beyond what its first z can take


@dataclasses.dataclass(frozen=True)
class Coded:
    """Images on stacks of bits."""

    words: list[np.ndarray]  # of each stack: [n] uint32
    first_words: int  # that lay on each before
    first: int  # bits of those, random
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
      model: with a discrete likelihood and latents that `kinds.kind_of` knows.
      variables: its weights.
      shape: of one example.
      bins: of the latents.
      streams: S.
      levels: values of a number, 0 first, where the likelihood has no highest.

    Raises:
      UserError: another model.
    """

    def __init__(
        self, model: "Model", variables: Any, shape: tuple[int, ...], bins: Bins, streams: int,
        levels: int = 0,
    ):  # fmt: skip
        check(model)
        likelihood: Any = model.likelihood
        if "counts" in likelihood.kinds:
            likelihood = dataclasses.replace(likelihood, levels=levels)
            model = model.clone(likelihood=likelihood)
        self.model, self.variables = model, jax.device_put(variables, jax.local_devices()[0])
        self.shape, self.bins, self.streams = shape, bins, streams
        self.channels = image_shape(shape)[-1]
        self.levels = likelihood.levels
        # What is divided by, for the model to see the number as it was trained to.
        self.top = self.levels - 1 if {"binary", "grey"} & set(likelihood.kinds) else 1
        self.latents = kind_of(model)(model, self.variables, bins, streams)
        self._theta = jax.jit(self.latents.theta)
        self._table = jax.jit(lambda *given: whole(self._probabilities(*given)), static_argnums=3)

    def push(self, levels: np.ndarray, seed: int = 0) -> Coded:
        """Images of whole numbers [N, *shape], onto stacks that begin with bits of `seed`: with
        more where the first images find too few."""
        count = -(-self.bins.precision * self.latents.popped_first // WORD) + SPARE
        while True:
            try:
                return self._pushed(levels, seed, count)
            except Shortage:
                count += SPARE

    def _pushed(self, levels: np.ndarray, seed: int, count: int) -> Coded:
        stacks = Streams(self.first_words(seed, count))
        first, ideal = int(stacks.bits.sum()), [np.zeros(0)]
        for start in range(0, len(levels), self.streams):
            batch = levels[start : start + self.streams]
            ideal.append(self._push(stacks, batch))
        return Coded(stacks.words, count, first, int(stacks.bits.sum()), np.concatenate(ideal))

    def pop(
        self, words: list[np.ndarray], num: int, first_words: int, seed: int = 0
    ) -> np.ndarray:
        """The `num` images that were pushed: whole numbers [num, *shape].

        Raises:
          UserError: what is left is not what lay there first: not these weights, this machine or
            this seed.
        """
        stacks, found = Streams(words, fresh=False), []
        starts = range(0, num, self.streams)
        wrong = UserError(
            "the images do not come out as they went in: this machine computes the networks "
            "with other last digits; decompress on one like that which compressed"
        )
        try:
            for start in reversed(starts):
                found.append(self._pop(stacks, min(self.streams, num - start)))
        except Shortage:
            raise wrong from None
        first = Streams(self.first_words(seed, first_words)).words
        if not all(map(np.array_equal, stacks.words, first)):
            raise wrong
        shape = (num, *self.shape)
        return np.concatenate(found[::-1]).reshape(shape) if found else np.zeros(shape, np.int32)

    def first_words(self, seed: int, count: int) -> list[np.ndarray]:
        """What stacks begin with."""
        drawn = np.random.default_rng(seed).integers(1, 2**32, (self.streams, count), np.uint32)
        return list(drawn)

    def _push(self, stacks: Streams, levels: np.ndarray) -> np.ndarray:
        count = len(levels)
        levels = _filled(levels, self.streams)
        x = self._seen(levels)
        drawn = self.latents.infer(stacks, x, count)
        theta = self._theta(self.variables, drawn.state)
        images = levels.reshape(self.streams, -1, self.channels)
        tables = []
        for channel in reversed(range(self.channels)):
            tables.append(np.asarray(self._table(self.variables, theta, x, channel)))
            stacks.push(images[..., channel], tables[-1], count)
        length = drawn.length - log2(tables, [*np.moveaxis(images, -1, 0)[::-1]])
        return (length - self.latents.store(stacks, drawn, count))[:count]

    def _pop(self, stacks: Streams, count: int) -> np.ndarray:
        drawn = self.latents.fetch(stacks, count)
        theta = self._theta(self.variables, drawn.state)
        levels = np.zeros((self.streams, *self.shape), np.int32)
        images = levels.reshape(self.streams, -1, self.channels)
        for channel in range(self.channels):
            table = self._table(self.variables, theta, self._seen(levels), channel)
            images[..., channel] = stacks.pop(np.asarray(table), count)
        self.latents.restore(stacks, drawn, self._seen(levels), count)
        return levels[:count]

    def _seen(self, levels: np.ndarray) -> np.ndarray:
        """Whole numbers as the model sees them."""
        return levels.astype(np.float32) / np.float32(self.top)

    def _probabilities(
        self, weights: Any, theta: jax.Array, x: jax.Array, channel: int
    ) -> jax.Array:
        """Of each value of a channel: [S, pixels, levels]."""
        x = x.reshape(len(x), *image_shape(self.shape))
        table = self.model.bind(weights).likelihood.log_table(theta, x, channel)
        return jnp.exp(table).reshape(len(x), -1, table.shape[-1])


def check(model: "Model") -> None:
    """Raises UserError for a model whose images cannot be coded."""
    kind_of(model)
    if not model.likelihood.discrete and not hasattr(model.likelihood, "levels"):
        raise UserError(
            "compress takes a likelihood of whole numbers, each by itself, and "
            f"{type(model.likelihood).__name__} is none: train with model.likelihood=bernoulli, "
            "categorical, discretized_logistic or negative_binomial"
        )
    if model.conditional:
        raise UserError("compress takes no conditional model: its context is not in the file")
    if getattr(getattr(model, "decoder", None), "sequential", False):
        raise UserError("compress takes no decoder along a sequence: set model.decoder=mlp")


def _filled(levels: np.ndarray, count: int) -> np.ndarray:
    """Rows repeated up to `count`."""
    return np.concatenate([levels, np.repeat(levels[-1:], count - len(levels), 0)])

"""The batches of one run, in their order, which is a function of (seed, step) alone."""

from collections.abc import Iterator

import numpy as np

from vae.data import order
from vae.data.dataset import Split
from vae.training import sharding


class Feed:
    """The input of each step of one run: rows of the training set, or raw batches from disk.

    With several processes, each feeds the rows that its own devices work on.

    Args:
      model_axis: devices that share the weights, see `sharding.shares`.
    """

    def __init__(
        self,
        split: Split,
        seed: int,
        batch_size: int,
        streamed: bool = False,
        model_axis: int = 1,
    ):
        self.split, self.seed, self.batch_size, self.streamed = split, seed, batch_size, streamed
        self.share, self.shares = sharding.shares(model_axis)
        self.steps_per_epoch = order.steps_per_epoch(len(split), batch_size)
        self._batches: Iterator[np.ndarray] = iter(())
        self._next = -1

    def rows(self, step: int, count: int) -> np.ndarray:
        """Rows of the training set in the global batches of `count` steps: int32 [count, B]."""
        return order.batch_indices(self.seed, step, count, len(self.split), self.batch_size)

    def take(self, step: int, count: int) -> np.ndarray:
        """What steps `step` to `step + count - 1` see: rows [count, b], or batches [count, b, ...]
        where streamed; b is this process's share of the batch."""
        if self.streamed:
            return self._stream(step, count)
        size = self.batch_size // self.shares
        return self.rows(step, count)[:, self.share * size :][:, :size]

    def _stream(self, step: int, count: int) -> np.ndarray:
        from vae.data import stream

        if self._next != step:
            self._batches = stream.batches(
                self.split, self.seed, step, self.batch_size, self.share, self.shares
            )
        self._next = step + count
        return np.stack([next(self._batches) for _ in range(count)])

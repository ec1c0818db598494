"""What the compiled loop is fed: rows of a data set on the device, or raw batches from disk."""

import jax
import numpy as np

from vae.data import order
from vae.data.dataset import Split

MOST_STEPS = 2048  # of one compiled call
STREAM_BYTES = 64 * 2**20  # of the raw batches of one call, on the host


class Feed:
    """Batches of one run in their order, which is a function of (seed, step) alone.

    Every array that `take` returns has the same shape, so one compilation serves any number of
    steps. Over several processes each feeds the rows that its own devices work on.
    """

    def __init__(self, split: Split, seed: int, batch_size: int, streamed: bool, parallel: str):
        self.split, self.seed, self.batch_size = split, seed, batch_size
        self.streamed, self.mapped = streamed, parallel == "pmap"
        self.steps_per_epoch = order.steps_per_epoch(len(split), batch_size)
        self.most = MOST_STEPS  # steps that one call can be fed
        self.examples = None
        if streamed:
            bytes_a_step = batch_size * int(np.prod(split.x.shape[1:])) * split.x.dtype.itemsize
            self.most = max(1, min(MOST_STEPS, STREAM_BYTES // bytes_a_step))
            self._batches, self._next = None, -1
        else:
            self.examples = self._on_devices(np.asarray(split.x))

    def _on_devices(self, array: np.ndarray) -> jax.Array:
        if not self.mapped:
            return jax.device_put(array)
        # pmap takes unmapped arguments as replicated: placed so once, nothing is copied later.
        mesh = jax.sharding.Mesh(np.array(jax.local_devices()), ("device",))
        return jax.device_put(array, jax.sharding.NamedSharding(mesh, jax.P()))

    def rows(self, step: int, count: int) -> np.ndarray:
        """Rows of the training set in the global batches of `count` steps: int32 [count, B]."""
        return order.batch_indices(self.seed, step, count, len(self.split), self.batch_size)

    def take(self, step: int, count: int) -> np.ndarray:
        """What steps `step` to `step + count - 1` see: [T, B, ...], or [devices, T, b, ...]."""
        if self.streamed:
            batches = self._stream(step, count)
        else:
            batches = self._local(self.rows(step, count))
        padded = np.zeros((self.most, *batches.shape[1:]), batches.dtype)
        padded[:count] = batches
        if not self.mapped:
            return padded
        devices = jax.local_device_count()
        split = padded.reshape(self.most, devices, -1, *padded.shape[2:])
        return np.ascontiguousarray(split.swapaxes(0, 1))

    def _local(self, batches: np.ndarray) -> np.ndarray:
        size = self.batch_size // jax.process_count()
        return batches[:, jax.process_index() * size :][:, :size]

    def _stream(self, step: int, count: int) -> np.ndarray:
        from vae.data import stream

        if self._next != step:
            self._batches = stream.batches(
                self.split,
                self.seed,
                step,
                self.batch_size,
                jax.process_index(),
                jax.process_count(),
            )
        self._next = step + count
        return np.stack([next(self._batches) for _ in range(count)])

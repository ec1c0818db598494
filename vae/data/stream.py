"""Training batches of data that stays on the disk, read ahead by Grain's threads.

The batches are those of `vae.data.order`. Their examples and order depend on (seed, step) alone, so
the state of the stream is one integer.
"""

import os
from collections.abc import Iterator

import numpy as np

from vae.data.dataset import Split
from vae.data.order import batch_indices, steps_per_epoch
from vae.errors import UserError

_ENDLESS = 2**31 - 1  # Grain counts; no run takes as many steps


def batches(
    split: Split,
    seed: int,
    first_step: int,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
    prefetch: int = 16,
) -> Iterator[np.ndarray]:
    """Yields the raw batch of every step from `first_step` on, without end.

    Args:
      split: the training set; its `x` may be `Lazy` or an array.
      seed: of the order, as in `batch_indices`.
      first_step: where to go on.
      batch_size: examples in a batch over all processes.
      process_index: which part of the batch to read, of `process_count` equal ones.
      process_count: number of processes (hosts) that share a batch.
      prefetch: batches read ahead.

    Yields:
      Rows of `split.x`, [batch_size / process_count, ...].

    Raises:
      UserError: the batch does not fit the data or the processes; damaged data, when it is met.
    """
    steps_per_epoch(len(split), batch_size)  # raises now, not in a thread
    if batch_size % process_count:
        raise UserError(
            f"train.batch_size={batch_size} does not divide among {process_count} processes"
        )
    import grain

    share = batch_size // process_count
    mine = slice(process_index * share, (process_index + 1) * share)

    def read(step: int) -> np.ndarray:
        return split.x[batch_indices(seed, step, 1, len(split), batch_size)[0, mine]]

    threads = min(prefetch, 2 * (os.cpu_count() or 1))
    steps = grain.MapDataset.range(first_step, _ENDLESS).map(read)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    return iter(steps.to_iter_dataset(options))

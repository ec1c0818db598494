"""The order in which examples are seen: a pure function of (seed, epoch), nothing to save."""

import functools

import numpy as np

from vae.errors import UserError


@functools.lru_cache(maxsize=64)  # orders of as many seeds as one call may feed
def permutation(seed: int, epoch: int, num_examples: int) -> np.ndarray:
    """The order of one epoch: int32 [num_examples], read-only."""
    rows = np.arange(num_examples, dtype=np.int32)
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    order.setflags(write=False)  # it is shared through the cache
    return order


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Whole batches in an epoch; what is left over is dropped, another part each epoch."""
    if not 1 <= batch_size <= num_examples:
        raise UserError(
            f"train.batch_size={batch_size} does not fit {num_examples} training examples: "
            f"take one from 1 to {num_examples}"
        )
    return num_examples // batch_size


def batch_indices(
    seed: int, first_step: int, num_steps: int, num_examples: int, batch_size: int
) -> np.ndarray:
    """Rows of the training set for `num_steps` steps from `first_step` on.

    Returns:
        int32 [num_steps, batch_size]. Row s depends on (seed, first_step + s) alone.

    Raises:
        UserError: the batch is larger than the training set.
    """
    per_epoch = steps_per_epoch(num_examples, batch_size)
    indices = np.empty((num_steps, batch_size), np.int32)
    done = 0
    while done < num_steps:
        epoch, start = divmod(first_step + done, per_epoch)
        count = min(num_steps - done, per_epoch - start)
        rows = permutation(seed, epoch, num_examples)[start * batch_size :][: count * batch_size]
        indices[done : done + count] = rows.reshape(count, batch_size)
        done += count
    return indices

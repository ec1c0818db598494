"""Every example exactly once: padded, compiled batches, cut back to the examples there are."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vae.data.dataset import Rows
from vae.models import given
from vae.probability import noise
from vae.programs import Kept


class PerExample:
    """Applies a per-example function to whole data sets; compiled once, over all local devices.

    Args:
      function: `(variables, x [b, ...], keys [b]) -> pytree of [b, ...]`. A key is derived from the
        example's position in the whole set, so that no result depends on the batch size or on the
        number of devices.
      key: what the function depends on, for `vae.programs`; None to keep nothing.
    """

    def __init__(
        self, function: Callable[[Any, jax.Array, jax.Array], Any], key: str | None = None
    ):
        def with_keys(
            variables: Any, batch: tuple[jax.Array, ...], key: jax.Array, index: jax.Array
        ) -> Any:
            x, *context = batch
            variables = given(variables, *context) if context else variables
            return function(variables, x, noise.example_keys(key, index))

        self.function, self.of_batch = function, with_keys
        self.devices = jax.local_device_count()
        if self.devices == 1:
            self.compiled = Kept(lambda: jax.jit(with_keys), "of examples", key)
        else:
            self.compiled = jax.pmap(with_keys, in_axes=(None, 0, None, 0))

    def __call__(
        self,
        variables: Any,
        x: Rows,
        key: jax.Array,
        batch_size: int,
        context: np.ndarray | None = None,
        first: int = 0,
    ) -> Any:
        """Returns the pytree with numpy leaves [N, ...], in the order of x [N, ...].

        Args:
          batch_size: examples that one device holds at a time.
          context: [N, C], what a conditional model's variables are bound with, batch by batch.
          first: position of x[0] in the whole set, where x is a part of it.
        """
        batch_size = min(batch_size, -(-len(x) // self.devices))
        rows = batch_size * self.devices
        variables = self._place(variables)
        parts = []
        for start in range(0, len(x), rows):
            index = np.arange(first + start, first + start + rows, dtype=np.uint32)
            arrays = (x,) if context is None else (x, context)
            batch = tuple(self._split(_rows(array, start, rows)) for array in arrays)
            parts.append(self.compiled(variables, batch, key, self._split(index)))
        return jax.tree.map(lambda *leaves: self._join(leaves)[: len(x)], *parts)

    def _place(self, variables: Any) -> Any:
        """Places the variables on every device once, before the first batch."""
        if self.devices == 1:
            return jax.device_put(variables)
        mesh = jax.sharding.Mesh(np.array(jax.local_devices()), ("device",))
        return jax.device_put(variables, jax.sharding.NamedSharding(mesh, jax.P()))

    def _split(self, array: np.ndarray) -> np.ndarray:
        return array if self.devices == 1 else array.reshape(self.devices, -1, *array.shape[1:])

    def _join(self, leaves: tuple[jax.Array, ...]) -> np.ndarray:
        arrays = [np.asarray(leaf) for leaf in leaves]
        if self.devices > 1:
            arrays = [array.reshape(-1, *array.shape[2:]) for array in arrays]
        return np.concatenate(arrays)


def _rows(array: Rows, start: int, count: int) -> np.ndarray:
    """`count` rows from `start`; where there are fewer the last is repeated, and cut off at the
    end."""
    batch = np.asarray(array[start : start + count])
    if len(batch) < count:
        batch = np.concatenate([batch, np.repeat(batch[-1:], count - len(batch), 0)])
    return batch

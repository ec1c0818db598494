"""What terms that couple the batch need: the global batch, whatever the number of devices.

`axis` is the mapped device axis, None on one device. The caller averages gradients over devices.
"""

import jax
import jax.numpy as jnp

from vae.probability import noise

BATCH = 2**31 - 1  # the use of an example's key that belongs to the whole batch


def batch_key(keys: jax.Array, axis: str | None) -> jax.Array:
    """One key for what the global batch draws once, the same on every device: that of the batch's
    first example, with a number folded in that no example uses. `keys` [B / devices] are this
    device's."""
    data = gather(jax.random.key_data(noise.fold(keys, BATCH)), axis)
    return jax.random.wrap_key_data(data[0], impl=jax.random.key_impl(keys))


def gather(values: jax.Array, axis: str | None) -> jax.Array:
    """The global batch's values [B, ...] from this device's [B / devices, ...]."""
    return values if axis is None else jax.lax.all_gather(values, axis, tiled=True)


def mean(values: jax.Array, axis: str | None) -> jax.Array:
    """The mean of values [B, ...] over the global batch: [...]."""
    local = values.mean(0)
    return local if axis is None else jax.lax.pmean(local, axis)


def own_pairs(count: int, axis: str | None) -> jax.Array:
    """Which of the pairs (example of this device, example of the global batch) are an example with
    itself: ones and zeros [count, B]."""
    if axis is None:
        return jnp.eye(count)
    first = jax.lax.axis_index(axis) * count
    total = count * jax.lax.axis_size(axis)
    return jnp.equal(first + jnp.arange(count)[:, None], jnp.arange(total)).astype(jnp.float32)


def own(values: jax.Array, count: int, axis: str | None) -> jax.Array:
    """This device's `count` rows of the global batch's values [B, ...]: undoes `gather`."""
    if axis is None:
        return values
    return jax.lax.dynamic_slice_in_dim(values, jax.lax.axis_index(axis) * count, count)

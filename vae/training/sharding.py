"""One run over a mesh of devices: rows of the batch along one axis, large arrays along the other.

The mesh has axes BATCH and MODEL. A step over it is the step of one device, compiled once for all
devices (`train.parallel=shard`): XLA adds what they have to exchange, so that every term sees the
global batch. Arrays travel between host and mesh here, whichever process has their parts.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vae.errors import UserError

BATCH, MODEL = "batch", "model"
LEAST = 2**14  # numbers of an array that is cut: smaller ones cost more to exchange than to hold


def mesh_of(model_axis: int, devices: Sequence[Any] = ()) -> jax.sharding.Mesh:
    """All devices of all processes, or those given, `model_axis` of them to each share of the
    batch."""
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    grid = np.array(devices).reshape(-1, model_axis)
    return jax.sharding.Mesh(grid, (BATCH, MODEL), axis_types=(jax.sharding.AxisType.Auto,) * 2)


def shares(model_axis: int) -> tuple[int, int]:
    """Which part of the batch this process feeds, and how many there are: one a process, but for
    processes that hold parts of the same weights, which feed the same rows."""
    together = max(1, model_axis // jax.local_device_count())
    return jax.process_index() // together, jax.process_count() // together


def rule(shape: tuple[int, ...], ways: int) -> jax.P:
    """How an array of the state lies along MODEL: cut `ways` times along its largest dimension that
    divides, the last of equal ones, if it has LEAST numbers; else whole on every device. Moments
    and averaged weights have their weight's shape, and so lie as it does."""
    dividing = [axis for axis, size in enumerate(shape) if size % ways == 0]
    if ways == 1 or math.prod(shape) < LEAST or not dividing:
        return jax.P()
    largest = max(dividing, key=lambda axis: (shape[axis], axis))
    return jax.P(*(MODEL if axis == largest else None for axis in range(len(shape))))


def check(params: Any, model_axis: int) -> None:
    """Raises UserError where train.model_axis cuts none of the parameters of such shapes."""
    cut = any(rule(leaf.shape, model_axis) != jax.P() for leaf in jax.tree.leaves(params))
    if model_axis > 1 and not cut:
        raise UserError(
            f"train.model_axis={model_axis} cuts none of the weights: none of {LEAST:,} numbers or "
            "more has a dimension that it divides; leave it at 1"
        )


def laid(mesh: jax.sharding.Mesh, state: Any) -> Any:
    """The shardings of a state's arrays, or of arrays of such shapes."""
    ways = mesh.shape[MODEL]
    return jax.tree.map(lambda a: jax.NamedSharding(mesh, rule(np.shape(a), ways)), state)


def whole(mesh: jax.sharding.Mesh) -> jax.NamedSharding:
    """The sharding of what every device has all of."""
    return jax.NamedSharding(mesh, jax.P())


def kept(mesh: jax.sharding.Mesh | None, state: Any) -> Any:
    """A traced state that stays laid by the rule; as it is without a mesh."""
    if mesh is None:
        return state
    return jax.lax.with_sharding_constraint(state, laid(mesh, state))


def rows(mesh: jax.sharding.Mesh | None, batch: Any) -> Any:
    """Traced arrays [B, ...] with their rows along BATCH; as they are without a mesh."""
    if mesh is None:
        return batch
    return jax.lax.with_sharding_constraint(batch, jax.NamedSharding(mesh, jax.P(BATCH)))


def put(arrays: Any, shardings: Any) -> Any:
    """Arrays of the host, the same in every process, as arrays of the mesh.

    Args:
      shardings: one for all, or a tree like `arrays`.
    """
    if isinstance(shardings, jax.NamedSharding):
        one = shardings
        shardings = jax.tree.map(lambda _: one, arrays)

    def placed(array: Any, sharding: jax.NamedSharding) -> jax.Array:
        array = np.asarray(array)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(placed, arrays, shardings)


def put_rows(mesh: jax.sharding.Mesh, fed: np.ndarray, count: int) -> jax.Array:
    """This process's rows of the batches [T, b, ...] as global ones [T, B, ...].

    Args:
      count: of the processes' shares (`shares`): B / b.
    """
    sharding = jax.NamedSharding(mesh, jax.P(None, BATCH))
    shape = (fed.shape[0], count * fed.shape[1], *fed.shape[2:])
    return jax.make_array_from_process_local_data(sharding, fed, shape)


def get(state: Any) -> Any:
    """Arrays of the mesh on the host, whole. All processes call it together."""

    def gathered(array: Any) -> Any:
        there = not isinstance(array, jax.Array) or array.is_fully_addressable
        if there or array.is_fully_replicated:
            return array
        from jax.experimental import multihost_utils

        return multihost_utils.process_allgather(array, tiled=True)

    return jax.device_get(jax.tree.map(gathered, state))

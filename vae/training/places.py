"""Where one run's arrays lie while it trains, and what is compiled for it there.

One place for each value of `train.parallel`. A state comes from the host and goes back to it as the
state of one device, so that a checkpoint knows nothing of places.
"""

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vae.errors import UserError
from vae.training import sharding
from vae.training.program import Program
from vae.training.state import State


def resolve(config: ConfigDict, devices: int = 0) -> str:
    """'jit', 'pmap' or 'shard': what train.parallel means on so many devices.

    Args:
      devices: of all processes; 0: those at hand.

    Raises:
      UserError: the batch or train.model_axis does not divide over the devices, or jit is asked of
        several processes.
    """
    devices, processes = devices or jax.device_count(), jax.process_count()
    train = config.train
    chosen, cut = train.parallel, train.model_axis
    if chosen == "auto":
        chosen = "shard" if cut > 1 else "pmap" if devices > 1 else "jit"
    if chosen == "jit" and processes > 1:
        raise UserError(f"train.parallel=jit is for one process, there are {processes}: use pmap")
    if cut > 1 and chosen != "shard":
        raise UserError(
            f"train.model_axis={cut} is of train.parallel=shard, and this is {chosen}: set one"
        )
    local = devices // processes
    if devices % cut or (cut % local and local % cut):
        raise UserError(
            f"train.model_axis={cut} does not divide {devices} devices, {local} a process: take "
            "a divisor of both, or 1"
        )
    if chosen == "shard" and devices == 1:
        chosen = "jit"  # the same program
    ways = 1 if chosen == "jit" else devices // cut
    if train.batch_size % (ways * train.accumulate) and ways > 1:
        parts = f" in train.accumulate={train.accumulate} parts" if train.accumulate > 1 else ""
        raise UserError(
            f"train.batch_size={train.batch_size} does not divide over {ways} devices{parts}: "
            f"take a multiple of {ways * train.accumulate}, or train.parallel=jit"
        )
    return chosen


def replicated(arrays: Any, devices: list[Any]) -> Any:
    """`arrays` placed once on every one of `devices`, as pmap takes unmapped arguments."""
    mesh = jax.sharding.Mesh(np.array(devices), ("device",))
    return jax.device_put(arrays, jax.sharding.NamedSharding(mesh, jax.P()))


class Jit:
    """One device."""

    def loop(self, program: Program, state: State) -> Any:
        """The compiled loop of steps for states like `state`."""
        from vae.training.step import compile_loop

        return compile_loop(program, "jit")

    def examples(self, arrays: Any) -> Any:
        """The raw training set."""
        return jax.device_put(arrays)

    def fed(self, batches: np.ndarray) -> Any:
        """What this process feeds: rows [T, b], or raw batches [T, b, ...]."""
        return batches

    def state(self, state: State) -> State:
        """A state of the host, before the first step."""
        return state

    def host(self, state: State) -> State:
        """The state on the host; all processes call it together."""
        return jax.device_get(state)


class Pmap(Jit):
    """Every device, with its own rows of the batch and all of the weights."""

    def loop(self, program: Program, state: State) -> Any:
        """As `Jit.loop`."""
        from vae.training.step import compile_loop

        return compile_loop(program, "pmap")

    def examples(self, arrays: Any) -> Any:
        """As `Jit.examples`."""
        return replicated(arrays, jax.local_devices())

    def fed(self, batches: np.ndarray) -> Any:
        """With a leading axis of local devices."""
        most = len(batches)
        split = batches.reshape(most, jax.local_device_count(), -1, *batches.shape[2:])
        return np.ascontiguousarray(split.swapaxes(0, 1))


class Shard(Jit):
    """A mesh of every device (`vae.training.sharding`).

    Args:
      model_axis: devices that share the weights of one share of the batch.
    """

    def __init__(self, model_axis: int):
        self.mesh = sharding.mesh_of(model_axis)
        self.shares = sharding.shares(model_axis)[1]

    def loop(self, program: Program, state: State) -> Any:
        """As `Jit.loop`."""
        from vae.training.step import compile_over

        return compile_over(program, self.mesh, state)

    def examples(self, arrays: Any) -> Any:
        """As `Jit.examples`."""
        return sharding.put(arrays, sharding.whole(self.mesh))

    def fed(self, batches: np.ndarray) -> Any:
        """As global arrays."""
        return sharding.put_rows(self.mesh, batches, self.shares)

    def state(self, state: State) -> State:
        """Laid over the mesh by its rule; the book stays on the host, as between calls, so that the
        first call compiles what the next ones run."""
        placed = sharding.put(state, sharding.laid(self.mesh, state))
        return placed.replace(**state.book())

    def host(self, state: State) -> State:
        """As `Jit.host`, put together."""
        return sharding.get(state)


def of(parallel: str, model_axis: int) -> Jit:
    """The place that `resolve` names."""
    if parallel == "shard":
        return Shard(model_axis)
    return Pmap() if parallel == "pmap" else Jit()

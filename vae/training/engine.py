"""Where states live between calls of the compiled loop: one run, or many runs over the devices.

Both engines have slots. A slot holds the state of one run, at that run's own shapes on the way in
and out; `run` advances every slot by as many steps as it is fed. Weights stay on the devices; the
few numbers of `State.book` are on the host after each call.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from vae.errors import needed
from vae.models import fit
from vae.programs import Kept
from vae.training import places
from vae.training import state as states
from vae.training.program import Hyper, Program
from vae.training.state import State

MOST_STEPS = 2048  # of one compiled call
USABLE = 0.9  # of a device's memory; the rest is the allocator's
CALL_BYTES = 64 * 2**20  # of what one call is fed, on the host: raw batches, or rows of many runs


def most_steps(step_bytes: int, wanted: int) -> int:
    """Steps that one call can be fed, at most `wanted`.

    Args:
      step_bytes: of what a step is fed, all runs together; 0 where it is a few rows' numbers.
    """
    most = min(wanted, MOST_STEPS)
    return max(1, min(most, CALL_BYTES // step_bytes)) if step_bytes else most


def run_steps(x: Any, batch_size: int, streamed: bool, wanted: int) -> int:
    """`most_steps` of one run: what is streamed are the raw batches.

    Args:
      x: the training set's examples [N, *shape], or their shape and type.
    """
    size = batch_size * int(np.prod(x.shape[1:])) * x.dtype.itemsize
    return most_steps(size if streamed else 0, wanted)


def row_bytes(runs: int, batch_size: int) -> int:
    """Of the rows' numbers that a step of so many runs is fed."""
    return runs * batch_size * np.dtype(np.int32).itemsize


def memory_limit() -> int | None:
    """Bytes that a device has; None where it does not say, as CPUs."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def needed_bytes(used: Any) -> int:
    """Bytes of a device that a compiled program takes, from its memory analysis."""
    total = used.argument_size_in_bytes + used.temp_size_in_bytes + used.output_size_in_bytes
    return total - used.alias_size_in_bytes


def population_shapes(
    state: State, hyper: Hyper, examples: Any, grid: tuple[int, int], most: int, batch_size: int
) -> tuple[Any, ...]:
    """Shapes of a population's arguments, as `compile_population` takes them.

    Args:
      state, hyper: of one run, or their shapes.
      grid: devices, and runs of each.
      most: steps of a call.
    """

    def stacked(array: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*grid, *np.shape(array)), array.dtype)

    state, hyper = jax.tree.map(stacked, (state, hyper))
    rows = jax.ShapeDtypeStruct((*grid, most, batch_size), np.int32)
    return state, hyper, examples, rows, jax.ShapeDtypeStruct(grid, np.int32)


def padded(batches: np.ndarray, most: int) -> np.ndarray:
    """[T, ...] -> [most, ...], so that calls of every length share one compilation."""
    result = np.zeros((most, *batches.shape[1:]), batches.dtype)
    result[: len(batches)] = batches
    return result


class Single:
    """One run: on one device ("jit"), or over all of them ("pmap", "shard").

    Args:
      examples: the raw training set, as `Split.arrays` gives it; None where batches are streamed.
      most: steps that one call can be fed.
      key: what the program depends on, for `vae.programs`; None to keep nothing.
      model_axis: with "shard", devices that share the weights.
    """

    size = 1  # slots

    def __init__(
        self,
        program: Program,
        examples: Any,
        parallel: str,
        most: int,
        key: str | None = None,
        model_axis: int = 1,
    ):
        self.program, self.most = program, most
        self.place = places.of(parallel, model_axis)
        self.compiled = Kept(lambda: self.place.loop(program, self.state), parallel, key)
        self.examples = None if examples is None else self.place.examples(examples)

    def can_halve(self, runs: int) -> bool:
        """Never: there is one slot."""
        return False

    def halved(self) -> "Single":
        """Itself."""
        return self

    def put(self, slot: int, state: State, hyper: Hyper) -> None:
        """Places a run's state and hyperparameters in the slot."""
        self.state, self.hyper = self.place.state(state), hyper

    def run(self, fed: Mapping[int, np.ndarray]) -> None:
        """One step a batch, fewer where the run halts: fed[0] is [T, b] rows or [T, b, ...]."""
        batches = self.place.fed(padded(fed[0], self.most))
        count = np.int32(len(fed[0]))
        done = self.compiled(self.state, self.hyper, self.examples, batches, count)
        self.state = done.replace(**jax.device_get(done.book()))

    def get(self, slot: int) -> State:
        """The state on the host."""
        return self.place.host(self.state)

    def book(self, slot: int) -> dict[str, Any]:
        """`State.book` on the host."""
        return self.state.book()

    def edit(self, slot: int, **book: Any) -> None:
        """Sets numbers of `State.book`."""
        self.state = self.state.replace(**book)


class Population:
    """Many runs as one compiled program: `per_device` at a time on each of `devices`.

    The runs may differ in everything that is traced, the number of latents included: where
    `program.masked`, smaller states are filled up with zeros on the way in and cut on the way out.

    Args:
      examples: the raw training set, as `Split.arrays` gives it.
    """

    def __init__(
        self, program: Program, examples: Any, devices: int, per_device: int, most: int
    ):
        self.program, self.devices, self.per_device, self.most = program, devices, per_device, most
        self.size = devices * per_device
        from vae.training.step import compile_population

        self.compiled = compile_population(program, per_device)
        self._to_devices = jax.pmap(lambda arrays: arrays)
        self.examples = examples
        if not isinstance(examples["x"], jax.Array):
            self.examples = places.replicated(examples, jax.local_devices()[:devices])
        self.shape = tuple(examples["x"].shape[1:])
        self.state: State | None = None  # leaves [devices, per_device, ...]
        self.hyper: Hyper = {}
        self._template: State | None = None
        self._own: dict[int, State] = {}  # the run's own shapes, by slot
        self._new: dict[int, tuple[State, Hyper]] = {}  # put, and not yet among the others

    def can_halve(self, runs: int) -> bool:
        """Whether so many runs fit half of the slots."""
        return self.per_device > 1 and runs <= self.devices * -(-self.per_device // 2)

    def halved(self) -> "Population":
        """An empty engine of half the slots a device, on the same examples."""
        half = -(-self.per_device // 2)
        return Population(self.program, self.examples, self.devices, half, self.most)

    def fits(self, hyper: Hyper, batch_size: int) -> bool:
        """Whether the compiled program and what it works on fit the memory of a device."""
        limit = memory_limit()
        if limit is None:
            return True
        used = self.lower(hyper, batch_size).compile().memory_analysis()
        return needed_bytes(used) < USABLE * limit

    def lower(self, hyper: Hyper, batch_size: int) -> Any:
        """The program for runs of so many examples a batch, lowered and not yet compiled."""
        state = self._shapes(hyper)
        grid = (self.devices, self.per_device)
        return self.compiled.lower(
            *population_shapes(state, hyper, self.examples, grid, self.most, batch_size)
        )

    def _shapes(self, hyper: Hyper) -> State:
        if self._template is None:
            self._template = states.shapes(self.program, hyper, self.shape)
        return self._template

    def put(self, slot: int, state: State, hyper: Hyper) -> None:
        """Places a run in a slot; its arrays go to the device before the next step."""
        self._own[slot] = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), state)
        self._new[slot] = (fit(state, self._shapes(hyper)), hyper)

    def _place(self) -> None:
        """Writes what was put into the stacked arrays, and the weights to their devices."""
        if not self._new:
            return
        if self.state is None:
            grid = (self.devices, self.per_device)
            first = next(iter(self._new.values()))
            held = jax.tree.map(lambda a: np.tile(a, (*grid, *[1] * np.ndim(a))), first)
        else:
            held = jax.tree.map(np.array, jax.device_get((self.state, self.hyper)))
        for slot, new in self._new.items():
            for array, value in zip(jax.tree.leaves(held), jax.tree.leaves(new), strict=True):
                array[divmod(slot, self.per_device)] = value
        # Through a pmap that does nothing, so that what the loop takes looks like what it returned
        # and it is compiled once. The book's numbers come from the host at every call.
        state, self.hyper = self._to_devices(held)
        self.state = state.replace(**held[0].book())
        self._new.clear()

    def run(self, fed: Mapping[int, np.ndarray]) -> None:
        """One step a batch for every slot that is fed: rows [T, B]. The others stay as they are."""
        self._place()
        some = next(iter(fed.values()))
        rows = np.zeros((self.size, self.most, *some.shape[1:]), some.dtype)
        counts = np.zeros(self.size, np.int32)
        for slot, batches in fed.items():
            rows[slot, : len(batches)], counts[slot] = batches, len(batches)
        grid = (self.devices, self.per_device)
        rows, counts = rows.reshape(*grid, *rows.shape[1:]), counts.reshape(grid)
        done = self.compiled(self.state, self.hyper, self.examples, rows, counts)
        self.state = done.replace(**jax.tree.map(np.array, jax.device_get(done.book())))

    def get(self, slot: int) -> State:
        """The state on the host, at the run's own shapes."""
        self._place()
        place = divmod(slot, self.per_device)
        return fit(jax.tree.map(lambda a: _pick(a, place), self.state), self._own[slot])

    def book(self, slot: int) -> dict[str, Any]:
        """The slot's `State.book`, on the host."""
        place = divmod(slot, self.per_device)
        return jax.tree.map(lambda a: a[place], needed(self.state, "state").book())

    def edit(self, slot: int, **book: Any) -> None:
        """Sets numbers of the slot's `State.book`."""
        place = divmod(slot, self.per_device)
        held = {name: getattr(self.state, name) for name in book}
        for array, value in zip(jax.tree.leaves(held), jax.tree.leaves(book), strict=True):
            array[place] = value


def _pick(stacked: Any, place: tuple[int, int]) -> np.ndarray:
    """A copy on the host of one run's array: from its own device alone."""
    device, position = place
    if isinstance(stacked, np.ndarray):
        return np.array(stacked[device, position])
    shards = {shard.index[0].start or 0: shard.data for shard in stacked.addressable_shards}
    if shards[device].shape[1] == 1:
        return np.array(shards[device])[0, 0]
    return np.array(shards[device][0, position])  # the slice is made on the device

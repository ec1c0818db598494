"""Training programs compiled ahead, for devices that are here or are not, and what they need."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vae.hardware import products, program_text
from vae.hardware.targets import Target
from vae.traced_for import tracing_for
from vae.training import setup, sharding, state, step
from vae.training.engine import (
    most_steps,
    needed_bytes,
    population_shapes,
    row_bytes,
    run_steps,
)
from vae.training.program import Hyper, Program
from vae.training.trial import intervals


@dataclasses.dataclass(frozen=True)
class Needs:
    """What one device needs for a compiled training loop. Bytes and collectives are the compiler's;
    products are counted in the traced program."""

    compile_seconds: float
    argument_bytes: int  # weights, optimiser, training set, rows of one call
    temporary_bytes: int
    output_bytes: int
    alias_bytes: int  # of outputs that take the place of arguments
    program_bytes: int
    needed_bytes: int  # arguments, temporaries and outputs together, what is shared counted once
    examples_bytes: int  # of the arguments: the training set
    flops: int  # of a step's products
    moved_bytes: int  # that a step's instructions read and write
    collectives: dict[str, int]  # of a step
    collective_bytes: int  # of a step


def run(
    config: ConfigDict, program: Program, shapes: Any, devices: Sequence[Any], target: Target,
    parallel: str,
) -> Needs:  # fmt: skip
    """What a run needs, its batch over the devices.

    Args:
      shapes: of the training set's arrays, as `Split.arrays` gives them.
      parallel: "jit", on the first of the devices, "pmap", or "shard".
    """
    over = 1 if parallel == "jit" else len(devices)
    count = len(devices) if parallel == "pmap" else 1
    batch = config.train.batch_size // count
    _, log_steps = intervals(config, program.steps_per_epoch)
    x = shapes["x"]
    streamed = config.data.stream
    most = run_steps(x, config.train.batch_size, streamed, log_steps)
    fed = jax.ShapeDtypeStruct((most, batch, *x.shape[1:]), x.dtype)
    if not streamed:
        fed = jax.ShapeDtypeStruct((most, batch), np.int32)
    if parallel == "pmap":
        fed = jax.ShapeDtypeStruct((count, *fed.shape), fed.dtype)
    hyper = setup.hyperparameters(config)
    with tracing_for(target.platform):
        begun = state.shapes(program, hyper, x.shape[1:])
        arguments: Any = (begun, _shapes(hyper), None if streamed else shapes, fed, _NUMBER)
        if parallel == "jit":
            one = jax.sharding.SingleDeviceSharding(devices[0])
            arguments = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=one), arguments
            )

        def loop() -> Any:
            if parallel != "shard":
                there = devices if parallel == "pmap" else None
                return step.compile_loop(program, parallel, there)
            mesh = sharding.mesh_of(config.train.model_axis, devices)
            return step.compile_over(program, mesh, begun)

        compiled, seconds = _compiled(loop, arguments, target)
        flops = _flops(program, begun, hyper, shapes, config.train.batch_size) // over
        return _needs(compiled, seconds, flops, None if streamed else shapes)


def population(
    config: ConfigDict, program: Program, shapes: Any, devices: Sequence[Any], target: Target,
    per_device: int,
) -> Needs:  # fmt: skip
    """What a population of runs of one program needs, `per_device` on each of the devices."""
    _, log_steps = intervals(config, program.steps_per_epoch)
    hyper = setup.hyperparameters(config)
    batch, grid = config.train.batch_size, (len(devices), per_device)
    with tracing_for(target.platform):
        begun = state.shapes(program, hyper, shapes["x"].shape[1:])
        most = most_steps(row_bytes(len(devices) * per_device, batch), log_steps)
        arguments = population_shapes(begun, hyper, shapes, grid, most, batch)
        compiled, seconds = _compiled(
            lambda: step.compile_population(program, per_device, devices), arguments, target
        )
        flops = _flops(program, begun, hyper, shapes, batch)
        return _needs(compiled, seconds, flops * per_device, shapes)


def mapped(
    function: Callable[..., Any], arguments: Any, in_axes: Any, devices: Sequence[Any],
    target: Target,
) -> Needs:  # fmt: skip
    """What any function needs, mapped over the devices by `jax.pmap`.

    Args:
      arguments: or their shapes, with the devices' axis.
      in_axes: as `jax.pmap` takes them.
    """
    compiled, seconds = _compiled(
        lambda: jax.pmap(function, in_axes=in_axes, devices=devices), arguments, target
    )
    flops = products.flops(jax.vmap(function, in_axes), *arguments) // len(devices)
    return _needs(compiled, seconds, flops, None)


_NUMBER = jax.ShapeDtypeStruct((), np.int32)


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), tree)


def _compiled(
    build: Callable[[], Any], arguments: tuple[Any, ...], target: Target
) -> tuple[Any, float]:
    """The program, and the seconds that tracing and compiling took."""
    began = time.perf_counter()
    compiled = build().lower(*arguments).compile(compiler_options=target.options)
    return compiled, time.perf_counter() - began


def _flops(program: Program, begun: Any, hyper: Hyper, shapes: Any, batch: int) -> int:
    """Of a step of one run with so many examples."""
    rows = {
        name: jax.ShapeDtypeStruct((batch, *a.shape[1:]), a.dtype) for name, a in shapes.items()
    }
    return products.flops(lambda *args: step.train_step(program, *args), begun, hyper, rows)


def _needs(compiled: Any, seconds: float, flops: int, examples: Any) -> Needs:
    used, done = compiled.memory_analysis(), program_text.read(compiled)
    return Needs(
        compile_seconds=seconds,
        argument_bytes=used.argument_size_in_bytes,
        temporary_bytes=used.temp_size_in_bytes,
        output_bytes=used.output_size_in_bytes,
        alias_bytes=used.alias_size_in_bytes,
        program_bytes=used.generated_code_size_in_bytes,
        needed_bytes=needed_bytes(used),
        examples_bytes=sum(
            int(np.prod(a.shape)) * a.dtype.itemsize for a in jax.tree.leaves(examples or ())
        ),
        flops=flops,
        moved_bytes=done.bytes,
        collectives=done.collectives,
        collective_bytes=done.collective_bytes,
    )

"""The `plan` verb: what a run or a sweep would need on hardware that is not here."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from vae import runs
from vae.errors import RunError, UserError
from vae.hardware.targets import Target, devices, parse, prepare

if TYPE_CHECKING:
    from vae.data.dataset import Dataset
    from vae.hardware.ahead import Needs
    from vae.sweeps.grid import Grid

UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def plan(
    config: ConfigDict,
    grid: "Grid",
    target: str,
    seeds: int = 1,
    slots: int = 0,
    output: str | None = None,
) -> list[dict[str, Any]]:
    """Compiles a run, or each program of a sweep, for a target, and prints what it needs there.

    Args:
      grid: points of a sweep (see `vae.sweeps.grid`); none for a single run.
      target: as `vae.hardware.targets.parse` takes it.
      seeds, slots: as the sweep's.
      output: a .json to write the same to, with every number.

    Returns:
      A row for each program.

    Raises:
      UserError: target, config or data are wrong, or the target's compiler is not installed.
      RunError: a program does not compile; the table is printed, and the .json is written.
    """
    aim = parse(target)
    if output and not output.endswith(".json"):
        raise UserError(f"--output={output} is no .json")
    prepare(aim)
    rows = _sweep(config, grid, seeds, slots, aim) if grid else [_run(config, aim)]
    text = shown(rows, aim)
    if output:
        found: dict[str, Any] = {"target": _described(aim), "programs": rows}
        runs.write_json(Path(output), found | runs.environment())
        text += f"\n{output}"
    print(text, flush=True)
    failed = [row for row in rows if not row["compiled"]]
    if failed:
        raise RunError(f"{failed[0]['program']} does not compile: {failed[0]['reason']}")
    return rows


def _run(config: ConfigDict, target: Target) -> dict[str, Any]:
    """The row of one run, its batch over all devices."""
    from vae import automatic, data
    from vae import config as configs
    from vae.hardware import ahead
    from vae.training import places, setup

    configs.check(config)
    config = automatic.resolved(config)
    parallel = places.resolve(config, target.count)
    dataset = data.load(config.data)
    program = setup.program(config, dataset, here=False)
    there = devices(target)
    what = "one device" if target.count == 1 else f"{parallel}, {target.count} devices"
    row = {
        "program": what, "trials": 1, "devices": target.count, "trials_a_device": 1,
        "rounds": 1, "batch_size": config.train.batch_size,
        "steps": program.epochs * program.steps_per_epoch,
    }  # fmt: skip
    shapes = shapes_of(dataset)
    return row | _compiled(
        lambda: ahead.run(config, program, shapes, there, target, parallel), row, config, target
    )


def _sweep(
    config: ConfigDict, grid: "Grid", seeds: int, slots: int, target: Target
) -> list[dict[str, Any]]:
    """A row for each program of a sweep's population."""
    import jax

    from vae import automatic
    from vae.sweeps.plan import groups, plan

    there = devices(target)
    rows = []
    for members in groups(plan(automatic.resolved(config), grid, seeds)):
        rows.append(_group([trial.config for trial in members], slots, there, target))
        jax.clear_caches()
    return rows


def _group(
    configs: Sequence[ConfigDict], slots: int, there: Sequence[Any], target: Target
) -> dict[str, Any]:
    """The row of one program: of as many runs a device as were asked for and fit, as the engine
    finds them."""
    from vae.hardware import ahead
    from vae.training.population import Group, layout

    group = Group(configs)
    largest = max(configs, key=lambda config: config.model.latent_size)
    count, each = layout(len(configs), slots, target.count, target.platform)
    shapes = shapes_of(group.dataset)

    def row(each: int) -> dict[str, Any]:
        facts = {
            "program": f"population of {len(configs)}", "trials": len(configs),
            "devices": count, "trials_a_device": each,
            "rounds": math.ceil(len(configs) / (count * each)),
            "batch_size": largest.train.batch_size,
            "steps": group.program.epochs * group.program.steps_per_epoch,
        }  # fmt: skip
        found = _compiled(
            lambda: ahead.population(
                largest, group.program, shapes, there[:count], target, each
            ),
            facts, largest, target,
        )  # fmt: skip
        return facts | found

    found = row(each)
    while each > 1 and not found.get("fits", True):
        each = -(-each // 2)
        found = row(each)
    return found


def shapes_of(dataset: "Dataset") -> dict[str, Any]:
    """Shapes and types of a training set's arrays."""
    import jax

    arrays = dataset.splits["train"].arrays()
    return {name: jax.ShapeDtypeStruct(a.shape, a.dtype) for name, a in arrays.items()}


def _compiled(
    compile_it: Any, row: dict[str, Any], config: ConfigDict, target: Target
) -> dict[str, Any]:
    """What compiling found, or why it failed."""
    try:
        needs = compile_it()
    except UserError:
        raise
    except Exception as error:  # a compiler raises anything
        return {"compiled": False, "reason": " ".join(str(error).split())[:300]}
    return {"compiled": True, **dataclasses.asdict(needs), **judged(needs, row, config, target)}


def judged(
    needs: "Needs", row: dict[str, Any], config: ConfigDict, target: Target
) -> dict[str, Any]:
    """Whether it fits, and the least time that a step can take by the device's published figures.

    The roofline: products at the peak or bytes at the memory's bandwidth, whichever is slower, and
    after that the collectives, each sent around a ring of the devices.
    """
    from vae.training.engine import USABLE

    device = target.device
    if device is None:
        return {}
    seconds = {
        "products": needs.flops
        / (device.half if config.model.dtype == "bfloat16" else device.peak),
        "memory": needs.moved_bytes / device.bandwidth,
        "links": 2 * (1 - 1 / row["devices"]) * needs.collective_bytes / device.links,
    }
    step = max(seconds["products"], seconds["memory"]) + seconds["links"]
    usable = USABLE * device.memory
    each = (needs.needed_bytes - needs.examples_bytes) / row["trials_a_device"]
    return {
        "fits": needs.needed_bytes < usable,
        "trials_that_fit": max(0, int((usable - needs.examples_bytes) / each)),
        "roofline_seconds": {**seconds, "step": step},
        "bound_by": max(seconds, key=lambda name: seconds[name]),
        "roofline_hours": step * row["steps"] * row["rounds"] / 3600,
    }


def shown(rows: Sequence[dict[str, Any]], target: Target) -> str:
    """A table of the programs, and what its numbers are."""
    from vae.reports.tables import format_table

    lines = []
    for row in rows:
        line: dict[str, Any] = {
            "program": row["program"],
            "a device": f"{row['trials_a_device']} trial{'s' * (row['trials_a_device'] > 1)}",
        }
        if not row["compiled"]:
            lines.append(line | {"compiled": "no"})
            continue
        line |= {
            "compiled": f"{row['compile_seconds']:.0f} s",
            "memory": amount(row["needed_bytes"]),
            "products": f"{row['flops'] / 1e9:.3g} GFLOP",
            "moved": amount(row["moved_bytes"]),
            "collectives": _collectives(row),
        }
        if "roofline_seconds" in row:
            line["step"] = f"{1e6 * row['roofline_seconds']['step']:.3g} us"
            line["bound by"] = row["bound_by"]
        lines.append(line)
    text = [f"{target.name}: {_device(target)}", "", format_table(lines), ""]
    for row in rows:
        if row.get("fits") is not None:
            text.append(
                f"{row['program']}: {'fits' if row['fits'] else 'does not fit'}; about "
                f"{row['trials_that_fit']:,} such trials fit a device; {row['steps']:,} steps, "
                f"{row['rounds']} round{'s' * (row['rounds'] > 1)}"
            )
    text.append(
        "memory, moved and collectives of a step and device are the compiler's; products are "
        "counted in the traced program"
    )
    if target.device is not None:
        text.append(
            "step: the least that the published peak and bandwidth allow, an estimate and never a "
            "measurement"
        )
    return "\n".join(text)


def _device(target: Target) -> str:
    device = target.device
    if device is None:
        return f"{target.count} of this machine's processor"
    return (
        f"{target.count} devices, each {amount(device.memory)}, "
        f"{device.peak / 1e12:.0f} TFLOP/s, {device.bandwidth / 1e9:,.0f} GB/s ({device.source})"
    )


def _described(target: Target) -> dict[str, Any]:
    device = dataclasses.asdict(target.device) if target.device else {}
    return {"name": target.name, "devices": target.count, **device}


def _collectives(row: dict[str, Any]) -> str:
    if not row["collectives"]:
        return "none"
    number = sum(row["collectives"].values())
    return f"{number}, {amount(row['collective_bytes'])}"


def amount(count: float) -> str:
    """Bytes with a unit: "1.23 MB"."""
    name, size = max(
        ((name, size) for name, size in UNITS.items() if size <= max(count, 1)),
        key=lambda pair: pair[1],
    )
    return f"{count / size:.3g} {name}"

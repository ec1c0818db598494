"""The tables of what was compiled for accelerators, from the recorded results."""

from typing import Any

from experiments import result_files
from experiments.result_files import RESULTS
from vae.hardware.plan import amount
from vae.reports.tables import format_table


def ahead_table() -> str:
    """A line for each config, part and function: what it needs on each target, or why it does not
    compile."""
    result = result_files.read(RESULTS / "accelerators.json")
    by_what: dict[str, dict[str, str]] = {}
    for row in result["rows"]:
        line = by_what.setdefault(row["what"], {"compiled": row["what"]})
        line[row["target"]] = _needs(row)
    return f"{format_table([*by_what.values()], markdown=True)}\n\n{summary(result)}"


def _needs(row: dict[str, Any]) -> str:
    if not row["compiled"]:
        return row["reason"]
    number = sum(row["collectives"].values())
    sent = f"{number} of {amount(row['collective_bytes'])}" if number else "none"
    return f"{row['compile_seconds']:.0f} s, {amount(row['needed_bytes'])}, {sent}"


def scale_table() -> str:
    """A run, and a sweep, on more and more chips."""
    result = result_files.read(RESULTS / "accelerators_scale.json")
    parts = [
        format_table([_chips(row) for row in result["rows"]], markdown=True),
        "On the host, a trial of configs/mnist.py: " + "; ".join(
            f"{name} {1e3 * each['seconds']:.2f} ms, {amount(each['bytes'])}"
            for name, each in result["host_a_trial"].items()
        ) + ".",
    ]  # fmt: skip
    return "\n\n".join(parts)


def _chips(row: dict[str, Any]) -> dict[str, str]:
    if "reason" in row:
        return {"": row["what"], "chips": row["chips"], "memory": row["reason"]}
    return {
        "": row["what"],
        "chips": row["chips"],
        "trials a chip": str(row["trials_a_device"]),
        "memory of a chip": amount(row["needed_bytes"]),
        "moved a step": amount(row["moved_bytes"]),
        "collectives a step": str(sum(row["collectives"].values())),
        "bytes into them": amount(row["collective_bytes"]),
        "roofline of a step": f"{1e6 * row['roofline_seconds']['step']:.3g} us",
    }


def summary(result: dict[str, Any]) -> str:
    """How many programs compile for which targets, in a sentence or two."""
    by_target: dict[str, list[bool]] = {}
    for row in result["rows"]:
        by_target.setdefault(row["target"], []).append(row["compiled"])
    each = ", ".join(f"{sum(done)} of {len(done)} for {name}" for name, done in by_target.items())
    left = f" {result['left']} more have not been tried yet." if result["left"] else ""
    return f"Compiled ahead without the device: {each}.{left}"


def summary_line() -> str:
    """The same of what is recorded."""
    return summary(result_files.read(RESULTS / "accelerators.json"))


TABLES = {
    name: table
    for name, file, table in (
        ("accelerators", "accelerators", ahead_table),
        ("accelerators_line", "accelerators", summary_line),
        ("accelerators_scale", "accelerators_scale", scale_table),
    )
    if (RESULTS / f"{file}.json").exists()
}

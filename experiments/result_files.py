"""The files of `experiments/results/`: read, written, and found by what they are of.

A result is a mapping, in JSON. Numbers have seven digits, and a long list of rows of the same keys
is written as its columns, so that thousands of trials fit into a file that can be looked at.
"""

import json
from pathlib import Path
from typing import Any

from experiments.protocol import SCALES
from vae import runs

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "results"
DIGITS = 7
LONG = 8  # rows
COLUMNS = "columns"  # the one key of a list that is written as its columns


def write(name: str, result: dict[str, Any]) -> Path:
    """Writes `results/NAME.json`, a key a line; returns its path."""
    path = RESULTS / f"{name}.json"
    runs.write_atomic(path, text(result))
    return path


def read(path: Path) -> dict[str, Any]:
    """What `write` was given, numbers at seven digits; any other JSON as it is."""
    return _whole(runs.read_json(path))


def text(result: dict[str, Any]) -> str:
    """A result as the text of its file."""
    lines = []
    for key, value in result.items():
        short = _short(value)
        shown = _line(short)
        if isinstance(short, dict) and short:
            inner = (f"  {json.dumps(k)}: {_line(v)}" for k, v in short.items())
            shown = "{\n" + ",\n".join(inner) + "\n }"
        lines.append(f" {json.dumps(key)}: {shown}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def recorded(pattern: str = "*.json") -> list[dict[str, Any]]:
    """What the files of results hold, in order of their names."""
    return [read(path) for path in sorted(RESULTS.glob(pattern))]


def reproductions(applications: bool) -> list[dict[str, Any]]:
    """Every recorded experiment that is an application, or that reproduces a paper, by name, the
    largest scale first."""
    found = [result for result in recorded() if "experiment" in result]
    room = ROOT / "experiments" / "applications"
    found = [r for r in found if (room / f"{r['experiment']}.py").exists() == applications]
    return sorted(found, key=lambda r: (r["experiment"], SCALES.index(r["scale"])))


def file_name(name: str, scale: str) -> str:
    """The name of an experiment's result file, without the suffix."""
    return name if scale == "full" else f"{name}-{scale}"


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _short(value: Any) -> Any:
    """With fewer digits, and long lists of like rows as columns."""
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
    like = len(value) >= LONG and all(isinstance(row, dict) and row for row in value)
    if like and all(list(row) == list(value[0]) for row in value):
        return {COLUMNS: {key: _short([row[key] for row in value]) for key in value[0]}}
    return [_short(item) for item in value]


def _whole(value: Any) -> Any:
    """The inverse."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _whole(item) for key, item in value.items()}
    if list(value) != [COLUMNS]:
        return value
    columns = value[COLUMNS]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

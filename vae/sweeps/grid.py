"""What a sweep tries: points of a grid, or a space to search.

A config file describes its sweep with these, beside `get_config`:

    from vae.sweeps.grid import log, product, sweep

    def get_sweep():
        return product([sweep("model.latent_size", (2, 8, 32)),
                        sweep("objective.beta", log(0.25, 4.0, 5))])

A point is a mapping from dotted config keys to values; a grid is a list of points.
"""

import ast
import dataclasses
import itertools
import math
import re
import runpy
from collections.abc import Iterable, Sequence
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae.choices import nearest
from vae.errors import UserError

Point = dict[str, Any]
Grid = list[Point]
RANGE = re.compile(r"(log|linear)\(([^()]*)\)")


@dataclasses.dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, to be searched; `scale` is "log" or "linear"."""

    low: float
    high: float
    scale: str


def sweep(key: str, values: Iterable[Any]) -> Grid:
    """One point for each value of one key."""
    return [{key: value} for value in values]


def product(grids: Iterable[Grid]) -> Grid:
    """Every combination of one point of each grid; the last varies fastest."""
    return [_merge(points) for points in itertools.product(*grids)]


def zipit(grids: Iterable[Grid]) -> Grid:
    """First points together, second points together, and so on.

    Raises:
      UserError: the grids have different lengths.
    """
    grids = list(grids)
    if len({len(grid) for grid in grids}) > 1:
        lengths = ", ".join(str(len(grid)) for grid in grids)
        raise UserError(f"zipit needs grids of one length, these have {lengths} points")
    return [_merge(points) for points in zip(*grids, strict=True)]


def chain(grids: Iterable[Grid]) -> Grid:
    """The points of the first grid, then those of the next."""
    return [point for grid in grids for point in grid]


def linear(low: float, high: float, num: int) -> list[float]:
    """`num` numbers from `low` to `high`, evenly spaced, both ends included."""
    if num < 2:
        raise UserError(f"a range needs at least 2 values, not {num}")
    step = (high - low) / (num - 1)
    return [_tidy(low + i * step) for i in range(num - 1)] + [high]


def log(low: float, high: float, num: int) -> list[float]:
    """`num` numbers from `low` to `high`, each the same multiple of the one before."""
    if not 0 < low < high:
        raise UserError(f"log({low:g}, {high:g}) needs 0 < low < high")
    inner = linear(math.log(low), math.log(high), num)[1:-1]
    return [low, *(_tidy(math.exp(x)) for x in inner), high]


def _tidy(number: float) -> float:
    """Without the last digits' rounding noise: names and tables stay readable."""
    return float(f"{number:.6g}")


def _merge(points: Sequence[Point]) -> Point:
    merged: Point = {}
    for point in points:
        twice = sorted(set(merged) & set(point))
        if twice:
            raise UserError(f"the sweep sets {twice[0]} twice")
        merged |= point
    return merged


def parse(text: str, config: ConfigDict) -> tuple[str, list[Any] | Range]:
    """Reads one `--sweep`: "a.b=1,2,4", "a.b=log(0.1,10,5)", or for a search "a.b=log(0.1,10)".

    Raises:
      UserError: no such key, or values that it cannot hold.
    """
    key, found, values = text.partition("=")
    if not found or not values:
        raise UserError(f"--sweep={text}: write --sweep KEY=VALUE,VALUE,...")
    example = _example(config, key)
    match = RANGE.fullmatch(values.strip())
    if not match:
        return key, [cast(key, _literal(part, example), example) for part in _split(values)]
    scale, inside = match.groups()
    try:
        low, high, *num = (float(part) for part in inside.split(","))
        num = [int(n) for n in num]
        assert len(num) <= 1 and low < high
    except (ValueError, AssertionError):
        raise UserError(
            f"--sweep={text}: a range is {scale}(low,high,count), or {scale}(low,high) for a search"
        ) from None
    if not num:
        cast(key, low if isinstance(example, float) else int(low), example)
        return key, Range(low, high, scale)
    numbers = {"log": log, "linear": linear}[scale](low, high, num[0])
    if isinstance(example, int):
        numbers = list(dict.fromkeys(round(number) for number in numbers))
    return key, [cast(key, number, example) for number in numbers]


def described(file: str) -> Grid:
    """The `get_sweep()` of a config file; an empty grid where it has none.

    Raises:
      UserError: it does not return a grid.
    """
    found = runpy.run_path(file.split(":")[0]).get("get_sweep")
    grid = found() if found else []
    if not isinstance(grid, list) or not all(isinstance(point, dict) for point in grid):
        raise UserError(f"get_sweep() of {file} does not return a list of {{key: value}}")
    return grid


def points(parts: Sequence[tuple[str, list[Any] | Range]]) -> Grid:
    """The product of what several `--sweep` say.

    Raises:
      UserError: a range without a count: only a search can use it.
    """
    for key, values in parts:
        if isinstance(values, Range):
            ends = f"{values.scale}({values.low:g},{values.high:g}"
            raise UserError(f"--sweep {key}={ends}) is for a search; a grid needs {ends},COUNT)")
    return product([sweep(key, values) for key, values in parts]) if parts else []


def cast(key: str, value: Any, example: Any) -> Any:
    """`value` as the type that the config holds; a whole number will do for a real one.

    Raises:
      UserError: it is of another type.
    """
    if isinstance(example, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(example, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if type(value) is not type(example):
        raise UserError(f"the sweep sets {key}={value!r}, which is not like {example!r}")
    return value


def checked(grid: Grid, config: ConfigDict) -> Grid:
    """The grid with every value as its key's type.

    Raises:
      UserError: an unknown key, or a value of another type.
    """
    return [
        {key: cast(key, value, _example(config, key)) for key, value in point.items()}
        for point in grid
    ]


def _example(config: ConfigDict, key: str) -> Any:
    known = dict(configs.flatten(config))
    if key not in known:
        raise UserError(f"the sweep sets {key!r}, config has no such key{nearest(key, known)}")
    return known[key]


def _split(text: str) -> list[str]:
    """At commas outside brackets: "(200,200),(400,)" has two parts."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _literal(text: str, example: Any) -> Any:
    if isinstance(example, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

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
from collections.abc import Iterable, Sequence
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae.choices import nearest, shown
from vae.config_files import get_sweep
from vae.errors import UserError
from vae.keys import KEYS
from vae.rules import LARGEST

Point = dict[str, Any]
Grid = list[Point]
MOST = 100_000  # points of a grid
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
    """Every combination of one point of each grid; the last varies fastest.

    Raises:
      UserError: a key is set twice, or there are more than MOST of them.
    """
    grids = list(grids)
    few(math.prod(map(len, grids)))
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


def linear(low: float, high: float, num: float) -> list[float]:
    """`num` numbers from `low` to `high`, evenly spaced, both ends included."""
    if not math.isfinite(high - low):
        raise UserError(f"a range from {low:g} to {high:g} has no even steps")
    few(num)
    if not num >= 2 or num != int(num):
        raise UserError(f"a range has 2 values or more, a whole number of them, not {shown(num)}")
    step = (high - low) / (num - 1)
    num = int(num)
    return [_tidy(low + i * step) for i in range(num - 1)] + [high]


def log(low: float, high: float, num: float) -> list[float]:
    """`num` numbers from `low` to `high`, each the same multiple of the one before."""
    if not 0 < low < high < math.inf:
        raise UserError(f"log({low:g}, {high:g}) needs 0 < low < high, both finite")
    inner = linear(math.log(low), math.log(high), num)[1:-1]
    return [low, *(_tidy(math.exp(x)) for x in inner), high]


def few(points: float) -> None:
    """Raises UserError where a sweep would have more than MOST points."""
    if points > MOST:
        raise UserError(f"a sweep has at most {MOST:,} points, not {shown(points)}")


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
        return key, [cast(key, _literal(key, part, example), example) for part in _split(values)]
    scale, inside = match.groups()
    try:
        low, high, *num = (float(part) for part in inside.split(","))
    except ValueError:
        low, high, num = 1.0, 0.0, []
    if len(num) > 1 or not low < high:
        raise UserError(
            f"--sweep={text}: a range is {scale}(low,high,count), or {scale}(low,high) for a search"
        )
    if num:
        numbers = {"log": log, "linear": linear}[scale](low, high, *num)
        if isinstance(example, int):
            numbers = list(dict.fromkeys(round(number) for number in numbers))
        return key, [cast(key, number, example) for number in numbers]
    log(low, high, 2) if scale == "log" else linear(low, high, 2)  # what no range can be
    for end in (low, high):
        whole = isinstance(example, int) and end.is_integer()
        cast(key, int(end) if whole else end, example)
    return key, Range(low, high, scale)


def described(file: str) -> Grid:
    """The `get_sweep()` of a config file; an empty grid where it has none.

    Raises:
      UserError: it raises, or does not return a grid.
    """
    found = get_sweep(file)
    if not isinstance(found, list) or not all(isinstance(point, dict) for point in found):
        raise UserError(f"get_sweep() of {file} does not return a list of {{key: value}}")
    return found


def points(parts: Sequence[tuple[str, list[Any] | Range]]) -> Grid:
    """The product of what several `--sweep` say.

    Raises:
      UserError: a range without a count: only a search can use it.
    """
    grids = []
    for key, values in parts:
        if isinstance(values, Range):
            ends = f"{values.scale}({values.low:g},{values.high:g}"
            raise UserError(f"--sweep {key}={ends}) is for a search; a grid needs {ends},COUNT)")
        grids.append(sweep(key, values))
    return product(grids) if grids else []


def cast(key: str, value: Any, example: Any) -> Any:
    """`value` as the type that the config holds; a whole number will do for a real one.

    Raises:
      UserError: it is of another type.
    """
    if isinstance(example, float) and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > LARGEST:
            raise UserError(f"{key}={shown(value)} should be a number of at most {LARGEST:g}")
        return float(value)
    if isinstance(example, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if type(value) is not type(example) and not (isinstance(value, bool) and _flags(key)):
        raise UserError(f"the sweep sets {key}={shown(value)}, which is not like {example!r}")
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
        raise UserError(f"the sweep sets {shown(key)}, config has no such key{nearest(key, known)}")
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


def _flags(key: str) -> bool:
    """Whether a key that may be text may be True and False too."""
    declared = KEYS.get(key)
    return bool(declared and isinstance(declared.default, str) and declared.rule(True) is None)


def _literal(key: str, text: str, example: Any) -> Any:
    if isinstance(example, str):
        return {"True": True, "False": False}.get(text, text) if _flags(key) else text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text

"""The trials of a sweep, by name, and the groups that train as one program."""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae.errors import UserError
from vae.paths import located
from vae.sweeps.grid import Grid, Point, checked, few, product, sweep

LONGEST = 120  # letters of a trial's name


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a sweep: `name` is its directory's under `trials/`."""

    name: str
    values: Point
    config: ConfigDict


def plan(config: ConfigDict, grid: Grid, seeds: int = 1) -> list[Trial]:
    """The trials of a grid, each with `seeds` seeds counted from the config's.

    Raises:
      UserError: a key or value is wrong, or two points are the same.
    """
    few(seeds)
    if seeds > 1:
        numbers = range(config.seed, config.seed + seeds)
        grid = product([grid, sweep("seed", numbers)])
    grid = checked(grid, config)
    if not grid or not any(grid):
        raise UserError(
            "nothing to sweep: give --sweep KEY=VALUE,VALUE or --seeds=N, or write a get_sweep() "
            "in the config file"
        )
    names = [name(point) for point in grid]  # of what each point sets itself
    if any(set(point) != set(grid[0]) for point in grid):
        keys = sorted(set().union(*grid))
        grid = [{key: point.get(key, value_of(config, key)) for key in keys} for point in grid]
    trials = [Trial(*pair, apply(config, pair[1])) for pair in zip(names, grid, strict=True)]
    seen: set[str] = set()
    for trial in trials:
        whole = name(trial.values)
        if whole in seen:
            raise UserError(f"the sweep has {trial.name} twice")
        seen.add(whole)
        configs.check(trial.config)
    return trials


def apply(config: ConfigDict, point: Point) -> ConfigDict:
    """A copy of the config with the point's values, its paths absolute."""
    changed = ConfigDict(config.to_dict())
    with changed.ignore_type():  # values are checked by their rules
        for key, value in point.items():
            *groups, last = key.split(".")
            group = changed
            for part in groups:
                group = group[part]
            group[last] = value
    return located(changed)


def value_of(config: ConfigDict, key: str) -> Any:
    """The value of a dotted key."""
    return dict(configs.flatten(config))[key]


def name(point: Point) -> str:
    """A directory's name from a point: "latent_size=8,beta=0.5,seed=1"; "base" of an empty one."""
    last = [key.rsplit(".", 1)[-1] for key in point]
    short = [part if last.count(part) == 1 else key for part, key in zip(last, point, strict=True)]
    text = ",".join(f"{k}={_letters(v)}" for k, v in zip(short, point.values(), strict=True))
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return text or "base"


def _letters(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(_letters, value)) or "none"
    text = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    return "".join(letter if letter.isalnum() or letter in ".-+_" else "_" for letter in text)


def groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Trials that train as one program, in the order of their first; streamed ones stay alone."""
    from vae.training.population import group_key

    found: dict[Any, list[Trial]] = {}
    for trial in trials:
        alone = trial.name if trial.config.data.stream else ""
        found.setdefault((group_key(trial.config), alone), []).append(trial)
    return list(found.values())

"""What an experiment that reproduces a paper is: a sweep, and the numbers that it should give."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from vae import runs
from vae.errors import UserError
from vae.sweeps.grid import Grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A row of `vae.reports.summary.rows`; with "per_example" where the trial's file of that name is.
Trial = Mapping[str, Any]
Value = tuple[float, float | None]  # a number and its standard error

READ = "read in the source"  # how a published value is known
MEMORY = "from memory"
OURS = "ours"  # an expectation of this project's, not a published number

SCALES = ("full", "cpu", "quick")


@dataclasses.dataclass(frozen=True)
class Mean:
    """The mean over seeds of a metric of some trials, less that of others.

    Its standard error is over seeds where there are several, else over test examples. Differences
    are taken seed by seed where both have the same seeds, and example by example where both were
    measured on the same examples.
    """

    metric: str
    of: Mapping[str, Any]  # swept keys and values
    minus: Mapping[str, Any] | None = None

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """The mean (or mean difference) and its standard error; None where none is known."""
        first = self._by_seed(trials, self.of)
        if self.minus is None:
            return _mean(first)
        second = self._by_seed(trials, self.minus)
        if first.keys() == second.keys() and len(first) > 1:
            return _mean({s: (first[s][0] - second[s][0], None) for s in first})
        (a, error_a), (b, error_b) = _mean(first), _mean(second)
        if len(first) == len(second) == 1:
            one, other = (pick(trials, of)[0] for of in (self.of, self.minus))
            paired = _paired_error(one, other, self.metric)
            if paired is not None:
                return a - b, paired
        return a - b, math.hypot(error_a or 0.0, error_b or 0.0) or None

    def _by_seed(self, trials: Sequence[Trial], of: Mapping[str, Any]) -> dict[int, Value]:
        found = {}
        for trial in pick(trials, of):
            if self.metric not in trial["metrics"]:
                raise UserError(f"trial {trial['trial']} has no metric {self.metric}")
            value = trial["metrics"][self.metric], trial["stderr"].get(self.metric)
            seed = trial["values"].get("seed", 0)
            if seed in found:
                raise UserError(f"several trials of one seed are {dict(of)}: name more keys")
            found[seed] = value
        return found


def _paired_error(one: Trial, other: Trial, metric: str) -> float | None:
    """The standard error of a mean difference over test examples; None where they may not be the
    same ones: no values are kept of each, or the trials differ in their data."""
    data = [{k: v for k, v in t["values"].items() if k.startswith("data.")} for t in (one, other)]
    kept = [_per_example(trial, metric) for trial in (one, other)]
    if data[0] != data[1] or kept[0] is None or kept[1] is None or len(kept[0]) != len(kept[1]):
        return None
    difference = kept[0] - kept[1]
    return float(difference.std(ddof=1) / math.sqrt(len(difference)))


def _per_example(trial: Trial, metric: str) -> np.ndarray | None:
    """A metric of each test example [N], where a trial has kept it."""
    path = trial.get("per_example")
    found = runs.read_arrays(path).get(metric) if path and path.exists() else None
    return None if found is None else np.asarray(found, np.float64)


def pick(trials: Sequence[Trial], of: Mapping[str, Any]) -> list[Trial]:
    """The trials whose swept keys have these values; None: that do not set the key.

    Raises:
      UserError: there are none.
    """
    found = [t for t in trials if all(t["values"].get(key) == of[key] for key in of)]
    if not found:
        raise UserError(f"no trial is done with {', '.join(f'{k}={v}' for k, v in of.items())}")
    return found


def _mean(by_seed: Mapping[int, Value]) -> Value:
    values = np.array([value for value, _ in by_seed.values()])
    if len(values) == 1:
        return next(iter(by_seed.values()))
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


@dataclasses.dataclass(frozen=True)
class Expected:
    """A number that an experiment should give."""

    what: str
    number: Callable[[Sequence[Trial]], Value]
    value: float  # published, or a bound of ours
    tolerance: float = 0.0
    kind: str = "within"  # of the tolerance; "below": at most value + tolerance; "above"
    source: str = ""
    known: str = OURS
    unit: str = "nats"

    def holds(self, ours: float) -> bool:
        """Whether our number is within the tolerance; NaN never is."""
        difference = ours - self.value
        far = {"within": abs(difference), "below": difference, "above": -difference}[self.kind]
        return bool(far <= self.tolerance)  # never of NaN


@dataclasses.dataclass(frozen=True)
class Study:
    """An experiment at one scale."""

    config: ConfigDict
    grid: Grid
    expected: Sequence[Expected]
    reduced: str = ""  # what the schedule leaves out, as it is printed beside the numbers
    seeds: int = 1
    launcher: str = "processes"
    # Methods on the same data, as trials with the swept key "method": of the trials that are done,
    # and the sweep's directory. A picture of these methods, and the directory.
    beside: Callable[[Sequence[Trial], Path], list[Trial]] | None = None
    picture: Callable[[Sequence[Trial], Path], "Figure"] | None = None


def compare(expected: Sequence[Expected], trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Our numbers beside the expected ones, with a verdict each."""
    lines = []
    for line in expected:
        ours, stderr = line.number(trials)
        lines.append(
            {
                "what": line.what,
                "ours": ours,
                "stderr": stderr,
                "expected": line.value,
                "tolerance": line.tolerance,
                "kind": line.kind,
                "unit": line.unit,
                "source": line.source,
                "known": line.known,
                "holds": line.holds(ours),
            }
        )
    return lines

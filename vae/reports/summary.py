"""What a sweep found, as plain data: a row a trial, means over seeds, results.csv, a frontier."""

import csv
import io
import math
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import run_files
from vae.metrics import Kind, facts, filled, sign
from vae.reports.tables import format_table

SECONDS = Kind("seconds", "Seconds", "down")  # of training, which a sweep measures itself
NLL = r"nll_iwae_(\d+)"  # bounds on -log p(x), the tighter the larger the number
FIRST = ("model.latent_size", "objective.beta")  # the axes of a figure, where they are swept


def rows(sweep: Mapping[str, Any], directory: Path) -> list[dict[str, Any]]:
    """What each trial is and what came of it.

    Args:
      sweep: what sweep.json holds.
      directory: the sweep's; each trial is the run `trials/NAME` in it.

    Returns:
      One mapping a trial, in order: `trial` (its name), `values` (dotted key to value, lists as
      tuples), `state`, `reason`, `seconds` (or None), `value` (of what a search optimises, on the
      validation set, or None); and from evaluation.json, in its order,
      `metrics` (name to float), `stderr` (over examples, where there is one) and `facts` (name to
      what the metric is: label, better, unit, shown), all empty where it is missing, with `split`
      and `num_examples`, None where it is missing. A metric that is not finite is left out.
    """
    return [_row(trial, directory / "trials" / trial["name"]) for trial in sweep["trials"]]


def _row(trial: Mapping[str, Any], workdir: Path) -> dict[str, Any]:
    evaluation = run_files.read_evaluation(workdir) or {}
    metrics = {k: m for k, m in evaluation.get("metrics", {}).items() if _finite(m.get("value"))}
    return {
        "trial": trial["name"],
        "values": {key: _hashable(value) for key, value in trial["values"].items()},
        "state": trial["state"],
        "reason": trial.get("reason"),
        "seconds": trial.get("seconds"),
        "value": trial.get("value"),
        "metrics": {name: float(metric["value"]) for name, metric in metrics.items()},
        "stderr": {k: float(m["stderr"]) for k, m in metrics.items() if _finite(m.get("stderr"))},
        "facts": {name: facts(metric) for name, metric in metrics.items()},
        "split": evaluation.get("split"),
        "num_examples": evaluation.get("num_examples"),
    }


def done(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The trials that are done and evaluated: the only ones that are compared."""
    return [row for row in rows if row["state"] == "done" and row["metrics"]]


def metric_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics of any trial, in the order of evaluation.json."""
    return list(dict.fromkeys(name for row in rows for name in row["metrics"]))


def tightest_nll(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The `nll_iwae_K` of the largest K among those that most trials, or runs, have, or None."""
    counts: dict[int, int] = {}
    for name in (name for row in rows for name in row["metrics"]):
        if match := re.fullmatch(NLL, name):
            counts[int(match[1])] = counts.get(int(match[1]), 0) + 1
    return f"nll_iwae_{max(counts, key=lambda k: (counts[k], k))}" if counts else None


def about(rows: Sequence[Mapping[str, Any]], metric: str) -> Mapping[str, Any]:
    """What a metric is, as the first trial that has it says: label, better, unit, shown."""
    if metric == SECONDS.name:
        return SECONDS.facts()
    told = (row["facts"][metric] for row in rows if metric in row.get("facts", {}))
    return next(told, filled(metric, {}))


def headline(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of a summary: the bounds, what every trial has to be shown there, seconds."""
    measured = done(rows)
    has = {name: about(measured, name) for name in metric_names(measured)}
    nll = tightest_nll(measured)
    every = {n: of for n, of in has.items()
             if n == nll or all(n in row["metrics"] for row in measured)}  # fmt: skip
    timed = any(_finite(row["seconds"]) for row in rows)
    return first(every, nll, ("sweep",)) + [SECONDS.name] * timed


def first(
    metrics: Mapping[str, Mapping[str, Any]], nll: str | None, shown: Sequence[str]
) -> list[str]:
    """The names of what is shown before all else: the bounds, then as `evaluation.json` has them.

    Args:
      metrics: facts of each.
      nll: of the importance-weighted bounds, that which is shown.
      shown: the places ("run", "sweep") whose metrics these are.
    """
    bounds = [name for name in ("elbo", nll) if name is not None and name in metrics]
    told = [name for name, of in metrics.items() if of["shown"] in shown and name not in bounds]
    return bounds + [name for name in told if not re.fullmatch(NLL, name)]


def value(row: Mapping[str, Any], metric: str) -> float | None:
    """A trial's metric, or its wall time (`seconds`); None where it is missing."""
    found = row["seconds"] if metric == SECONDS.name else row["metrics"].get(metric)
    return float(found) if _finite(found) else None


def over_seeds(
    rows: Sequence[Mapping[str, Any]], keys: Sequence[str], metrics: Sequence[str]
) -> list[dict[str, Any]]:
    """Means over the seeds of each combination of the other keys.

    Args:
      rows: of `rows`, also as a JSON file gives them back; those that are not done and evaluated
        give a combination and no number.
      keys: the swept keys, with "seed" or without.
      metrics: names of metrics, and `seconds`.

    Returns:
      One mapping a combination, in order of appearance: its keys' values; `n`, how many trials
      are done; and for each metric (mean, standard error), which is the sample standard deviation
      over sqrt(n), or None of a single trial. A metric that no trial has is None.
    """
    others = [key for key in keys if key != "seed"]
    members: dict[tuple, list] = {}
    for row in rows:
        combination = tuple(_hashable(row["values"].get(key)) for key in others)
        members.setdefault(combination, []).append(row)
    groups = []
    for combination, trials in members.items():
        trials = done(trials)
        group = {**dict(zip(others, combination, strict=True)), "n": len(trials)}
        for metric in metrics:
            found = [value(row, metric) for row in trials]
            group[metric] = mean_and_stderr([number for number in found if number is not None])
        groups.append(group)
    return groups


def mean_and_stderr(numbers: Sequence[float]) -> tuple[float, float | None] | None:
    """The mean and its standard error (ddof 1; None of one number); None of no number."""
    if not numbers:
        return None
    spread = np.std(numbers, ddof=1) / math.sqrt(len(numbers)) if len(numbers) > 1 else None
    return float(np.mean(numbers)), None if spread is None else float(spread)


def best(rows: Sequence[Mapping[str, Any]], metric: str) -> Mapping[str, Any] | None:
    """The trial that is done and has the best value; None where there is none, or no best."""
    way = sign(about(rows, metric))
    having = [(row, value(row, metric)) for row in done(rows) if way]
    ranked = [(row, way * number) for row, number in having if number is not None]
    return max(ranked, key=lambda pair: pair[1], default=(None, 0.0))[0]


def best_group(
    groups: Sequence[Mapping[str, Any]], metric: str, way: int
) -> Mapping[str, Any] | None:
    """The combination of `over_seeds` with the best mean; None where there is none, or no best.

    Args:
      way: 1 where more is better, -1 where less is, 0 where neither is.
    """
    having = [group for group in groups if way and group.get(metric)]
    return max(having, key=lambda group: way * group[metric][0], default=None)


def axes(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[str]:
    """The keys but the seed that take several values: latent size, beta, other numbers, names."""
    varying = [k for k in keys if k != "seed" and len({row["values"].get(k) for row in rows}) > 1]
    rank = {key: number for number, key in enumerate(FIRST)}

    def order(key: str) -> int:
        return rank.get(key, 2 if numeric(row["values"].get(key) for row in rows) else 3)

    return sorted(varying, key=order)


def numeric(values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def ordered(values: Sequence[Hashable]) -> list[Any]:
    """Each value once: numbers from small to large, anything else as it first appears."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if numeric(distinct) else distinct


def cells(
    groups: Sequence[Mapping[str, Any]], row_key: str, column_key: str, metric: str, way: int
) -> tuple[list[Any], list[Any], np.ndarray]:
    """A metric's means over two keys.

    Args:
      way: 1 where more is better, -1 where less is, 0 where neither is.

    Returns:
      The R values of `row_key`, the K of `column_key`, and the means over seeds [R, K]: where
      there are further keys the best over them (the mean, of a metric that has no best), and NaN
      where there is none.
    """
    row_values = ordered([group[row_key] for group in groups])
    column_values = ordered([group[column_key] for group in groups])
    matrix = np.full((len(row_values), len(column_values)), np.nan)
    found: dict[tuple[int, int], list[float]] = {}
    for group in groups:
        if group[metric]:
            place = row_values.index(group[row_key]), column_values.index(group[column_key])
            found.setdefault(place, []).append(group[metric][0])
    of: Any = {1: max, -1: min, 0: np.mean}[way]
    for place, means in found.items():
        matrix[place] = of(means)
    return row_values, column_values, matrix


def frontier(points: np.ndarray) -> list[int]:
    """The lower-left convex hull of points [N, 2], as indices from left to right.

    The lowest distortion that a rate could have is a convex function of it, and falls (Alemi et
    al. 2018, "Fixing a broken ELBO"): what lies above the hull is reached by mixing what is on it.
    """
    hull: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: tuple(points[i])):
        while len(hull) > 1 and _turn(points[hull[-2]], points[hull[-1]], points[i]) <= 0:
            hull.pop()
        hull.append(i)
    lowest = int(np.argmin([points[i][1] for i in hull])) if hull else -1
    return hull[: lowest + 1]


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Above 0 where a, b, c turn to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def results_csv(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    """A line a trial: the swept keys, `state`, every metric's value, `seconds`, `trial`."""
    names = metric_names(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*keys, "state", *names, "seconds", "trial"])
    for row in rows:
        swept = [row["values"].get(key) for key in keys]
        numbers = [row["metrics"].get(name) for name in names]
        writer.writerow([*swept, row["state"], *numbers, row["seconds"], row["trial"]])
    return text.getvalue()


def summary_table(
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    metrics: Sequence[str] | None = None,
    markdown: bool = False,
) -> str:
    """A line a combination of keys but the seed: mean ± standard error over seeds, as text.

    Args:
      metrics: by default those of `headline`.
    """
    metrics = headline(rows) if metrics is None else metrics
    groups = over_seeds(rows, keys, metrics)
    lines = [
        {short_name(k, keys): show(group[k]) for k in keys if k != "seed"} | {"n": group["n"]}
        for group in groups
    ]
    for metric in metrics:
        for line, text in zip(lines, texts([group[metric] for group in groups]), strict=True):
            line[metric] = text
    columns = [*(short_name(key, keys) for key in keys if key != "seed"), "n", *metrics]
    return format_table(lines, columns, markdown)


def texts(column: Sequence[tuple[float, float | None] | None]) -> list[str | None]:
    """A column of "mean ± standard error", all with the same decimals; None where there is none.

    Few seeds give errors that are far too small by chance: the upper quartile decides the digits.
    """
    means = [mean for mean, _ in filter(None, column)]
    errors = [error for _, error in filter(None, column) if error]
    if not means:
        return [None] * len(column)
    size, digits = (np.quantile(errors, 0.75), 2) if errors else (max(map(abs, means)) or 1.0, 5)
    decimals = min(max(digits - 1 - math.floor(math.log10(size)), 0), 6)
    numbers = np.array([*means, *errors])
    while decimals and np.allclose(numbers, numbers.round(decimals - 1), rtol=0, atol=1e-9):
        decimals -= 1  # which only add zeros

    def text(mean: float, error: float | None) -> str:
        return f"{mean:.{decimals}f}" + ("" if error is None else f" ± {error:.{decimals}f}")

    return [text(*pair) if pair else None for pair in column]


def short_name(key: str, keys: Sequence[str]) -> str:
    """The last part of a dotted key ("optimizer" of "optimizer.name"); all of it where another key
    would be called the same."""

    def last(key: str) -> str:
        return key.removesuffix(".name").rsplit(".", 1)[-1]

    return last(key) if [last(other) for other in keys].count(last(key)) <= 1 else key


def show(value: Any) -> str:
    """A key's value in few letters: 0.5, "(200, 200)", "conv"; a dash where a trial has none."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)

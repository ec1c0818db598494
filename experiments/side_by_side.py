"""Compares an experiment's methods on the same data: a table and a picture."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vae.metrics import SIGNS, Metric, declared
from vae.reports.figures import styled
from vae.reports.sweep_figures import PALETTE, SOFT
from vae.reports.tables import format_table, format_value

Means = dict[str, tuple[float, float | None]]
Row = dict[str, Any]  # as `Study.beside` gives them: values, metrics, stderr


def table(rows: Sequence[Row]) -> str:
    """Means over seeds with their standard errors, in Markdown: one line per method. Where the rows
    have another key: one line per value of it and one column per method, of the first metric."""
    found = over_seeds(rows)
    across = _across(found)
    if across:
        return format_table(_pivot(found, across), markdown=True)
    lines = [
        {**values, **{name: format_value(*each) for name, each in means.items()}}
        for values, means in found
    ]
    return format_table(lines, markdown=True)


def overview(rows: Sequence[Row]) -> str:
    """As `table`. Where there are several data sets: one line per method, its means over them, and
    on how many of them its first metric is the best."""
    found = over_seeds(rows)
    if _across(found) != "data":
        return table(rows)
    first = next(iter(found[0][1]))
    data = {values["data"] for values, _ in found}
    cells = {(v["data"], v["method"]): means for v, means in found}
    kind = declared(first)
    sign = SIGNS[kind.better] if kind else 1
    best = {d: max(sign * means[first][0] for v, means in found if v["data"] == d) for d in data}
    lines = []
    for method in dict.fromkeys(values["method"] for values, _ in found):
        mine = {d: cells[d, method] for d in data if (d, method) in cells}
        line = {"method": method}
        for name in next(iter(mine.values())):
            line[f"mean {name}"] = f"{np.mean([means[name][0] for means in mine.values()]):.4f}"
        won = sum(sign * means[first][0] >= best[d] for d, means in mine.items())
        line["best on"] = f"{won} of {len(mine)}"
        lines.append(line)
    return format_table(lines, markdown=True)


def _across(found: Sequence[tuple[dict[str, Any], Any]]) -> str:
    """The key that the rows have besides the method; "": none."""
    return next((key for key in found[0][0] if key != "method"), "")


def row(method: str, data: str, seed: int, found: Mapping[str, Metric]) -> Row:
    """A method's metrics on a data set."""
    return {
        "trial": method,
        "values": {"method": method, "data": data, "seed": seed},
        "metrics": {name: metric.value for name, metric in found.items()},
        "stderr": {n: metric.stderr for n, metric in found.items() if metric.stderr is not None},
    }


def by_data(rows: Sequence[Row], method: str, metric: str) -> dict[str, float]:
    """A metric of a method on each data set, the mean over seeds."""
    return {
        values["data"]: means[metric][0]
        for values, means in over_seeds([r for r in rows if r["values"].get("method") == method])
    }


def drawn(metric: str) -> Callable[[Sequence[Row], Path], Figure]:
    """`dots` of a metric, as `Study.picture` takes it."""
    return lambda rows, directory: dots(rows, metric)


def over_seeds(rows: Sequence[Row]) -> list[tuple[dict[str, Any], Means]]:
    """What rows have in common but for the seed, and each metric's mean and standard error."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        key = tuple((k, v) for k, v in row["values"].items() if k != "seed")
        groups.setdefault(key, []).append(row)
    return [(dict(key), _means(members)) for key, members in groups.items()]


@styled
def dots(rows: Sequence[Row], metric: str) -> Figure:
    """Every method's mean and standard error over seeds, and over data sets where there are
    several; each data set is then a fainter dot. Another key of the rows is the x axis.
    """
    found = [(values, means[metric]) for values, means in over_seeds(rows) if metric in means]
    across = _across(found)
    if across not in ("", "data"):
        return _lines(found, across, metric)
    methods = list(dict.fromkeys(values["method"] for values, _ in found))
    figure = Figure(figsize=(4.6, 0.5 + 0.22 * len(methods)), layout="constrained")
    axes = figure.add_subplot()
    for place, method in enumerate(reversed(methods)):
        each = [mean for values, mean in found if values["method"] == method]
        means = [mean for mean, _ in each]
        if len(each) > 1:
            axes.plot(means, [place] * len(means), ".", color=SOFT, alpha=0.4, markersize=4)
        error = each[0][1] if len(each) == 1 else None
        axes.errorbar(np.mean(means), place, xerr=error, fmt="o", color=PALETTE[0], markersize=4)
    axes.set_yticks(range(len(methods)), methods[::-1])
    axes.grid(axis="x")
    axes.set_xlabel(metric.replace("_", " "))
    return figure


def _lines(found: Sequence[tuple[dict, tuple]], across: str, metric: str) -> Figure:
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.add_subplot()
    for method, colour in zip(dict.fromkeys(v["method"] for v, _ in found), PALETTE, strict=False):
        mine = sorted((v[across], *mean) for v, mean in found if v["method"] == method)
        x, y, error = zip(*mine, strict=True)
        axes.errorbar(x, y, yerr=[e or 0.0 for e in error], fmt=".-", color=colour, label=method)
    axes.set_xscale("log")
    axes.set_xticks(x, list(map(str, x)), minor=False)
    axes.set_xlabel(across.replace("_", " "))
    axes.set_ylabel(metric.replace("_", " "))
    axes.legend()
    return figure


def _means(rows: Sequence[Row]) -> Means:
    """Of each metric: the mean over seeds and its standard error, or that of a single row."""
    means = {}
    for name in rows[0]["metrics"]:
        values = np.array([row["metrics"][name] for row in rows])
        error = rows[0]["stderr"].get(name)
        if len(values) > 1:
            error = float(values.std(ddof=1) / math.sqrt(len(values)))
        means[name] = float(values.mean()), error
    return means


def _pivot(found: Sequence[tuple[dict, Means]], across: str) -> list[dict[str, str]]:
    metric = next(iter(found[0][1]))
    methods = list(dict.fromkeys(values["method"] for values, _ in found))
    cells = {(values[across], values["method"]): means[metric] for values, means in found}
    places = list(dict.fromkeys(values[across] for values, _ in found))
    head = metric if across == "data" else f"{metric}, {across.replace('_', ' ')}"
    lines = [
        {head: str(place)}
        | {m: format_value(*cells[place, m]) for m in methods if (place, m) in cells}
        for place in places
    ]
    if across != "data":
        return lines
    total = {head: "mean"}
    for method in methods:
        mine = [cells[place, method][0] for place in places if (place, method) in cells]
        total[method] = format_value(float(np.mean(mine)))
    return [*lines, total]

"""The figures of a sweep's page, and what their captions tell: over the keys, curves, samples."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vae.errors import UserError
from vae.reports import figures, mosaics, summary, sweep_figures
from vae.reports.swept import Results

MOST_GRIDS = 24
SAMPLE = 64  # pixels aimed at for an image of a small grid

# A few images [n, H, W, C] in [0, 1] of the run in a directory, with what heads the columns of a
# grid of them; None where its data are no images.
Samples = Callable[[Path], tuple[np.ndarray, Sequence[str]] | None]


ELSEWHERE = ("rate", "distortion", summary.SECONDS.name)  # in a plane of their own, in the table


def over_keys(results: Results) -> dict[str, Any] | None:
    """What the summary has, over the first two axes, or the one; None where there is nothing.

    Returns:
      The `figures`; their `kind`; at most how many `columns` of them; whether there are `several`
      seeds; the axes' `names`; and the metrics `without_best`.
    """
    wanted = [metric for metric in summary.headline(results.done) if metric not in ELSEWHERE]
    panels = {metric: results.means(metric) for metric in wanted}
    panels = {metric: groups for metric, groups in panels.items() if groups}
    if not results.axes or not panels:
        return None
    kind, draw = "heat_map", _heat_map
    if len(results.axes) == 1:
        kind, draw = "against_key", _against_key
    elif _is_sparse(results):
        kind, draw = "scatter", _scatter
    widest = len({row["values"].get(results.axes[:2][-1]) for row in results.done})
    return {
        "figures": [
            ("", results.gallery.save(draw(results, metric, groups), f"{metric}_{kind}"))
            for metric, groups in panels.items()
        ],
        "kind": kind,
        "columns": min(3, max(1, 15 // widest)) if kind == "heat_map" else 3,
        "several": any(group["n"] > 1 for groups in panels.values() for group in groups),
        "names": [results.name(key) for key in results.axes],
        "without_best": [results.about(m)["label"] for m in panels if not results.way(m)],
    }


def _is_sparse(results: Results) -> bool:
    """Whether a grid of the first two axes was not even planned, as in a search."""
    pairs = {tuple(row["values"].get(key) for key in results.axes[:2]) for row in results.rows}
    sizes = [len({pair[i] for pair in pairs}) for i in range(2)]
    are_numbers = summary.numeric([value for pair in pairs for value in pair])
    return are_numbers and len(pairs) < 0.6 * sizes[0] * sizes[1]


def _heat_map(results: Results, metric: str, groups: Sequence[Mapping[str, Any]]) -> Figure:
    way = results.way(metric)
    upwards, across = results.axes[:2]
    rows, columns, matrix = summary.cells(groups, upwards, across, metric, way)
    texts = [summary.show(v) for v in rows], [summary.show(v) for v in columns]
    names = results.name(upwards), results.name(across)
    return sweep_figures.heat_map(matrix, *texts, names, results.column(metric), way)


def _against_key(results: Results, metric: str, groups: Sequence[Mapping[str, Any]]) -> Figure:
    key = results.axes[0]
    values = [group[key] for group in groups]
    means, errors = zip(*(group[metric] for group in groups), strict=True)
    shown = values if summary.numeric(values) else [summary.show(value) for value in values]
    title = results.column(metric)
    return sweep_figures.against_key(shown, means, errors, results.name(key), title)


def _scatter(results: Results, metric: str, groups: Sequence[Mapping[str, Any]]) -> Figure:
    y, x = (np.array([group[key] for group in groups], float) for key in results.axes[:2])
    values = np.array([group[metric][0] for group in groups])
    names = results.name(results.axes[0]), results.name(results.axes[1])
    title = results.column(metric)
    return sweep_figures.scatter(x, y, values, names, title, results.way(metric))


def curves(results: Results) -> dict[str, Any] | None:
    """The validation ELBO of the trials that are done or were `pruned`; None of no trial."""
    pruned = [row for row in results.rows if row["state"] == "pruned"]
    shown = [*results.done, *pruned]
    x_name, points = validation([row["records"] for row in shown])
    colour, style = [*results.axes[:2], None, None][:2]
    drawn = [
        {
            "points": line,
            "colour": row["values"].get(colour),
            "style": row["values"].get(style),
            "stopped": row["state"] == "pruned",
        }
        for row, line in zip(shown, points, strict=True)
        if len(line)
    ]
    if not drawn:
        return None
    if len({curve["style"] for curve in drawn}) > len(sweep_figures.DASHES):
        drawn, style = [{**curve, "style": None} for curve in drawn], None
    names = [results.name(key) if key else "" for key in (colour, style)]
    figure = sweep_figures.validation_curves(drawn, x_name, *names)
    is_pruned = any(curve["stopped"] for curve in drawn)
    return {"figure": results.gallery.save(figure, "validation"), "pruned": is_pruned}


def validation(records: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[str, list[np.ndarray]]:
    """What the validation ELBO of runs is drawn over, "epoch" or "step"; of each run [N, 2]."""
    lines = [
        [r for r in of if r.get("split") == "validation" and figures.is_number(r.get("elbo"))]
        for of in records
    ]
    x_name = "epoch" if all("epoch" in r for line in lines for r in line) else "step"
    return x_name, [np.array([(r[x_name], r["elbo"]) for r in line], float) for line in lines]


def sample_grids(results: Results, samples: Samples) -> dict[str, Any]:
    """A small grid of samples for each trial, of the first seed only.

    Returns:
      `figures`, in so many `columns`; `missing`, trials and why they have none; how many
      combinations were `found`, the `most` that are shown, whether there are `several` seeds, and
      whether there are `classes` above columns.
    """
    first: dict[tuple, Mapping[str, Any]] = {}
    for row in results.done:
        first.setdefault(tuple(row["values"].get(key) for key in results.others), row)
    shown, missing, classes = [], {}, False
    for row in list(first.values())[:MOST_GRIDS]:
        try:
            drawn = samples(results.gallery.directory / "trials" / row["trial"])
        except UserError as error:
            missing[row["trial"]] = error
            continue
        if drawn is not None and len(drawn[0]):
            label = results.describe(row["values"], results.others) or row["trial"]
            figure = mosaics.grid(np.asarray(drawn[0]), drawn[1], SAMPLE)
            classes = classes or bool(drawn[1])
            shown.append((label, results.gallery.save(figure, f"samples/{row['trial']}")))
    columns = 4
    if len(results.axes) > 1:
        columns = len({row["values"].get(results.axes[-1]) for row in results.done})
    return {
        "figures": shown,
        "columns": min(max(columns, 3), 6),
        "missing": missing,
        "found": len(first),
        "most": MOST_GRIDS,
        "several": len(first) < len(results.done),
        "classes": classes,
    }

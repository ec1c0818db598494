"""The plane of rate and distortion: what a sweep's trials trade for each other."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vae.reports import point_labels, summary
from vae.reports.figures import LEAST, ROUND, styled
from vae.reports.summary import show
from vae.reports.sweep_figures import SOFT, colours, named, proxy
from vae.reports.swept import Results

PLANE = ("rate", "distortion")
BETA = "objective.beta"
HULL = "#c9cdd3"
MOST_LABELS = point_labels.MOST  # where there are more, of one line a colour, or of two lines


def _roles(axes: Sequence[str]) -> tuple[str | None, str | None]:
    """The key that colours points, and the key along which they are joined: beta if it can be."""
    along = BETA if BETA in axes else None
    colour = next((key for key in axes if key != along), None)
    return colour, along or next((key for key in axes if key != colour), None)


def plane(results: Results) -> dict[str, Any] | None:
    """The figure of a sweep; None where no trial has both.

    Returns:
      The `figure`; what points are joined `along` (None: they are not), what is the same on a
      line (`rest`), whether they are means over `several` seeds, are `labelled`, or have
      `few_labels`; and a sentence on the `tradeoff`.
    """
    groups = results.means(*PLANE)
    if not groups:
        return None
    colour, along = _roles(results.axes)

    points = [
        {**{name: row["metrics"][name] for name in PLANE}, "colour": row["values"].get(colour)}
        for row in results.done
        if set(PLANE) <= row["metrics"].keys()
    ]
    rest = [key for key in results.others if key != along]
    lines = {tuple(group[key] for key in rest) for group in groups}
    is_joined = (
        along is not None
        and len(lines) < len(groups)
        and summary.numeric([group[along] for group in groups])
    )
    means = [
        {
            **{name: group[name][0] for name in PLANE},
            "colour": group[colour] if colour else None,
            "line": tuple(group[key] for key in rest) if is_joined else None,
            "label": f"{results.name(along)} {summary.show(group[along])}" if along else "",
        }
        for group in groups
    ]
    means = _few_labels(means)
    xy = np.array([(p["rate"], p["distortion"]) for p in points])
    figure = draw(points, means, xy[summary.frontier(xy)], results.name(colour) if colour else None)
    return {
        "figure": results.gallery.save(figure, "rate_distortion"),
        "along": results.name(along) if is_joined else None,
        "rest": [results.name(key) for key in results.axes if key != along],
        "several": any(group["n"] > 1 for group in groups),
        "few_labels": len(groups) > MOST_LABELS,
        "labelled": any(mean["label"] for mean in means),
        "tradeoff": tradeoff(results, groups) if is_joined and along == BETA else "",
    }


def _few_labels(means: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without labels that would cover each other: those of one line a colour, or of two lines."""
    if len(means) <= MOST_LABELS:
        return means
    if all(mean["line"] is None for mean in means):
        return [{**mean, "label": ""} for mean in means]
    lines = {mean["colour"]: mean["line"] for mean in reversed(means)}  # each colour's first
    kept = list(lines.values())
    if sum(mean["line"] in kept for mean in means) > MOST_LABELS:
        kept = [kept[0], kept[-1]]
    return [{**mean, "label": mean["label"] if mean["line"] in kept else ""} for mean in means]


def tradeoff(results: Results, groups: Sequence[Mapping[str, Any]]) -> str:
    """Whether rate rises and distortion falls as beta falls, all else being the same.

    Args:
      groups: means over seeds of rate and distortion, in order of beta.
    """
    rest = [key for key in results.axes if key != BETA]
    lines: dict[tuple, list] = {}
    for group in groups:
        lines.setdefault(tuple(group[key] for key in rest), []).append(group)
    lines = {values: line for values, line in lines.items() if len(line) > 1}
    if not lines:
        return ""
    wrong = []
    for line in lines.values():
        rates, distortions = ([g[metric][0] for g in line] for metric in PLANE)
        faults = ["rate does not always rise"] * (sorted(rates, reverse=True) != rates)
        faults += ["distortion does not always fall"] * (sorted(distortions) != distortions)
        if faults:
            where = f" at {results.describe(line[0], rest)}" if rest else ""
            wrong.append(f"{' and '.join(faults)}{where}")
    if wrong:
        elsewhere = "; rate rises and distortion falls elsewhere" * (len(wrong) < len(lines))
        return f"As β falls, {'; '.join(wrong)}{elsewhere}."
    every = f" at every {' and '.join(map(results.name, rest))}" if rest else ""
    return f"As β falls, rate rises and distortion falls{every}."


@styled
def draw(
    points: Sequence[Mapping[str, Any]],
    means: Sequence[Mapping[str, Any]],
    hull: np.ndarray,
    colour_name: str | None,
) -> Figure:
    """Trials in the plane of rate and distortion, below them the frontier, behind them the ELBO.

    Args:
      points: one a trial, with `rate`, `distortion` (nats) and `colour`, a value of a key.
      means: one a combination of keys, over seeds, with these, `line` (those of one line are
        joined in order; None: not joined) and `label`, a text beside it.
      hull: the frontier's points [N, 2], rate and distortion.
      colour_name: what `colour` is a value of; None where all are of one colour.
    """
    figure = Figure(figsize=(5.6, 4.0), layout="constrained")
    axes = figure.subplots()
    colour = colours([point["colour"] for point in points])
    xy = np.array([(point["rate"], point["distortion"]) for point in points], float)
    axes.plot(*hull.T, color=HULL, linewidth=5, zorder=1, label="frontier", alpha=0.8)
    hues = [colour[point["colour"]] for point in points]
    axes.scatter(xy[:, 0], xy[:, 1], c=hues, s=20, linewidths=0.5, edgecolors="white", zorder=4)
    for line in dict.fromkeys(m["line"] for m in means if m["line"] is not None):
        along = [mean for mean in means if mean["line"] == line]
        path = np.array([(mean["rate"], mean["distortion"]) for mean in along])
        axes.plot(*path.T, color=colour[along[0]["colour"]], linewidth=0.9, zorder=3, alpha=0.8)
    axes.set(xlabel="rate (nats)", ylabel="distortion (nats)")
    for setter, side in ((axes.set_xlim, xy[:, 0]), (axes.set_ylim, xy[:, 1])):
        margin = 0.09 * np.ptp(side) or 0.05 * abs(side[0]) or 1.0
        setter(side.min() - margin, side.max() + margin)
    axes.grid(False)
    sides = {hue: -1 if number % 2 else 1 for number, hue in enumerate(colour.values())}
    hues = [colour[mean["colour"]] for mean in means]
    spots = np.array([(mean["rate"], mean["distortion"]) for mean in means], float)
    texts = [mean["label"] for mean in means]
    point_labels.place(axes, spots, texts, xy, hues, [sides[hue] for hue in hues])
    _iso_elbo(axes)
    shown = named(colour) if colour_name else {}
    handles = [proxy(c, marker="o", linestyle="none", markersize=4) for c in shown.values()]
    handles += [proxy(HULL, linewidth=5), proxy(SOFT, linewidth=0.7, linestyle=(0, (4, 3)))]
    labels = [*map(show, shown), "frontier", "equal ELBO"]
    figure.legend(
        handles, labels, loc="outside upper left", title=colour_name, alignment="left",
        handlelength=1.6, title_fontsize=7.5, columnspacing=1.4,
        ncols=7 if max(map(len, labels[:-2]), default=0) <= 5 else 4,
    )  # fmt: skip
    return figure


def _iso_elbo(axes: Axes) -> None:
    """Dashed lines of equal ELBO = −(D + R), with its value where each leaves the axes."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    levels = np.asarray(MaxNLocator(12, steps=ROUND).tick_values(left + bottom, right + top))
    for total in levels[(levels > left + bottom) & (levels < right + top)]:
        axes.axline((0, total), slope=-1, color=SOFT, linewidth=0.5, dashes=(4, 3), zorder=0)
        value = f"{-total:,g}".replace("-", "−")
        if left <= total - top:
            at, offset, ha, va = (total - top, top), (0, 2), "center", "bottom"
        elif total - right >= bottom:
            at, offset, ha, va = (right, total - right), (3, 0), "left", "center"
        else:
            at, offset, ha, va = (total - bottom, bottom), (2, 3), "left", "bottom"
        axes.annotate(
            value, at, offset, textcoords="offset points", ha=ha, va=va, color=SOFT, fontsize=LEAST,
            annotation_clip=False,
        )  # fmt: skip

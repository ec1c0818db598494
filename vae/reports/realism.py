"""The plane of rate, distortion and realism: what autoencoders of images trade for each other
(Blau & Michaeli 2019)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from vae.reports import point_labels
from vae.reports.figures import styled
from vae.reports.sweep_figures import INK, SOFT, shades
from vae.reports.swept import Results
from vae.scores.reconstructions import FRECHET, PSNR

AXES = ("rate", PSNR.name, FRECHET.name)


def plane(results: Results) -> dict[str, Any] | None:
    """The figure of a sweep, whether its points are means over `several` seeds, and whether they
    are `labelled`; None where fewer than two combinations have all three."""
    groups = results.means(*AXES)
    if len(groups) < 2:
        return None
    labelled = len(groups) <= point_labels.MOST
    points = [
        {**{name: group[name][0] for name in AXES},
         "label": results.describe(group, results.axes) if labelled else ""}
        for group in groups
    ]  # fmt: skip
    return {
        "figure": results.gallery.save(draw(points), "realism"),
        "several": any(group["n"] > 1 for group in groups),
        "labelled": labelled,
    }


@styled
def draw(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Rate to the right, PSNR upwards, and the more real the darker.

    Args:
      points: one a run, with `rate` (nats), the metrics of AXES and `label`, a text beside it.
    """
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    rate, psnr, distance = np.array([[point[name] for name in AXES] for point in points]).T
    spread = np.ptp(distance) or 1.0
    norm = matplotlib.colors.Normalize(distance.min(), distance.max() + spread / 4)  # no white
    drawn = axes.scatter(
        rate, psnr, c=distance, cmap=shades(-1), norm=norm, s=42, linewidths=0.6, edgecolors=SOFT,
        zorder=4,
    )  # fmt: skip
    for setter, side in ((axes.set_xlim, rate), (axes.set_ylim, psnr)):
        margin = 0.12 * np.ptp(side) or 0.05 * abs(side[0]) or 1.0
        setter(side.min() - margin, side.max() + margin)
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=24)
    bar.outline.set_visible(False)
    if np.ptp(distance):  # what no point has is not shown
        bar.ax.set_ylim(distance.min(), distance.max())
    bar.set_label(FRECHET.label)
    axes.set(xlabel="rate (nats)", ylabel=f"{PSNR.label} (dB)")
    spots = np.stack([rate, psnr], axis=1)
    texts = [point["label"] for point in points]
    point_labels.place(axes, spots, texts, spots, [INK] * len(points), [1] * len(points))
    return figure

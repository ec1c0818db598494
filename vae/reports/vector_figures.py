"""Figures of tables and counts from plain arrays: marginals and correlations, data and samples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vae.reports.figures import TRAIN, VALIDATION, styled

Marginal = tuple[str, np.ndarray, np.ndarray, np.ndarray]
DATA, SAMPLES = TRAIN, VALIDATION
LONGEST = 26  # letters of a column's name
COLUMNS = 3
ROW = 0.105  # inches of a row of a matrix, which its name fits


@styled
def marginals(panels: Sequence[Marginal]) -> Figure:
    """Histograms of columns, of data and of samples on the same bins.

    Args:
      panels: of each its name, the bins' edges [K + 1], and shares [K] of data and of samples.
    """
    columns = min(COLUMNS, len(panels))
    num_rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.87 * COLUMNS, 0.3 + 1.25 * num_rows), layout="constrained")
    grid = figure.subplots(num_rows, COLUMNS, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _marginal(axes, *panel)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, handlelength=1.4)
    return figure


def _marginal(
    axes: Axes, name: str, edges: np.ndarray, data: np.ndarray, samples: np.ndarray
) -> None:
    axes.stairs(data, edges, fill=True, color=DATA, alpha=0.35, label="data")
    axes.stairs(samples, edges, color=SAMPLES, linewidth=1.2, label="samples")
    axes.set_title(shortened(name), parse_math=False)
    axes.set_ylim(0.0, 1.08 * max(data.max(), samples.max()))
    are_whole = float(2 * edges[0]).is_integer() and float(edges[1] - edges[0]).is_integer()
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=are_whole))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


@styled
def correlations(data: np.ndarray, samples: np.ndarray, names: Sequence[str]) -> Figure:
    """Two matrices [D, D] of correlations side by side, columns in the order of `names`."""
    side = max(1.9, ROW * len(names))
    labels = [shortened(name) for name in names]
    left = 0.06 * max(map(len, labels))
    figure = Figure(figsize=(2 * side + left + 0.9, side + 0.4), layout="constrained")
    both = figure.subplots(1, 2)
    for axes, matrix, title in zip(both, (data, samples), ("Data", "Samples"), strict=True):
        shown = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(False)
        axes.spines[:].set_visible(False)
    both[0].set_yticks(range(len(names)), labels, parse_math=False)
    bar = figure.colorbar(shown, ax=list(both), pad=0.02, aspect=25, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["−1", "0", "1"])
    bar.outline.set_visible(False)
    return figure


def shortened(name: str) -> str:
    """A name that fits above a small figure."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"

"""How figures look and are saved, and the curves of training. Others: latent_figures.py,
mosaics.py and sweep_figures.py."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vae import runs
from vae.choices import choose

DPI = 200
FORMATS = {"png": {"Software": None}, "pdf": {"CreationDate": None}}  # and what is left unsaid
TRAIN, VALIDATION = "#0072b2", "#d55e00"  # of the palette of Okabe and Ito: safe for all eyes
CLASSES = (  # of points of many classes
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#a6761d",
    "#e7298a", "#86962d",
)  # fmt: skip
LEAST = 7  # points of the smallest letters: what a page's narrowest charts are made for
FEW = 20  # places after the first tenth of training; of fewer none is cut off

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # the one that comes with matplotlib
    "mathtext.fontset": "dejavusans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#8a8f98",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.6,
    "xtick.color": "#8a8f98",
    "ytick.color": "#8a8f98",
    "xtick.labelcolor": "#333333",
    "ytick.labelcolor": "#333333",
    "xtick.labelsize": LEAST,
    "ytick.labelsize": LEAST,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "auto",  # the figure's own
    "pdf.fonttype": 42,  # letters stay letters: to be searched, and as journals ask
}

ROUND = (1, 2, 2.5, 5, 10)  # steps between ticks, times a power of ten
WHOLE = (1, 2, 5, 10)

# Keys of metrics.jsonl: every run's schedules, shown whole and from 0, and what is no curve. All
# others are terms of the objective, which says how they are titled.
SCHEDULES = {"beta": "$\\beta$", "learning_rate": "Learning rate"}
NO_CURVES = (
    "step", "epoch", "split", "gradient_norm", "capacity", "skipped_steps", "examples_per_second",
)  # fmt: skip


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draws in the house style, and leaves matplotlib's settings as they were."""

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Figure:
        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return draw


def save(figure: Figure, path: Path) -> Path:
    """Writes what the path's suffix says, whole or not at all; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.removeprefix(".")
    with matplotlib.rc_context(STYLE), runs.replacing(path) as temporary:
        layout = figure.get_layout_engine()
        if kind == "png" and layout is not None:  # once: `savefig` would draw all of it for that
            figure.set_dpi(DPI)
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(temporary, format=kind, dpi=DPI, metadata=FORMATS[kind])
    return path


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Where the figures of a run or a sweep go: `figures/` in its directory."""

    directory: Path
    formats: Sequence[str] = ("png",)  # the page holds the PNG, which is written in any case
    saved: dict[str, Path] = dataclasses.field(default_factory=dict)  # the PNGs, by name

    def __post_init__(self):
        for name in self.formats:
            choose(FORMATS, name, "format")

    def save(self, figure: Figure, name: str) -> Path:
        """Writes a figure in every format; returns the path of the PNG."""
        path = self.directory / "figures" / f"{name}.png"
        for kind in self.formats:
            if kind != "png":
                save(figure, path.with_suffix(f".{kind}"))
        self.saved[name] = save(figure, path)
        return path


@styled
def as_it_is(picture: np.ndarray) -> Figure:
    """A picture [H, W, C] in [0, 1], pixel by pixel."""
    height, width = picture.shape[:2]
    figure = Figure(figsize=(width / DPI, height / DPI))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(picture, interpolation="none")
    axes.set_axis_off()
    return figure


@styled
def training_curves(records: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Figure:
    """Small multiples of what metrics.jsonl holds, over epochs (steps where there are none).

    Args:
      records: its lines, in order. "train" lines are means since the line before; "validation"
        lines are means over the validation set.
      titles: of terms, each with its unit, in the order in which they are drawn. Terms that have
        none are drawn after them, by name.
    """
    known = {**titles, **SCHEDULES}
    others = [key for r in records for key in r if key not in known and key not in NO_CURVES]
    names = dict.fromkeys((*titles, *others, *SCHEDULES))
    x_key = "epoch" if all("epoch" in record for record in records) else "step"
    series = {
        (key, split): np.array(
            [(r[x_key], r[key]) for r in records if r["split"] == split and is_number(r.get(key))],
            float,
        ).reshape(-1, 2)
        for key in names
        for split in ("train", "validation")
    }
    keys = [key for key in names if any(len(series[key, s]) for s in ("train", "validation"))]
    num_rows = max(1, -(-len(keys) // 2))
    figure = Figure(figsize=(5.6, 0.35 + 1.5 * num_rows), layout="constrained")
    grid = figure.subplots(num_rows, 2, sharex=True, squeeze=False)
    for key, axes in zip(keys, grid.flat, strict=False):
        _curve(axes, series[key, "train"], series[key, "validation"], key in SCHEDULES)
        axes.set_title(known.get(key, key), parse_math=key in known)
    for axes in grid.flat[len(keys) :]:
        axes.set_axis_off()
    for axes in grid[-1]:
        axes.set_xlabel(x_key)
    handles = {line.get_label(): line for axes in grid.flat for line in axes.get_lines()}
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper left", ncols=2, handlelength=1.4
    )
    return figure


def _curve(axes: Axes, train: np.ndarray, validation: np.ndarray, from_zero: bool) -> None:
    for points, label, colour in ((train, "train", TRAIN), (validation, "validation", VALIDATION)):
        if len(points):
            marker = "o" if len(points) < 40 else None
            axes.plot(*points.T, color=colour, label=label, marker=marker, markersize=2.2)
    axes.set_ylim(limits(np.concatenate([train, validation]), from_zero))
    plain_numbers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=WHOLE))


def plain_numbers(axes: Axes) -> None:
    """Few ticks upwards, with minus signs rather than hyphens."""
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=ROUND))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}".replace("-", "−")))


def limits(points: np.ndarray, from_zero: bool) -> tuple[float, float]:
    """Limits of points [N, 2] along the second axis.

    From 0 to the largest; or around all but the first tenth of training, whose fall would flatten
    everything after it, where at least FEW places follow it.
    """
    x, y = points.T
    if from_zero:
        return 0.0, 1.1 * y.max() or 1.0
    is_later = x >= x.min() + 0.1 * (x.max() - x.min())
    later = y[is_later] if len(np.unique(x[is_later])) >= FEW else y
    low, high = later.min(), later.max()
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))

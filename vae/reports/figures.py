"""Figures of one run from plain arrays: curves, KL, latents. Pictures of data: images.py."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from vae import runs
from vae.choices import choose

DPI = 200
FORMATS = {"png": {"Software": None}, "pdf": {"CreationDate": None}}  # and what is left unsaid
TRAIN, VALIDATION = "#0072b2", "#d55e00"  # of the palette of Okabe and Ito: safe for all eyes
CLASSES = (  # of points of many classes
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#a6761d",
    "#e7298a", "#86962d",
)  # fmt: skip
ACTIVE, INACTIVE, THRESHOLD = "#0072b2", "#b8bcc2", "#d55e00"

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
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
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
        handles.values(), handles.keys(), loc="outside upper right", ncols=2, handlelength=1.4
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
    everything after it.
    """
    x, y = points.T
    if from_zero:
        return 0.0, 1.1 * y.max() or 1.0
    later = y[x >= x.min() + 0.1 * (x.max() - x.min())]
    low, high = later.min(), later.max()
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin


@styled
def kl_per_latent(kl: np.ndarray, variance: np.ndarray, threshold: float) -> Figure:
    """KL of each latent, largest first, above the activity that decides whether it is in use.

    Args:
      kl: [L] mean over examples of KL(q(z_j|x) || p(z_j)), nats.
      variance: [L] variance over examples of the posterior means.
      threshold: a unit is active where its variance is above it (Burda et al. 2015, section 5.2).
    """
    order = np.argsort(-kl, kind="stable")
    kl, variance = kl[order], variance[order]
    active = variance > threshold
    place = np.arange(1, len(kl) + 1)
    colours = np.where(active, ACTIVE, INACTIVE)

    figure = Figure(figsize=(5.6, 3.3), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    top.bar(place, kl, color=colours, width=0.8 if len(kl) <= 100 else 1.0)
    top.set_title("KL$(q(z_j|x)\\,\\|\\,p(z_j))$ (nats)")
    top.set_ylim(0.0, max(1.08 * kl.max(), 1e-3))
    top.set_title(f"{active.sum()} of {len(kl)} active", loc="right")

    floor = max(min(variance.min(), threshold) / 3, 1e-10)
    size = np.clip(400 / len(kl), 2, 16)
    bottom.set_yscale("log")
    bottom.scatter(place, np.maximum(variance, floor), c=colours, s=size, linewidths=0, zorder=3)
    line = max(threshold, floor)  # the axis is of logarithms
    bottom.axhline(line, color=THRESHOLD, linewidth=0.9, linestyle=(0, (4, 2)))
    label = f"active above {threshold:g}"
    bottom.annotate(
        label, (1, line), (0, 2), bottom.get_yaxis_transform(), "offset points",
        ha="right", va="bottom", color=THRESHOLD,
    )  # fmt: skip
    bottom.yaxis.set_minor_locator(NullLocator())
    bottom.set_ylim(floor / 1.5, 3 * max(variance.max(), line))
    bottom.set_title("Variance over $x$ of the posterior mean $E_q[z_j]$")
    bottom.set_xlabel("rank of latent $j$ by KL")
    bottom.set_xlim(0.25, len(kl) + 0.75)
    bottom.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1, steps=WHOLE))
    return figure


def kl_per_layer(kl: np.ndarray, sizes: Sequence[int]) -> Figure:
    """KL of each layer of latents, the one next to x first.

    Args:
      kl: mean over examples, nats, of each layer.
      sizes: latents of each layer.
    """
    figure = Figure(figsize=(5.6, 2.6), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(kl))
    axes.bar(place, kl, color=ACTIVE)
    axes.set_title("KL of each layer of latents (nats)")
    axes.set_ylim(0.0, max(1.08 * float(np.max(kl)), 1e-3))
    shown = place[:: -(-len(kl) // 12)]
    axes.set_xticks(shown, [f"{number + 1}\n{sizes[number]}" for number in shown])
    return figure


@styled
def annealed_curve(
    rate: np.ndarray, distortion: np.ndarray, encoder: tuple[float, float] | None
) -> Figure:
    """Rate and distortion along AIS's path from the prior to the posterior (Huang et al. 2020).

    Args:
      rate, distortion: [T] nats, means over examples, inverse temperature rising.
      encoder: the rate and distortion of q(z|x), which no curve of the same decoder is above.
    """
    figure = Figure(figsize=(5.6, 3.0), layout="constrained")
    axes = figure.subplots()
    axes.plot(rate, distortion, color=TRAIN, label="annealed posterior")
    axes.plot(rate[-1:], distortion[-1:], "o", color=TRAIN, markersize=4)
    if encoder is not None:
        axes.plot(*encoder, "o", color=VALIDATION, markersize=4, label="encoder")
    axes.set(xlabel="rate (nats)", title="Distortion (nats)")
    # Near the prior distortion is far above everything that a decoder is used for.
    top = float(np.interp(0.15 * rate[-1], rate, distortion))
    shown = [*distortion[distortion <= top], *([encoder[1]] if encoder else [])]
    margin = 0.08 * (max(shown) - min(shown)) or 1.0
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
    axes.legend()
    return figure


@styled
def latent_plane(means: np.ndarray, labels: np.ndarray | None, reach: float) -> Figure:
    """Posterior means of two latents.

    Args:
      means: [N, 2], in standard deviations of the prior from its mean.
      labels: classes [N], or None.
      reach: the axes run from -reach to reach.
    """
    figure = Figure(figsize=(3.6, 3.2), layout="constrained")
    axes = figure.subplots()
    classes = [None] if labels is None else np.unique(labels).tolist()
    for number, label in enumerate(classes):
        points = means if label is None else means[labels == label]
        colour = CLASSES[number % len(CLASSES)]
        axes.scatter(points[:, 0], points[:, 1], s=5, color=colour, linewidths=0, label=label)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$z_0$", title="$z_1$")
    axes.set_aspect("equal")
    if 1 < len(classes) <= 20:
        figure.legend(loc="outside right upper", markerscale=2, handletextpad=0.1)
    return figure


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))

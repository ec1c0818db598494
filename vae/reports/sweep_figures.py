"""Figures that compare the trials of a sweep, from plain arrays and mappings."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vae.reports.figures import ROUND, WHOLE, limits, plain_numbers, styled
from vae.reports.summary import numeric, ordered, show

# Okabe and Ito, without the yellow that white paper swallows.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 1.6)))
INK, SOFT = "#333333", "#8a8f98"
COLOURS = "viridis"
SHADES = "YlGnBu"  # from light to dark: turned over on a dark page it is from dark to light
SIDE, DIGIT = 1.5, 0.062  # inches: a small figure's axes, about, and a digit under them
NEUTRAL = "Greys"  # of what has no best: no shade of it says better


def colours(values: Sequence[Hashable]) -> dict[Hashable, str]:
    """A colour for each value, in order: of the palette, or of a scale where there are many."""
    distinct = ordered(values)
    if len(distinct) <= len(PALETTE):
        return dict(zip(distinct, PALETTE, strict=False))
    scale = matplotlib.colormaps[COLOURS](np.linspace(0.0, 0.82, len(distinct)))
    return {v: matplotlib.colors.to_hex(c) for v, c in zip(distinct, scale, strict=True)}


def named(colour: Mapping[Hashable, str]) -> dict[Hashable, str]:
    """The colours that a legend has room for: all, or some along the scale."""
    picked = np.linspace(0, len(colour) - 1, 6).round().astype(int)
    pairs = list(colour.items())
    return dict(pairs if len(pairs) <= 10 else [pairs[i] for i in picked])


@styled
def heat_map(
    matrix: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    names: tuple[str, str],
    title: str,
    sign: int = 1,
) -> Figure:
    """A matrix [R, K] with its numbers in the cells, rows upwards, the best cell framed.

    Args:
      rows, columns: the R and K values of the two keys.
      names: of the keys of the rows and of the columns.
      sign: 1: more is better; -1: less is; 0: neither, and no cell is framed.
    """
    texts = _cell_texts(matrix)
    cell = max(0.42, 0.075 * max(map(len, texts.flat)))  # inches
    height = 0.3 * len(rows)
    size = max(2.7, 0.75 + cell * len(columns)), 0.75 + max(height, 1.0)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    colour = matplotlib.colormaps[shades(sign)]
    low, high = np.nanmin(matrix), np.nanmax(matrix)
    spread = high - low or 1.0
    ends = (low - spread / 4, high) if sign < 0 else (low, high + spread / 4)
    norm = matplotlib.colors.Normalize(*ends)  # spares the darkest shades
    axes.pcolormesh(matrix, cmap=colour, norm=norm, edgecolors="white", linewidth=0.8)
    for (row, column), number in np.ndenumerate(matrix):
        ink = SOFT if np.isnan(number) else readable_on(colour(norm(number)))
        text = str(texts[row, column])
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=ink, fontsize=7)
    if sign:
        row, column = divmod(int(np.nanargmax(sign * matrix)), len(columns))
        axes.add_patch(matplotlib.patches.Rectangle(
            (column, row), 1, 1, clip_on=False, fill=False, edgecolor="#d55e00", linewidth=1.8,
            zorder=3,
        ))  # fmt: skip
    axes.set(title=title, ylabel=names[0], xlabel=names[1])
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=_slant(columns, cell))
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    _bare(axes)
    return figure


def shades(sign: int) -> str:
    """The colours of a metric of which more is better (1), or less (-1), or neither (0)."""
    return {1: SHADES, -1: f"{SHADES}_r", 0: NEUTRAL}[sign]


def readable_on(colour: Sequence[float]) -> str:
    """Black or white text, whichever stands out more from an RGB colour (WCAG's contrast)."""
    rgb = np.asarray(colour[:3], float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"


def _cell_texts(matrix: np.ndarray) -> np.ndarray:
    """The numbers [R, K] with as many decimals as tell them apart; a dash for NaN."""
    found = matrix[np.isfinite(matrix)]
    spread = found.max() - found.min()
    decimals = 1 if not spread else int(np.clip(2 - math.floor(math.log10(spread)), 1, 4))
    decimals = 0 if np.all(found == np.round(found)) else decimals
    decimals = min(decimals, 1) if np.all(2 * found == np.round(2 * found)) else decimals
    texts = [f"{x:,.{decimals}f}".replace("-", "−") if np.isfinite(x) else "–" for x in matrix.flat]
    return np.array(texts, dtype=object).reshape(matrix.shape)


def _slant(texts: Sequence[str], width: float) -> float:
    """The angle at which texts fit below columns of a width in inches."""
    return 30.0 if max(map(len, texts)) * 0.062 > width else 0.0


def _bare(axes: Axes) -> None:
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@styled
def against_key(
    values: Sequence[Any],
    means: Sequence[float],
    errors: Sequence[float | None],
    name: str,
    title: str,
) -> Figure:
    """Means with their standard errors against one key's values [N], numbers or names."""
    are_numbers = numeric(values)
    x = np.asarray(values, float) if are_numbers else np.arange(len(values))
    figure = Figure(figsize=(2.7, 2.1), layout="constrained")
    axes = figure.subplots()
    bars = [0.0 if error is None else error for error in errors]
    axes.errorbar(
        x, means, bars, linestyle="-" if are_numbers else "none", marker="o", capsize=2,
        color=PALETTE[0], ecolor=SOFT, elinewidth=1.0, markersize=3.5,
    )  # fmt: skip
    if are_numbers:
        _scale(axes, x)
    else:
        axes.set_xticks(x, [str(value) for value in values], rotation=_slant(values, 2 / len(x)))
        axes.set_xlim(-0.5, len(x) - 0.5)
    axes.set(title=title, xlabel=name)
    plain_numbers(axes)
    return figure


@styled
def scatter(
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    names: tuple[str, str],
    title: str,
    sign: int = 1,
) -> Figure:
    """Values [N] as shades at x, y [N], the best darkest: for a search, which fills no grid.

    Args:
      names: of the keys upwards and to the right.
      sign: 1: more is better; -1: less is; 0: neither, and the most is darkest, in grey.
    """
    figure = Figure(figsize=(2.9, 2.3), layout="constrained")
    axes = figure.subplots()
    order = np.argsort(values)
    order = order[::-1] if sign < 0 else order
    points = axes.scatter(
        x[order], y[order], c=values[order], cmap=shades(sign), s=22, linewidths=0.5,
        edgecolors=SOFT,
    )  # fmt: skip
    figure.colorbar(points, ax=axes, pad=0.02, aspect=18).outline.set_visible(False)
    axes.set(title=title, ylabel=names[0], xlabel=names[1])
    _scale(axes, x)
    _scale(axes, y, "y")
    return figure


def _scale(axes: Axes, values: np.ndarray, which: str = "x") -> None:
    """A logarithmic axis where positive values span more than a factor of 20."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if len(values) > 1 and values.min() > 0 and values.max() > 20 * values.min():
        axis.axes.set_xscale("log") if which == "x" else axis.axes.set_yscale("log")
        ticks = sorted(set(values.tolist()))
        if len(ticks) <= 7:
            axis.set_ticks(ticks, list(map(show, ticks)))
        else:
            axis.set_ticks(found := round_ticks(*ticks[:: len(ticks) - 1]), list(map(show, found)))
        axis.set_ticks([], minor=True)
    elif len(set(values.tolist())) <= 6:
        axis.set_ticks(sorted(set(values.tolist())))
        axis.set_major_formatter(FuncFormatter(lambda v, _: show(v)))
    else:
        axis.set_major_locator(MaxNLocator(5, steps=ROUND))


def round_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, for a logarithmic axis: so few that they stand apart."""
    inch = math.log10(high / low) / SIDE
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for steps, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3)):
        found = [step * 10.0**power for power in powers[::every] for step in steps]
        found = [tick for tick in found if low <= tick <= high]
        pairs = list(zip(found, found[1:], strict=False))
        room = [math.log10(b / a) / inch - DIGIT * len(show(a) + show(b)) / 2 for a, b in pairs]
        if min(room, default=1.0) > 0.01:
            break
    return found


def proxy(colour: str, **look: Any) -> Line2D:
    return Line2D([], [], color=colour, **look)


@styled
def validation_curves(
    curves: Sequence[Mapping[str, Any]], x_name: str, colour_name: str, style_name: str | None
) -> Figure:
    """The validation ELBO of every trial; the legend has an entry a value and none a trial.

    Args:
      curves: with `points` [N, 2] of epoch and ELBO (nats), `colour` and `style`, values of two
        keys, and `stopped`, whether the trial was stopped early, which a cross marks.
      x_name: "epoch" or "step".
      colour_name, style_name: what `colour` and `style` are values of; "" or None: of nothing.
    """
    colour = colours([curve["colour"] for curve in curves])
    styles = ordered([curve["style"] for curve in curves])
    figure = Figure(figsize=(5.6, max(3.1, 0.16 * (len(named(colour)) + len(styles) + 6))))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    dashes = dict(zip(styles, DASHES, strict=False))
    width = 1.1 if len(curves) <= 12 else 0.8
    for curve in curves:
        look: dict[str, Any] = {
            "color": colour[curve["colour"]], "linestyle": dashes.get(curve["style"], "-")
        }  # fmt: skip
        if len(curve["points"]) == 1:
            look |= {"marker": "o", "markersize": 2.5}
        axes.plot(*curve["points"].T, linewidth=width, alpha=0.9, **look)
        if curve["stopped"]:
            axes.plot(*curve["points"][-1], "x", color=look["color"], markersize=4)
    axes.set_title("Validation ELBO (nats)")
    axes.set_xlabel(x_name)
    axes.set_ylim(limits(np.concatenate([curve["points"] for curve in curves]), from_zero=False))
    plain_numbers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=WHOLE))
    if colour_name:
        lines = [proxy(c, linewidth=1.6) for c in named(colour).values()]
        _legend(figure, lines, named(colour), colour_name, "upper")
    if style_name:
        lines = [proxy(INK, linestyle=dash) for dash in dashes.values()]
        _legend(figure, lines, dashes, style_name, "lower")
    return figure


def _legend(figure: Figure, lines: Sequence[Line2D], labels: Any, name: str, corner: str) -> None:
    """A legend right of the axes, in the upper or the lower corner."""
    where: Any = f"outside right {corner}"
    figure.legend(
        lines, list(map(show, labels)), title=name, loc=where,
        handlelength=2.6, alignment="left", title_fontsize=7.5,
    )  # fmt: skip

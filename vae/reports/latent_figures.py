"""Figures of a run's latents from plain arrays: KL, rate and distortion, posterior means."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from vae.reports.figures import CLASSES, TRAIN, VALIDATION, styled

ACTIVE, INACTIVE, THRESHOLD = "#0072b2", "#b8bcc2", "#d55e00"
NAMED = 24  # latents that are named under their bars; of more, about as many of them


@styled
def kl_per_latent(kl: np.ndarray, variance: np.ndarray, threshold: float) -> Figure:
    """KL of each latent, largest first, above the activity that decides whether it is in use.

    Under each is its index, by which the traversals call it too.

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
        label, (0, line), (3, 2), bottom.get_yaxis_transform(), "offset points",
        ha="left", va="bottom", color=THRESHOLD,
    )  # fmt: skip
    bottom.yaxis.set_minor_locator(NullLocator())
    bottom.set_ylim(floor / 1.5, 3 * max(variance.max(), line))
    bottom.set_title("Variance over $x$ of the posterior mean $E_q[z_j]$")
    bottom.set_xlabel("latent $j$, numbered from 0, in order of KL")
    bottom.set_xlim(0.25, len(kl) + 0.75)
    bottom.set_xticks(place[:: -(-len(kl) // NAMED)], order[:: -(-len(kl) // NAMED)].tolist())
    return figure


@styled
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


@styled
def class_points(
    points: np.ndarray, classes: np.ndarray | None, names: tuple[str, str]
) -> Figure:
    """Points [N, 2] of posterior means, coloured by class; of more classes than colours those after
    the last colour are triangles.

    Args:
      classes: [N], numbers or names, or None.
      names: of the axes, to the right and upwards.
    """
    figure, axes = _plane(names)
    found: list[Any] = [None] if classes is None else np.unique(classes).tolist()
    for number, label in enumerate(found):
        shown = points if label is None else points[classes == label]
        colour, marker = CLASSES[number % len(CLASSES)], "o^"[number // len(CLASSES) % 2]
        look: dict[str, Any] = {"s": 9, "color": colour, "marker": marker, "linewidths": 0}
        axes.scatter(shown[:, 0], shown[:, 1], label=label, **look)
    if len(found) > 1:
        figure.legend(loc="outside right upper", markerscale=2, handletextpad=0.1)
    return figure


@styled
def valued_points(points: np.ndarray, values: np.ndarray, names: tuple[str, str]) -> Figure:
    """Points [N, 2] of posterior means, coloured by value [N]."""
    figure, axes = _plane(names)
    shown = axes.scatter(points[:, 0], points[:, 1], s=9, c=values, cmap="viridis", linewidths=0)
    figure.colorbar(shown, ax=axes, pad=0.02, aspect=30, label="label").outline.set_visible(False)
    return figure


def _plane(names: tuple[str, str]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.grid(False)
    return figure, axes

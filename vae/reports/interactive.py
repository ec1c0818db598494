"""The parts of a run's page that can be moved, each from frames that are decoded beforehand."""

import itertools

import numpy as np

from vae.reports import widgets
from vae.reports.markup import Block
from vae.reports.strips import Strip, shrink, strip, tiled
from vae.reports.view import PLANE, REACH, View, signed

FRAMES = 21  # of a latent
MOST_LATENTS = 64
UNFOLDED = 12  # sliders that are there at once, the others behind a fold
ENDS = 6  # examples to choose from
STEPS = 11  # from one to another
TEMPERATURES = np.round(np.arange(0.4, 1.21, 0.1), 1)
GRID = 8  # samples a side
RANKED = 8  # best, and as many worst


def sections(view: View) -> list[Block]:
    """Everything that can be moved, of images [N, H, W, C]."""
    found = [latent_map(view)] if view.mean.shape[1] == 2 else []
    return [*found, traversals(view), samples(view), interpolation(view), by_likelihood(view)]


def traversals(view: View) -> Block:
    """A slider for each active latent."""
    title, latents = "Latent traversals", view.active(MOST_LATENTS)
    if not len(latents):
        return Block(title, "No latent is active: there is nothing to move.")
    values = np.linspace(-REACH, REACH, FRAMES)
    frames = _frames(view.decode(view.along(latents, values), np.zeros(len(latents), int)))
    order, scores, ranked_by = view.ranking()
    score = dict(zip(order.tolist(), scores.tolist(), strict=True))
    own = view.standardised[0]
    kind = "KL" if ranked_by.startswith("KL") else "variance"
    players = [
        widgets.player(
            row,
            f"z{_below(latent)}",
            f"{kind} {score[latent]:.2f}",
            [signed(value) for value in values],
            start=int(np.abs(values - own[latent]).argmin()),
        )
        for latent, row in zip(latents.tolist(), frames, strict=True)
    ]
    shown = "Every active latent" if len(latents) < MOST_LATENTS else "The most active latents"
    caption = (
        f"{shown} by {ranked_by}, numbered from 0 as in the arrays. The picture is the first "
        f"{view.split} example with that latent moved from −{REACH:g} to {REACH:g} standard "
        "deviations of the prior around its mean, the others at their posterior mean."
    )
    return Block(title, caption, widgets.folded(players, UNFOLDED))


def latent_map(view: View) -> Block:
    """The plane of a model of exactly two latents."""
    means = view.standardised
    labels = view.labels()
    outside = int((np.abs(means) > REACH).any(1).sum())
    caption = (
        f"Posterior means of the first {len(means):,} {view.split} examples"
        f"{', coloured by label' if labels is not None else ''}"
        f"{f'; {outside} lie outside' if outside else ''}. Circles are 1, 2 and 3 standard "
        "deviations of the prior. Beside it the mean of p(x|z) at the nearest point of a grid of "
        f"{PLANE} × {PLANE}."
    )
    sheet = strip(shrink(view.plane), PLANE)
    return Block("Latent space", caption, widgets.map_of(sheet, means, labels, REACH, ("z₀", "z₁")))


def samples(view: View) -> Block:
    """Grids of samples at several temperatures, of the same noise."""
    grids = np.stack([view.sample(GRID**2, float(t)) for t in TEMPERATURES])
    grids = shrink(grids)
    frames = tiled(grids, GRID, gap=max(1, grids.shape[2] // 14))
    start = int(np.argmin(np.abs(TEMPERATURES - 1.0)))
    values = [f"{value:.1f}" for value in TEMPERATURES]
    body = widgets.player(strip(frames, 3), "Temperature", "", values, start, kind="wide")
    told = ""
    if view.context is not None:
        by_turns = view.run.config.data.context == "labels"
        told = " Classes by turns." if by_turns else " Contexts of the first test examples."
    caption = (
        "Means of p(x|z) for z drawn from the prior, seed 0; not selected. The temperature scales "
        f"the prior's noise; at 1 these are samples of the model.{told}"
    )
    return Block("Samples", caption, body)


def interpolation(view: View) -> Block:
    """Straight lines between the posterior means of examples, all pairs of a few."""
    ends = np.arange(min(ENDS, len(view.x)))
    pairs = list(itertools.combinations(ends.tolist(), 2)) or [(0, 0)]
    starts, stops = np.array(pairs).T
    frames = shrink(view.decode(view.lines(starts, stops, STEPS), starts))
    body = widgets.blend(
        strip(frames.reshape(-1, *frames.shape[2:]), STEPS),
        strip(shrink(view.shown(view.x[ends]))),
        pairs,
    )
    given = "" if view.context is None else " All are given the context of the earlier example."
    caption = (
        f"Two of the first {len(ends)} {view.split} examples, and between them the mean of p(x|z) "
        f"along the straight line from one posterior mean to the other.{given}"
    )
    return Block("Interpolation", caption, body)


def by_likelihood(view: View) -> Block:
    """The examples that the model finds most and least likely, and their reconstructions."""
    values, name = view.likelihoods()
    order = np.argsort(-values, kind="stable")
    count = min(RANKED, -(-len(order) // 2))
    parts = []
    worst = order[::-1][: min(count, len(order) - count)]
    for title, rows in (("Best", order[:count]), ("Worst", worst)):
        if not len(rows):
            continue
        both = shrink(view.pairs_of(rows))
        items = [
            (strip(pair, 1), signed(values[row]), f"{view.split} example {row}")
            for pair, row in zip(both, rows.tolist(), strict=True)
        ]
        parts.append(widgets.ranked(title, items))
    caption = (
        f"Of {len(values):,} {view.split} examples, those of the highest and the lowest {name} "
        "(nats, under each); above each reconstruction, the mean of p(x|z) at the mean of q(z|x), "
        "its input."
    )
    return Block("Most and least likely", caption, "".join(parts))


def _frames(rows: np.ndarray) -> list[Strip]:
    return [strip(row) for row in shrink(rows)]


def _below(number: int) -> str:
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))

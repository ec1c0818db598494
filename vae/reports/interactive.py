"""What can be moved on a run's page: frames that are decoded beforehand."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from vae.reports.figures import CLASSES
from vae.reports.strips import Strip, shrink, strip, tiled
from vae.reports.view import PLANE, REACH, View, class_heads, class_names, signed

FRAMES = 21  # of a latent
MOST_LATENTS = 64
ENDS = 6  # examples to choose from
STEPS = 11  # from one to another
TEMPERATURES = np.round(np.arange(0.4, 1.21, 0.1), 1)
GRID = 6  # samples a side
RANKED = 6  # best, and as many worst


@dataclasses.dataclass(frozen=True)
class Player:
    """A slider over the frames of a strip."""

    strip: Strip
    label: str  # what the slider moves, as the page and a screen reader call it
    note: str  # what stands beside it
    values: Sequence[str]  # a text for each frame
    start: int  # the frame that is shown first
    heads: Sequence[str] = ()  # above columns of equal width


def parts(view: View) -> dict[str, Any]:
    """Everything that can be moved, of images [N, H, W, C]."""
    return {
        "plane": plane(view) if view.mean.shape[1] == 2 else None,
        "latents": traversals(view),
        "most_latents": MOST_LATENTS,
        "reach": f"{REACH:g}",
        "samples": samples(view),
        "blend": interpolation(view),
        "ranked": by_likelihood(view),
    }


def traversals(view: View) -> list[Player]:
    """A slider for each active latent."""
    latents = view.active(MOST_LATENTS)
    if not len(latents):
        return []
    values = np.linspace(-REACH, REACH, FRAMES)
    frames = shrink(view.decode(view.along(latents, values), np.zeros(len(latents), int)))
    order, scores, ranked_by = view.ranking()
    score = dict(zip(order.tolist(), scores.tolist(), strict=True))
    kind = "KL" if ranked_by.startswith("KL") else "variance"
    return [
        Player(
            strip(row),
            f"z{_below(latent)}",
            f"{kind} {score[latent]:.2f}",
            [signed(value) for value in values],
            start=int(np.abs(values - view.standardised[0][latent]).argmin()),
        )
        for latent, row in zip(latents.tolist(), frames, strict=True)
    ]


def plane(view: View) -> dict[str, Any]:
    """Two latents to move over, of a model that has no more.

    Returns:
      `strip`, whose rows are from the highest second latent down; `points`, the x, y and colour of
      posterior means, in hundredths of the prior's standard deviations; `classes`, each with its
      colour, none where there are no labels; and how many means are `outside`.
    """
    means, labels = view.standardised, view.labels()
    inside = (np.abs(means) <= REACH).all(1)
    of = np.zeros(len(means)) if labels is None else labels
    colours = {c: _colour(number) for number, c in enumerate(sorted(set(of.tolist())))}
    names = class_names(view.run, colours) if labels is not None else []
    points = [
        (f"{100 * x:.0f}", f"{-100 * y:.0f}", colours[c])
        for (x, y), c in zip(means[inside], of[inside].tolist(), strict=True)
    ]
    return {
        "strip": strip(shrink(view.plane), PLANE),
        "points": points,
        "classes": {} if labels is None else dict(zip(names, colours.values(), strict=True)),
        "outside": int((~inside).sum()),
        "reach": REACH,
        "names": ("z₀", "z₁"),
    }


def samples(view: View) -> Player:
    """Grids of means of p(x|z) at several temperatures of the prior, of the same noise."""
    heads = class_heads(view.run)
    columns = len(heads) or GRID
    grids = shrink(np.stack([view.sample(GRID * columns, float(t)) for t in TEMPERATURES]))
    frames = tiled(grids, columns, gap=max(1, grids.shape[2] // 14))
    start = int(np.argmin(np.abs(TEMPERATURES - 1.0)))
    texts = [f"{t:.1f}" for t in TEMPERATURES]
    return Player(strip(frames, 3), "Temperature", "", texts, start, heads)


def interpolation(view: View) -> dict[str, Any]:
    """Straight lines between the posterior means of examples.

    Returns:
      `ends`, the examples to choose two of; `paths`, a row of frames for each of the `pairs`, which
      are all that there are, smaller number first.
    """
    ends = np.arange(min(ENDS, len(view.x)))
    pairs = list(itertools.combinations(ends.tolist(), 2)) or [(0, 0)]
    starts, stops = np.array(pairs).T
    frames = shrink(view.decode(view.lines(starts, stops, STEPS), starts))
    paths = strip(frames.reshape(-1, *frames.shape[2:]), STEPS)
    return {"ends": strip(shrink(view.inputs(ends))), "paths": paths, "pairs": pairs}


def by_likelihood(view: View) -> dict[str, Any]:
    """The examples that the model finds most and least likely, and their reconstructions.

    Returns:
      `best` and `worst`: lists of a strip (the input above its reconstruction), its value and which
      example it is; `count` of the examples, and the `name` of what ranks them.
    """
    values, name = view.likelihoods()
    order = np.argsort(-values, kind="stable")
    count = min(RANKED, -(-len(order) // 2))
    worst = order[::-1][: min(count, len(order) - count)]

    def items(rows: np.ndarray) -> list[tuple[Strip, str, str]]:
        if not len(rows):
            return []
        pairs = shrink(view.pairs_of(rows))
        pairs = tiled(pairs, 1, gap=max(1, pairs.shape[2] // 14))
        return [
            (strip(pair[None]), signed(values[row]), f"{view.split} example {row}")
            for pair, row in zip(pairs, rows.tolist(), strict=True)
        ]

    return {"best": items(order[:count]), "worst": items(worst), "count": len(order), "name": name}


def _colour(number: int) -> str:
    if number < len(CLASSES):
        return CLASSES[number]
    return f"hsl({(number * 137.5) % 360:.0f} 60% 50%)"  # of the golden angle: far from the last


def _below(number: int) -> str:
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))

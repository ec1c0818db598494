"""The HTML of what can be moved: pictures that show all frames until a script makes them one.

Every function returns HTML that is whole without scripts; page.js adds the controls.
"""

import html
import json
from collections.abc import Sequence

import numpy as np

from vae.reports.figures import CLASSES
from vae.reports.strips import Strip


def player(
    strip: Strip, label: str, note: str, values: Sequence[str], start: int, kind: str = ""
) -> str:
    """A slider over the frames of a strip.

    Args:
      label: what the slider moves, as the page and a screen reader call it.
      note: what stands beside it.
      values: a text for each frame.
      start: the frame that is shown first.
      kind: a class for the style.
    """
    said = json.dumps(list(values), ensure_ascii=False)
    beside = f" <small>{html.escape(note)}</small>" if note else ""
    return (
        f'<figure class="player {kind}" {_size(strip)} data-start="{start}" '
        f'data-label="{html.escape(label)}" data-values="{html.escape(said)}">'
        f"{_image(strip, label)}<figcaption><b>{html.escape(label)}</b>{beside}</figcaption>"
        "</figure>"
    )


def folded(players: Sequence[str], count: int) -> str:
    """Players side by side; those after the first `count` behind a fold."""
    first, rest = players[:count], players[count:]
    body = f"<div class=players>{''.join(first)}</div>"
    if not rest:
        return body
    more = f"<div class=players>{''.join(rest)}</div>"
    return f"{body}<details><summary>{len(rest)} more</summary>{more}</details>"


def map_of(
    strip: Strip, means: np.ndarray, labels: np.ndarray | None, reach: float, names: Sequence[str]
) -> str:
    """A plane of two latents to move over, and the decoded picture of where one is.

    Args:
      strip: the plane's frames, rows from the highest second latent down.
      means: [N, 2] posterior means, in the prior's standard deviations from its mean.
      labels: [N] classes, which the points' colours show, or None.
      reach: the plane runs from -reach to reach.
      names: of the two latents.
    """
    inside = (np.abs(means) <= reach).all(1)
    labels = np.zeros(0) if labels is None else np.asarray(labels)
    classes = sorted(set(labels.tolist()))
    points = []
    for number in np.flatnonzero(inside):
        colour = classes.index(labels[number]) if classes else 0
        x, y = 100 * means[number]
        points.append(f'<circle cx="{x:.0f}" cy="{-y:.0f}" r="5.5" fill="{_colour(colour)}"/>')
    edge = 100 * reach
    rings = "".join(f'<circle class=ring r="{100 * r}"/>' for r in range(1, int(reach) + 1))
    legend = "".join(
        f'<li><i style="background:{_colour(i)}"></i>{html.escape(str(c))}</li>'
        for i, c in enumerate(classes)
    )
    first, second = map(html.escape, names)
    return (
        f'<div class=map {_size(strip)} data-reach="{reach:g}" '
        f'data-names="{html.escape(json.dumps(list(names), ensure_ascii=False))}">'
        f'<div class=side><div class=plane><svg viewBox="{-edge} {-edge} {2 * edge} {2 * edge}" '
        f'role=img aria-label="Posterior means of the examples">{rings}'
        f'<path class=axis d="M{-edge} 0H{edge}M0 {-edge}V{edge}"/>{"".join(points)}</svg></div>'
        f"<p class=axes><span>→ {first}</span><span>↑ {second}</span></p>"
        f"{f'<ul class=legend>{legend}</ul>' if legend else ''}</div>"
        f"<div class=side>{_image(strip, 'Decoded pictures over the plane')}</div></div>"
    )


def blend(paths: Strip, ends: Strip, pairs: Sequence[tuple[int, int]]) -> str:
    """Two pictures to choose, and a slider from one to the other.

    Args:
      paths: a row of frames for each pair.
      ends: the pictures to choose from, in one row.
      pairs: which two of them each row joins, smaller number first.
    """
    steps = paths.columns
    return (
        f'<div class=blend {_size(paths)} data-steps="{steps}" data-ends="{ends.count}" '
        f'data-pairs="{html.escape(json.dumps([list(pair) for pair in pairs]))}">'
        f"{_image(ends, 'Pictures that are joined', 'ends')}"
        f"{_image(paths, 'From one picture to another, a row for each pair', 'paths')}</div>"
    )


def ranked(title: str, items: Sequence[tuple[Strip, str, str]]) -> str:
    """Pictures above their reconstructions, each with its value.

    Args:
      items: input and reconstruction one above the other; the value; which example it is.
    """
    cells = "".join(
        f'<figure><img src="{strip.address}" width="{strip.width}" '
        f'height="{strip.height * strip.count}" alt="{html.escape(name)}" '
        f'title="{html.escape(name)}"><figcaption>{html.escape(value)}</figcaption></figure>'
        for strip, value, name in items
    )
    return f"<h3>{html.escape(title)}</h3><div class=ranked>{cells}</div>"


def _size(strip: Strip) -> str:
    return (
        f'data-count="{strip.count}" data-columns="{strip.columns}" '
        f'data-width="{strip.width}" data-height="{strip.height}"'
    )


def _image(strip: Strip, alternative: str, kind: str = "") -> str:
    return f'<img class="strip {kind}" src="{strip.address}" alt="{html.escape(alternative)}">'


def _colour(number: int) -> str:
    if number < len(CLASSES):
        return CLASSES[number]
    return f"hsl({(number * 137.5) % 360:.0f} 60% 50%)"  # of the golden angle: far from the last

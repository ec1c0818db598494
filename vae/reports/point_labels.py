"""Labels beside points of a plane, each where it covers no other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from vae.reports.figures import LEAST

MOST = 24  # labels that a plane has room for
AREA = (5.0, 2.9)  # of the axes, about, inches
EDGE = 11.0  # points above the lower edge, where other numbers may stand
LETTER = 4.4  # width of a letter of a label, points


def place(
    axes: Axes,
    spots: np.ndarray,
    texts: Sequence[str],
    points: np.ndarray,
    hues: Sequence[str],
    sides: Sequence[int],
) -> None:
    """Labels of spots, each where it covers no other label and the fewest points; none where it
    would cover a label wherever it stood. The axes have their limits.

    Args:
      spots: [N, 2].
      points: [M, 2], all there are.
      hues: the colour of each label.
      sides: of each spot where its label is if there is room: above (1) or below (-1).
    """
    size = np.array(AREA) * 72  # of the axes, about, in points of print
    low, high = np.transpose([axes.get_xlim(), axes.get_ylim()])
    dots = (points - low) / (high - low) * size
    taken: list[np.ndarray] = []
    for spot, text, hue, side in zip(spots, texts, hues, sides, strict=True):
        at = (spot - low) / (high - low) * size
        extent = np.array([LETTER * len(text), LEAST + 1.0])
        tried: list[tuple[int, int, int, np.ndarray, np.ndarray]] = []
        for distance in (3.0, 11.0, 19.0):
            for across, up in ((1, 1), (-1, -1), (-1, 1), (1, -1)):
                offset = side * np.array([across * 3.5, up * distance])
                corner = at + offset - extent * (offset < 0)
                box = np.array([corner, corner + extent])
                covered = sum(bool(((box[0] < o[1]) & (box[1] > o[0])).all()) for o in taken)
                over = int(((dots > box[0] - 2) & (dots < box[1] + 2)).all(1).sum())
                outside = bool((box[0] < (2, EDGE)).any() or (box[1] > size).any())
                tried.append((covered, outside + over, len(tried), offset, box))
        covered, *_, offset, box = min(tried, key=lambda trial: trial[:3])
        if covered:
            continue
        taken.append(box)
        ha, va = ("right", "left")[int(offset[0] > 0)], ("top", "bottom")[int(offset[1] > 0)]
        axes.annotate(
            text, tuple(spot), tuple(offset), in_layout=False, color=hue, fontsize=LEAST,
            zorder=5, textcoords="offset points", ha=ha, va=va,
        )  # fmt: skip

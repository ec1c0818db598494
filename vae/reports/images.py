"""Pictures of data and of what a model makes of it, from plain arrays, pixel for pixel.

Images are [..., H, W, C] in [0, 1]. One channel is shown as grey and three as RGB; of any other
number the first is shown.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vae.reports.figures import DPI, styled

CELL = 96  # aimed at, in pixels: images are enlarged by a whole factor
GAP = 4


def mosaic(images: np.ndarray, gap: int = GAP, wide_after: Sequence[int] = ()) -> np.ndarray:
    """Tiles images [R, K, H, W, C] into one RGBA picture, clear between them.

    Args:
      gap: pixels between two images.
      wide_after: columns that are followed by a gap four times as wide.

    Returns:
      float [R * (H + gap) - gap, ..., 4].
    """
    num_rows, num_columns, height, width = images.shape[:4]
    colour = images if images.shape[-1] == 3 else np.repeat(images[..., :1], 3, axis=-1)
    extra = [3 * gap * sum(wide < k for wide in wide_after) for k in range(num_columns)]
    lefts = [k * (width + gap) + extra[k] for k in range(num_columns)]
    canvas = np.zeros((num_rows * (height + gap) - gap, lefts[-1] + width, 4))
    for row in range(num_rows):
        for column, left in enumerate(lefts):
            top = row * (height + gap)
            tile = canvas[top : top + height, left : left + width]
            tile[..., :3] = np.clip(colour[row, column], 0.0, 1.0)
            tile[..., 3] = 1.0
    return canvas


def fit(images: np.ndarray, cell: int = CELL) -> np.ndarray:
    """Brings the longer side of images [..., H, W, C] near `cell` pixels by a whole factor.

    Small images have their pixels repeated; large ones are averaged over blocks, and lose the
    rows and columns that fill no block.
    """
    longer = max(images.shape[-3:-1])
    factor = max(1, round(cell / longer))
    block = max(1, round(longer / cell))
    if 1 < block <= min(images.shape[-3:-1]):
        height, width = (side // block for side in images.shape[-3:-1])
        cut = images[..., : height * block, : width * block, :]
        blocks = cut.reshape(*images.shape[:-3], height, block, width, block, images.shape[-1])
        images = blocks.mean(axis=(-4, -2))
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


@styled
def picture_rows(
    rows: np.ndarray, labels: Sequence[str] = (), wide_after: Sequence[int] = (), cell: int = CELL
) -> Figure:
    """Rows of images, a label at the left of each, one image pixel a whole number of pixels.

    Args:
      rows: [R, K, H, W, C] in [0, 1].
      labels: R texts of one or two lines, or none.
      wide_after: columns to set apart from the next one.
    """
    picture = mosaic(fit(rows, cell), wide_after=wide_after)
    height, width = picture.shape[:2]
    longest = max((len(line) for text in labels for line in text.split("\n")), default=0)
    left = round(0.062 * DPI * longest) + 2 * GAP if labels else 0  # 0.062 inch a letter
    figure = Figure(figsize=((left + width) / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((left / (left + width), 0.0, width / (left + width), 1.0))
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()
    for row, text in enumerate(labels):
        middle = (row + 0.5) / len(rows)
        figure.text(0.0, 1 - middle, text, va="center", ha="left", fontsize=7, color="#333333")
    return figure


def reconstructions(inputs: np.ndarray, outputs: np.ndarray, columns: int = 10) -> Figure:
    """Inputs [N, H, W, C], and its reconstruction under each; a last row not full is cut."""
    columns = min(columns, len(inputs))
    count = len(inputs) // columns * columns
    pairs = np.stack([inputs[:count], outputs[:count]])  # [2, N, H, W, C]
    pairs = pairs.reshape(2, -1, columns, *inputs.shape[1:]).swapaxes(0, 1)
    rows = pairs.reshape(-1, columns, *inputs.shape[1:])  # [2 R, columns, H, W, C]
    return picture_rows(rows, ("input", "recon.") * (len(rows) // 2))


def grid(images: np.ndarray, columns: int = 10) -> Figure:
    """Images [N, H, W, C] in reading order; the last row is filled up with white."""
    columns = min(columns, len(images))
    blank = np.ones((-len(images) % columns, *images.shape[1:]))
    full = np.concatenate([images, blank])
    return picture_rows(full.reshape(-1, columns, *images.shape[1:]))


def interpolations(starts: np.ndarray, paths: np.ndarray, ends: np.ndarray) -> Figure:
    """Paths [R, K, H, W, C] between pairs of inputs starts, ends [R, H, W, C], set apart."""
    rows = np.concatenate([starts[:, None], paths, ends[:, None]], axis=1)
    return picture_rows(rows, wide_after=(0, paths.shape[1]))


def traversals(rows: np.ndarray, labels: Sequence[str]) -> Figure:
    """Rows [R, K, H, W, C] along one latent each, with its label."""
    return picture_rows(rows, labels)

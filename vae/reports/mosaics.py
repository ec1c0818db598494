"""Pictures of data and of what a model makes of it, from plain arrays, pixel for pixel.

Images are [..., H, W, C] in [0, 1]. One channel is shown as grey and three as RGB; of any other
number the first is shown.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from vae.reports.figures import DPI, styled

CELL = 96  # aimed at, in pixels: images are enlarged by a whole factor
SMALL, LEAST = 64, 4  # pixels of a small image's longer side; least factor that it is enlarged by
PAGE = 796  # pixels of a picture that a page shows as it is
GAP = 4
LETTER = 0.062  # width of a letter of a label, inches
PAIR = ("input", "recon.")  # labels of two rows
LABELS = "#767d88"  # reads on white and on black: between images a picture is clear


def mosaic(images: np.ndarray, gap: int = GAP, wide_after: Sequence[int] = ()) -> np.ndarray:
    """Tiles images [R, K, H, W, C] into one RGBA picture of whole levels, clear between them and
    where they are NaN.

    Args:
      gap: pixels between two images.
      wide_after: columns that are followed by a gap four times as wide.

    Returns:
      uint8 [R * (H + gap) - gap, ..., 4].
    """
    num_rows, num_columns, height, width = images.shape[:4]
    colour = images if images.shape[-1] == 3 else images[..., :1]
    opaque = np.where(np.isnan(colour).any(-1), 0, 255)
    colour = np.rint(255.0 * np.clip(np.nan_to_num(colour), 0.0, 1.0)).astype(np.uint8)
    lefts = _lefts(num_columns, width, gap, wide_after)
    canvas = np.zeros((num_rows * (height + gap) - gap, lefts[-1] + width, 4), np.uint8)
    for row in range(num_rows):
        for column, left in enumerate(lefts):
            top = row * (height + gap)
            tile = canvas[top : top + height, left : left + width]
            tile[..., :3] = colour[row, column]
            tile[..., 3] = opaque[row, column]
    return canvas


def fit(images: np.ndarray, cell: int = CELL) -> np.ndarray:
    """Brings the longer side of images [..., H, W, C] near `cell` pixels by a whole factor.

    Small images have their pixels repeated, LEAST times or more but in small grids; large ones are
    averaged over blocks, and lose the rows and columns that fill no block.
    """
    longer = max(images.shape[-3:-1])
    factor = max(LEAST if longer <= SMALL and cell >= CELL else 1, round(cell / longer))
    block = max(1, round(longer / cell))
    images = averaged(images, block)
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def averaged(images: np.ndarray, block: int) -> np.ndarray:
    """Images [..., H, W, C] averaged over blocks of pixels, if they are as large as one."""
    if not 1 < block <= min(images.shape[-3:-1]):
        return images
    height, width = (side // block for side in images.shape[-3:-1])
    cut = images[..., : height * block, : width * block, :]
    blocks = cut.reshape(*images.shape[:-3], height, block, width, block, images.shape[-1])
    return blocks.mean(axis=(-4, -2))


@styled
def picture_rows(
    rows: np.ndarray,
    labels: Sequence[str] = (),
    headers: Mapping[int, str] | None = None,
    wide_after: Sequence[int] = (),
    cell: int = CELL,
) -> Figure:
    """Rows of images on clear ground, each image pixel a whole number of the figure's pixels.

    Args:
      rows: [R, K, H, W, C] in [0, 1].
      labels: a text at the left of each row, of one or two lines; or none.
      headers: texts above columns, by number of the column.
      wide_after: columns to set apart from the next one.
    """
    tiles = fit(rows, cell)
    picture = mosaic(tiles, wide_after=wide_after)
    height, width = picture.shape[:2]
    left = _left(labels)
    above = (30 if cell >= CELL else 40) if headers else 0
    size = (left + width) / DPI, (above + height) / DPI
    figure = Figure(figsize=size, dpi=DPI, facecolor="none")
    whole_width, whole_height = left + width, above + height
    axes = figure.add_axes((left / whole_width, 0, width / whole_width, height / whole_height))
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()
    figure.add_artist(_Pixels(picture, left))
    size_of_letters = 7 if cell >= CELL else 10  # small grids are shown smaller
    text: dict[str, Any] = {"color": LABELS, "fontsize": size_of_letters}
    room = int((tiles.shape[3] + GAP) / (LETTER * DPI * size_of_letters / 7))
    for row, label in enumerate(labels):
        middle = (row + 0.5) / len(rows) * height
        axes.text(-2.5 * GAP, middle, label, ha="right", va="center", **text)
    tile_width = tiles.shape[3]
    lefts = _lefts(tiles.shape[1], tile_width, GAP, wide_after)
    for column, header in (headers or {}).items():
        shown = header if len(header) <= max(room, 2) else f"{header[: max(room, 2) - 1]}…"
        axes.text(lefts[column] + tile_width / 2, -8, shown, ha="center", va="bottom", **text)
    return figure


class _Pixels(Artist):
    """A picture whose pixels are those of its figure, saved at DPI: nothing is resampled.

    Args:
      picture: uint8 RGBA [H, W, 4].
      left: its place in the figure, in pixels; it stands on the figure's lower edge.
    """

    def __init__(self, picture: np.ndarray, left: int):
        super().__init__()
        self.picture, self.left = picture, left

    def draw(self, renderer: Any) -> None:
        place = self.left * self.figure.dpi / DPI
        renderer.draw_image(renderer.new_gc(), place, 0, self.picture[::-1])


def _left(labels: Sequence[str]) -> int:
    """Pixels that labels at the left of rows take."""
    return round(LETTER * DPI * max(map(_longest_line, labels))) + 3 * GAP if labels else 0


def _longest_line(label: str) -> int:
    """Letters in a label's longest line, without what only mathtext sees."""
    return max(len(line.translate(dict.fromkeys(map(ord, "${}_")))) for line in label.split("\n"))


def _lefts(count: int, width: int, gap: int, wide_after: Sequence[int]) -> list[int]:
    """Where each column of a mosaic begins."""
    extra = [3 * gap * sum(wide < column for wide in wide_after) for column in range(count)]
    return [column * (width + gap) + extra[column] for column in range(count)]


def columns_of_a_page(image: np.ndarray) -> int:
    """How many images like one [H, W, C] stand beside each other in `reconstructions` on a page."""
    return max(2, (PAGE - _left(PAIR) + GAP) // (fit(image).shape[1] + GAP))


def reconstructions(inputs: np.ndarray, outputs: np.ndarray, columns: int = 10) -> Figure:
    """Inputs [N, H, W, C], and its reconstruction under each; a last row not full is cut."""
    columns = min(columns, len(inputs))
    count = len(inputs) // columns * columns
    pairs = np.stack([inputs[:count], outputs[:count]])  # [2, N, H, W, C]
    pairs = pairs.reshape(2, -1, columns, *inputs.shape[1:]).swapaxes(0, 1)
    rows = pairs.reshape(-1, columns, *inputs.shape[1:])  # [2 R, columns, H, W, C]
    return picture_rows(rows, PAIR * (len(rows) // 2))


def grid(images: np.ndarray, heads: Sequence[str] = (), cell: int = CELL) -> Figure:
    """Images [N, H, W, C] in reading order, of which the last row may lack some.

    Args:
      heads: a text above each column; none: as many columns as make it a square.
    """
    columns = min(len(heads) or math.ceil(math.sqrt(len(images))), len(images))
    blank = np.full((-len(images) % columns, *images.shape[1:]), np.nan)
    full = np.concatenate([images, blank])
    rows = full.reshape(-1, columns, *images.shape[1:])
    return picture_rows(rows, headers=dict(enumerate(heads[:columns])), cell=cell)


def interpolations(starts: np.ndarray, paths: np.ndarray, ends: np.ndarray) -> Figure:
    """Paths [R, K, H, W, C] between pairs of inputs starts, ends [R, H, W, C], set apart."""
    rows = np.concatenate([starts[:, None], paths, ends[:, None]], axis=1)
    last = rows.shape[1] - 1
    return picture_rows(rows, headers={0: "input", last: "input"}, wide_after=(0, last - 1))


def traversals(rows: np.ndarray, labels: Sequence[str], values: np.ndarray) -> Figure:
    """Rows [R, K, H, W, C] along one latent each, with its label, and the K values above."""
    headers = {k: f"{value:.1f}".replace("-", "−") for k, value in enumerate(values)}
    return picture_rows(rows, labels, headers)

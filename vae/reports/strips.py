"""Frames of a model's pictures in one PNG, as text that a page holds; scripts cut it up again."""

import base64
import dataclasses
import io

import numpy as np
from PIL import Image

from vae.reports.mosaics import LEAST, averaged

LONGEST = {1: 64, 3: 32}  # pixels of a frame's longer side, by channels: bounds the page's size
SIDE, GRID, PAGE = 128, 640, 824  # pixels of a page: for an image, for a grid, and all there are
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclasses.dataclass(frozen=True)
class Strip:
    """Frames of one size, in rows of `columns`, without gaps."""

    address: str  # data:image/png;base64,...
    count: int
    columns: int
    width: int  # of a frame, pixels
    height: int

    @property
    def shown(self) -> int:
        """Pixels of a page that the width of one small image's frame takes, by a whole factor."""
        return self.width * max(LEAST, SIDE // self.width)

    @property
    def shown_wide(self) -> int:
        """The same of a frame that is a grid of images, on a page's whole width if need be."""
        return self.width * max(1, min(PAGE // self.width, max(LEAST, GRID // self.width)))


def strip(frames: np.ndarray, columns: int = 0) -> Strip:
    """Packs frames [N, H, W, C] in [0, 1] in reading order; all in one row where columns is 0.

    Images of 2 and of 4 channels are grey and RGB with opacity; of other numbers of channels than
    these, 1 and 3 the first is shown.
    """
    if frames.shape[-1] not in MODES:
        frames = frames[..., :1]
    count, height, width, channels = frames.shape
    columns = columns or count
    num_rows = -(-count // columns)
    levels = np.round(255 * np.clip(np.nan_to_num(frames), 0.0, 1.0)).astype(np.uint8)
    blank = np.zeros((num_rows * columns - count, height, width, channels), np.uint8)
    table = np.concatenate([levels, blank]).reshape(num_rows, columns, height, width, channels)
    sheet = table.swapaxes(1, 2).reshape(num_rows * height, columns * width, channels)
    image = Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet, MODES[channels])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Strip(f"data:image/png;base64,{text}", count, columns, width, height)


def shrink(images: np.ndarray) -> np.ndarray:
    """Averages images [..., H, W, C] over blocks until they are small enough for many frames.

    Rows and columns that fill no block are lost.
    """
    height, width, channels = images.shape[-3:]
    block = -(-max(height, width) // LONGEST[3 if channels == 3 else 1])
    return averaged(images, block)


def tiled(images: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Images [..., N, H, W, C] as one picture each, clear between them: [..., H', W', 2 or 4].

    Args:
      columns: of the grid; it divides N.
      gap: pixels between two images.
    """
    if images.shape[-1] != 3:
        images = images[..., :1]
    *lead, count, height, width, channels = images.shape
    opaque = np.concatenate([images, np.ones((*images.shape[:-1], 1))], axis=-1)
    table = opaque.reshape(*lead, count // columns, columns, height, width, channels + 1)
    around = [(0, 0)] * (len(lead) + 2) + [(0, gap), (0, gap), (0, 0)]
    table = np.pad(table, around).swapaxes(-4, -3)
    height, width = table.shape[-5] * table.shape[-4], table.shape[-3] * table.shape[-2]
    picture = table.reshape(*lead, height, width, channels + 1)
    return picture[..., : height - gap, : width - gap, :]

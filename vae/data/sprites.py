"""Rendered sprites: squares, ellipses, hearts on the factor grid of dSprites, in black and white.

Own rendering, after the data set of Matthey, Higgins, Hassabis and Lerchner (2017). A sprite lies
in a window of 33x33 pixels that moves by whole pixels over 32x32 places: 33 + 31 = 64. So 720
windows hold all 737,280 images, and an image is a view of one of them inside a black border.
"""

import functools
from pathlib import Path

import numpy as np

from vae.data import cache
from vae.data.dataset import Dataset, Lazy, Split
from vae.data.table import Row

_WINDOW, _PLACES, _SIDE = 33, 32, 64
_FINE = 8  # a pixel is lit when most of its 8x8 points lie inside the shape
_PIXELS = 15.0  # reach of a shape at full scale


def rank(factors: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Number of the image in the grid [N], from its factors [N, 5]; the last one runs fastest."""
    return np.ravel_multi_index(tuple(factors.T), sizes)


def unrank(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Factors of images, int32 [N, 5]: shape, scale, orientation, x (rightwards), y (downwards)."""
    return np.stack(np.unravel_index(rows, sizes), axis=-1).astype(np.int32)


def load(name: str, row: Row) -> Dataset:
    """Returns the whole grid as one split of `Lazy` arrays: only rows that are indexed are made."""
    names, sizes = zip(*row.factors, strict=True)
    count = row.sizes["train"]
    views = functools.cache(lambda: _views(_windows(sizes[:3], row.version)))

    def images(rows: np.ndarray) -> np.ndarray:
        factors = unrank(rows, sizes)
        top, left = _PLACES - 1 - factors[:, 4], _PLACES - 1 - factors[:, 3]
        lines = views()[rank(factors[:, :3], sizes[:3]), top, left]  # [N, 64]
        return lines.view(np.uint8).reshape(-1, *row.shape)

    x = Lazy(images, (count, *row.shape), np.uint8)
    factors = Lazy(lambda rows: unrank(rows, sizes), (count, len(sizes)), np.int32)
    labels = Lazy(lambda rows: unrank(rows, sizes)[:, 0], (count,), np.int32)
    split = Split(x, labels, factors)
    return Dataset(name, row.version, row.kind, row.levels, {"train": split}, names, sizes)


def _windows(sizes: tuple[int, ...], version: str) -> np.ndarray:
    """Returns the sprites in all poses, uint8 [720, 33, 33]; rendered once, kept as packed bits."""

    def build(folder: Path) -> None:
        np.save(folder / "bits.npy", np.packbits(render(*sizes)))

    bits = cache.arrays(cache.root() / f"sprites-{version}", build)["bits"]
    count = int(np.prod(sizes))
    return np.unpackbits(bits, count=count * _WINDOW**2).reshape(count, _WINDOW, _WINDOW)


def _views(windows: np.ndarray) -> np.ndarray:
    """Returns every image there is without copying a pixel: [720, 32, 32, 64], an item a line."""
    border, side = _PLACES - 1, _WINDOW + 2 * (_PLACES - 1)
    padded = np.pad(windows, ((0, 0), (border, border), (border, border)))  # [720, 95, 95]
    # Lines of 64 bytes as one item are copied 16 times faster than 64 items.
    shape, strides = (len(windows), _PLACES, _PLACES, _SIDE), (side**2, side, 1, side)
    return np.ndarray(shape, f"V{_SIDE}", padded, strides=strides)


def render(num_shapes: int = 3, num_scales: int = 6, num_orientations: int = 40) -> np.ndarray:
    """Draws every shape at every scale (1/2 to 1) and orientation (steps of a full turn).

    Returns:
      bool [shapes * scales * orientations, 33, 33], in the order of `rank`.
    """
    ticks = (np.arange(_WINDOW * _FINE) + 0.5) / _FINE - _WINDOW / 2
    ticks = (ticks / _PIXELS).astype(np.float32)
    result = np.empty((num_shapes, num_scales, num_orientations, _WINDOW, _WINDOW), bool)
    for orientation in range(num_orientations):
        turn = 2 * np.pi * orientation / num_orientations
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        right, down = ticks[None, :], ticks[:, None]
        u, v = cos * right + sin * down, cos * down - sin * right  # the shape's own axes
        for scale, size in enumerate(np.linspace(0.5, 1.0, num_scales, dtype=np.float32)):
            for shape, inside in enumerate((_square, _ellipse, _heart)[:num_shapes]):
                points = inside(u / size, v / size).reshape(_WINDOW, _FINE, _WINDOW, _FINE)
                result[shape, scale, orientation] = points.mean((1, 3)) > 0.5
    return result.reshape(-1, _WINDOW, _WINDOW)


# Shapes: u to the right and v downwards, at most 1 from the origin.
def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.maximum(abs(u), abs(v)) <= 0.7


def _ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u**2 + (2 * v) ** 2 <= 1.0


def _heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The sextic (x^2 + y^2 - 1)^3 = x^2 y^3, with its tip below."""
    x, y = 1.3 * u, 0.3 - 1.3 * v  # the centre of its area at the origin
    return (x**2 + y**2 - 1) ** 3 <= x**2 * y**3

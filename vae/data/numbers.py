"""What the numbers of arrays are: each is looked at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vae.data.content import Content
from vae.data.fitting import WHITE, Facts
from vae.data.frames import FILL
from vae.data.misfits import Misfits

_CHUNK = 4096  # examples looked at together
MOST = {  # the largest value of each kind: what float32 counts to, and what one-hot can be
    "binary": 1,
    "grey": WHITE,
    "counts": 2**24,
    "tokens": 2**16 - 1,
}


def _chunks(array: Any) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(array), _CHUNK):
        yield start, np.asarray(array[start : start + _CHUNK])


def facts(arrays: list[Any], path: Path, content: Content, misfits: Misfits) -> Facts:
    """Looks at every number once; notes which arrays are none, and where numbers are not finite."""
    binary, whole, extremes, low, high = True, True, True, np.inf, -np.inf
    missing, holes, first_hole = 0, 0, -1
    for array in arrays:
        if misfits and 0 in array.shape[1:]:  # which was said of the table that it is of
            return Facts("", (), own=True)
        if array.dtype.kind not in "buif" or array.ndim not in (2, 3, 4) or 0 in array.shape:
            misfits.append(
                f"{path} holds {array.dtype} of shape {array.shape}: give numbers, "
                "[N, H, W, C], [N, H, W] or [N, D]"
            )
            return Facts("", (), own=True)
        bad = 0, 0  # numbers, and the first example
        beyond = 0  # of those, other than NaN
        for start, chunk in _chunks(array):
            fits = fits_single(chunk)
            if not fits.all():
                first = start + int(np.argmin(fits.reshape(len(chunk), -1).all(axis=1)))
                bad = bad[0] + int((~fits).sum()), bad[1] if bad[0] else first
                beyond += int((~fits & ~np.isnan(chunk)).sum())
                chunk = chunk[fits]
            if not chunk.size:
                continue
            binary = binary and bool(((chunk == 0) | (chunk == 1)).all())
            extremes = extremes and bool(((chunk == 0) | (chunk == WHITE)).all())
            if whole and chunk.dtype.kind == "f":
                whole = bool((chunk == np.floor(chunk)).all())
            low, high = min(low, chunk.min()), max(high, chunk.max())
        missing += bad[0]
        if bad[0]:
            if array.ndim == 2 and not beyond:
                holes, first_hole = holes + bad[0], first_hole if holes else bad[1]
                continue
            misfits.append(
                f"{path} holds NaN, infinity or numbers beyond 3e38, first in example {bad[1]}: "
                f"fill or remove such values{_more(bad[0])}"
            )
    if holes:
        content.plain.append(
            f"{path} holds NaN, first in example {first_hole}: {FILL}{_more(holes)}"
        )
    if low > high:  # no number is finite
        return Facts("", (), own=True)
    ndim, shape = arrays[0].ndim, tuple(arrays[0].shape[1:])
    grey = shape[2:] in ((), (1,))
    return Facts(
        _kind(arrays, content, binary, whole, low, high),
        (*shape, 1) if ndim == 3 else shape,
        own=True,
        whole=whole,
        low=low,
        high=high,
        bytes=all(array.dtype == np.uint8 for array in arrays) and not content.counts,
        black_and_white=extremes and not binary and ndim > 2 and grey,
        mixed=bool(content.categories),
        identifier=content.identifier,
        axes=ndim,
        missing=missing,
        holes=holes + content.missing > 0,
    )


def _more(count: int) -> str:
    return f" ({count:,} such numbers)" if count > 1 else ""


def _kind(
    arrays: list[Any], content: Content, binary: bool, whole: bool, low: float, high: float
) -> str:
    """What numbers are where nobody says it; "" where whole ones are no grey levels."""
    if binary:
        return "binary"
    if content.counts and whole and 0 <= low and high <= MOST["counts"]:
        return "counts"
    if any(array.dtype.kind == "f" for array in arrays):
        return "real"
    return "" if low < 0 or high > WHITE else "grey"


def fits_single(values: np.ndarray) -> np.ndarray:
    """Whether numbers are finite, in single precision too."""
    with np.errstate(over="ignore"):
        return np.isfinite(values.astype(np.float32))

"""Labels of the user's own examples: which column of a table has them, and what they number."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae.choices import nearest
from vae.errors import UserError

WELL_KNOWN = ("label", "labels", "y", "class", "target")  # names of such a column, in any case
NONE = "none"  # `data.label` of a table whose columns are all features
LARGEST = 2**16 - 1  # a one-hot context has as many columns
_MISSING = ("", "nan", "na", "null", "none")


def column(names: Sequence[str], wanted: str, path: Path) -> str:
    """The name of a table's column of labels; "" where it has none.

    Args:
      wanted: `config.data.label`: a name, "none", or "" for the well-known ones. A `y` beside a
        column `x` is a coordinate and not labels.

    Raises:
      UserError: there is no such column, or several may be meant.
    """
    if wanted == NONE:
        return ""
    if wanted and wanted not in names:
        raise UserError(
            f"data.label={wanted!r}: {path} has no such column{nearest(wanted, names)}; it has "
            f"{', '.join(names[:10])}{', ...' * (len(names) > 10)}"
        )
    if wanted:
        return wanted
    found = [name for name in names if name.lower() in WELL_KNOWN]
    others = [name for name in found if name.lower() != "y"]
    if "x" in (name.lower() for name in names) and len(found) > len(others):
        if not others:
            raise UserError(
                f"{path} has a column {found[0]!r} beside x: set data.label={found[0]} if it holds "
                "labels, data.label=none if it is a coordinate"
            )
        found = others
    if len(found) > 1:
        raise UserError(
            f"{path} has the columns {' and '.join(map(repr, found))}: set data.label to the one "
            "that holds labels, or to none"
        )
    return found[0] if found else ""


def numbered(
    splits: Mapping[str, Any], where: str
) -> tuple[dict[str, np.ndarray | None], tuple[str, ...]]:
    """Labels of each split as int32 [N], and class names where labels are text, numbered in sorted
    order.

    Args:
      splits: arrays [N] or [N, 1] of whole numbers or of text; None where a split has none.
      where: the file, and its column, for messages.

    Raises:
      UserError: a label is missing, has a fraction, or is too large to number a class.
    """
    given = {split: np.asarray(a).reshape(-1) for split, a in splits.items() if a is not None}
    names: tuple[str, ...] = ()
    if any(array.dtype.kind not in "buif" for array in given.values()):
        given = {split: array.astype(str) for split, array in given.items()}
        try:
            given = {split: array.astype(np.float64) for split, array in given.items()}
        except ValueError:
            given, names = _classes(given, where)
    found = {split: _whole(array, where) for split, array in given.items()}
    return {split: found.get(split) for split in splits}, names


def _classes(
    given: dict[str, np.ndarray], where: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    given = {split: np.char.strip(array) for split, array in given.items()}
    names = np.unique(np.concatenate(list(given.values())))
    for split, array in given.items():
        missing = np.flatnonzero(np.isin(np.char.lower(array), _MISSING))
        if len(missing):
            at = f"{split} example" if len(given) > 1 else "example"
            raise UserError(
                f"{where}: {at} {missing[0]} has no label ({str(array[missing[0]])!r}): fill or "
                "remove it, or set data.label=none"
            )
    numbers = {split: np.searchsorted(names, array) for split, array in given.items()}
    return numbers, tuple(names.tolist())


def _whole(array: np.ndarray, where: str) -> np.ndarray:
    values = np.asarray(array, np.float64)
    remedy = "number classes, or leave them out (of a table: set data.label to none)"
    bad = np.flatnonzero(~(np.isfinite(values) & (values == np.floor(values))))
    if len(bad):
        raise UserError(
            f"{where}: labels have to be whole numbers or text, and that of example {bad[0]} is "
            f"{values[bad[0]]:g}: {remedy}"
        )
    large = np.flatnonzero(np.abs(values) > LARGEST)
    if len(large):
        raise UserError(
            f"{where}: the label of example {large[0]}, {values[large[0]]:.0f}, is too large to "
            f"number a class (0 to {LARGEST}): {remedy}"
        )
    return values.astype(np.int32)

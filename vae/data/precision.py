"""From the user's numbers to the single precision that models compute in.

Arithmetic comes first, in double precision. A column is refused if its different values would
become equal.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from vae.data.dataset import Dataset, Lazy, Rows
from vae.errors import UserError

NUMBERS = 2**22  # that are looked at
ROWS = 4096  # examples of them, at most: as many normal draws stay different in single precision
QUARTILES = 1.3489795003921634  # distance of a standard Gaussian's
LOST = 0.01  # of a column's different values, that may become equal
ROUNDING = 64  # units in the last place: what sums of the same numbers in another order differ by


def moments(train: np.ndarray, robust: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column of examples [N, D]: float64 [D] each.

    A column that is the same everywhere has a deviation of 1, so that it becomes zeros.

    Args:
      robust: the median instead, and the distance of the quartiles as a Gaussian's standard
        deviation; of a column whose quartiles are equal the latter as otherwise.
    """
    train = np.asarray(train, np.float64)
    constant = train.min(0) == train.max(0)  # the mean of equal numbers may be off by a rounding
    centre, scale = train.mean(0), train.std(0)
    if robust:
        low, centre, high = np.quantile(train, [0.25, 0.5, 0.75], axis=0)
        scale = np.where(high > low, (high - low) / QUARTILES, scale)
    return np.where(constant, train[0], centre), np.where(constant, 1.0, scale)


def standardize(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """(x - mean) / std in double precision, as float32; infinity where that is too small."""
    with np.errstate(over="ignore"):
        return ((np.asarray(x, np.float64) - mean) / std).astype(np.float32)


def standardized(whole: Dataset, robust: bool = False) -> Dataset:
    """Standardised by the training set's mean and standard deviation, column by column, or what
    `moments` takes for them.

    Raises:
      UserError: these are no vectors of real numbers, or a column would lose values.
    """
    if whole.kind != "real" or len(whole.shape) != 1:
        raise UserError(
            "data.standardize is for vectors of real numbers: set it to False, or data.kind=real"
        )
    train = np.asarray(whole.splits["train"].x)
    scaler = moments(train, robust)
    check(
        train, lambda x: standardize(x, *scaler), whole.columns,
        " once standardised: subtract an offset from it, or remove examples far from all others",
    )  # fmt: skip
    splits = {
        name: dataclasses.replace(split, x=standardize(np.asarray(split.x), *scaler))
        for name, split in whole.splits.items()
    }
    return dataclasses.replace(whole, splits=splits, scaler=scaler)


def single(whole: Dataset) -> Dataset:
    """Real numbers as float32; `Lazy` ones stay so.

    Raises:
      UserError: a column would lose values.
    """
    if whole.kind != "real":
        return whole
    remedy = "set data.standardize=True" if len(whole.shape) == 1 else "scale it"
    check(whole.splits["train"].x, as_float32, whole.columns, f": {remedy}, or subtract an offset")
    splits = {
        name: dataclasses.replace(split, x=as_float32(split.x))
        for name, split in whole.splits.items()
    }
    return dataclasses.replace(whole, splits=splits)


def as_float32(x: Rows) -> Rows:
    """The same numbers, rounded."""
    if x.dtype == np.float32:
        return x
    if isinstance(x, Lazy):
        return Lazy(lambda rows: x[rows].astype(np.float32), x.shape, np.float32)
    return x.astype(np.float32)


def check(
    train: Rows,
    seen: Callable[[Any], Any],
    columns: tuple[str, ...],
    remedy: str,
) -> None:
    """Raises UserError where different values of a column are equal to the model.

    Args:
      train: the user's numbers [N, ...], as they are.
      seen: what the model is given of some of them.
      columns: their names, or ().
      remedy: ends the message.
    """
    size = int(np.prod(train.shape[1:]))
    count = min(len(train), ROWS, max(256, NUMBERS // size))
    raw = train[np.linspace(0, len(train) - 1, count).astype(int)]
    given = _different(raw, ROUNDING)
    kept = _different(seen(raw))
    worst = int(np.argmax((given - kept) / given))
    if given[worst] - kept[worst] > LOST * given[worst]:
        name = columns[worst] if columns else f"number {worst} of an example"
        raise UserError(
            f"{name} has {given[worst]:,} different values in {count:,} examples, and single "
            f"precision keeps {kept[worst]:,} of them{remedy}"
        )


def _different(values: np.ndarray, units: int = 0) -> np.ndarray:
    """How many values each column [N, ...] has; neighbours so few units apart count as one."""
    ordered = np.sort(values.reshape(len(values), -1), axis=0)
    differ = ordered[1:] != ordered[:-1]
    if units and values.dtype == np.float64:
        size = np.maximum(np.abs(ordered[1:]), np.abs(ordered[:-1]))
        differ &= ordered[1:] - ordered[:-1] > units * np.spacing(size)
    return 1 + differ.sum(0)

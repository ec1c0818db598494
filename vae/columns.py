"""What a column of a table is to data, likelihood and outputs: its kind, its levels, its scale.

A table of such columns is x [N, D], NaN where a cell is missing. It has two forms: the columns' own
numbers, float64, and those that a model sees, float32 (`seen`, `own`). Between them lies, for
continuous columns, a link (none, log, logit), a centre and a scale; levels have codes 0, 1, ... in
both, unless they are numbers themselves. Nothing here needs JAX.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Level = str | float


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _logit(x: np.ndarray) -> np.ndarray:
    return np.log(x) - np.log1p(-x)


def _logistic(y: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * y)


LINKS: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "gaussian": (_same, _same),
    "student_t": (_same, _same),
    "log_normal": (np.log, np.exp),
    "beta": (_logit, _logistic),
}  # of the continuous kinds: what is standardised, and its inverse
COUNTS = ("poisson", "negative_binomial", "zero_inflated_negative_binomial")
CODED = ("bernoulli", "categorical", "ordinal")
KINDS = (*LINKS, *COUNTS, *CODED)
DAY = 86_400.0  # seconds
MOST_DECIMALS = 6


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: what p(x|z) of it is, and how it is seen."""

    kind: str = "gaussian"  # one of KINDS
    levels: tuple[Level, ...] = ()  # what the codes of a CODED kind stand for
    # What link(x) is seen less, and divided by; of counts log(1 + x), by the encoder alone.
    centre: float = 0.0
    scale: float = 1.0
    # Where training starts: the mean as it is seen, of counts also their inverse dispersion; or the
    # shares of levels.
    start: tuple[float, ...] = ()
    holes: bool = False  # cells are missing in the training set
    date: str = ""  # of dates, which are days from 1970 on: what is written, "D" (days) or "s"
    # What draws are kept to, of the training set's own numbers: range, and digits behind the point
    # where they are few.
    span: tuple[float, ...] = ()
    decimals: int | None = None

    @property
    def by_code(self) -> bool:
        """Whether its own values are codes too, of texts."""
        return bool(self.levels) and isinstance(self.levels[0], str)


def seen(values: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """The columns' own numbers [N, D] as the model sees them: float32 [N, D]; infinite where that
    is too small, and NaN where a level is unknown or a number outside of what its kind takes."""
    values = np.asarray(values, np.float64)
    found = np.empty(values.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for d, column in enumerate(columns):
            x = values[:, d]
            if column.kind in LINKS:
                x = (LINKS[column.kind][0](x) - column.centre) / column.scale
            elif column.kind in CODED and not column.by_code:
                x = code_of(x, column)
            found[:, d] = x
    return found


def code_of(values: np.ndarray, column: Column) -> np.ndarray:
    """Codes, as float64, of values [N] by their levels; NaN where a value is no level."""
    levels = np.asarray(column.levels)
    if not len(levels):
        return np.asarray(values, np.float64)
    order = np.argsort(levels, kind="stable")
    place = np.clip(np.searchsorted(levels[order], values), 0, len(levels) - 1)
    return np.where(levels[order][place] == values, order[place].astype(np.float64), np.nan)


def own(x: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """The inverse of `seen`: float64 [..., D]. Codes in between two levels count as the nearer."""
    found = np.array(x, np.float64)
    for d, column in enumerate(columns):
        if column.kind in LINKS:
            with np.errstate(over="ignore"):
                y = found[..., d] * column.scale + column.centre
                found[..., d] = LINKS[column.kind][1](y)
        elif column.kind in CODED and not column.by_code and column.levels:
            there = np.isfinite(found[..., d])
            codes = np.clip(np.round(np.where(there, found[..., d], 0)), 0, len(column.levels) - 1)
            named = np.asarray(column.levels, np.float64)[codes.astype(int)]
            found[..., d] = np.where(there, named, np.nan)
    return found


def kept(values: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """Own numbers [..., D] that were drawn, as the training set has numbers: in its range, and with
    no more digits behind the point."""
    found = np.array(values, np.float64)
    for d, column in enumerate(columns):
        if column.decimals is not None:
            found[..., d] = np.round(found[..., d], column.decimals)
        if column.span:
            low, high = column.span
            found[..., d] = np.clip(found[..., d], low, high)
    return found


def limits(columns: Sequence[Column]) -> tuple[np.ndarray, np.ndarray]:
    """The range of the training set's numbers as the model sees them: [D] each; of levels none."""
    ends = np.array([column.span or (np.nan, np.nan) for column in columns]).T
    low, high = seen(ends, columns)
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def decimals(values: np.ndarray) -> int | None:
    """How many digits behind the point numbers [N] have; None where more than `MOST_DECIMALS`."""
    rounding = 4.0 * np.spacing(np.abs(values))
    for number in range(MOST_DECIMALS + 1):
        if (np.abs(np.round(values, number) - values) <= rounding).all():
            return number
    return None


def cells(values: np.ndarray, column: Column) -> np.ndarray:
    """A column's own numbers [N] as a table has them: text of levels that are texts and of dates,
    "" where one is missing; float64, or int64 where all are whole and are counts, levels, or whole
    in the training set too, of others."""
    values = np.asarray(values, np.float64)
    missing = np.isnan(values)
    if column.by_code:
        names = np.asarray([*column.levels, ""], dtype=object)
        return names[np.where(missing, len(column.levels), values).astype(int)]
    if column.date:
        size = DAY if column.date == "s" else 1.0
        since = np.round(np.where(missing, 0.0, values) * size).astype(np.int64)
        times = since.astype(f"datetime64[{column.date}]")
        return np.where(missing, "", np.datetime_as_string(times).astype(object))
    are_whole = column.kind in COUNTS or column.kind in CODED or column.decimals == 0
    if are_whole and not missing.any() and (values == np.floor(values)).all():
        return values.astype(np.int64)
    return values


def shown(value: float, column: Column) -> str:
    """An own number as messages show it: dates as such."""
    return str(cells(np.array([value]), column)[0]) if column.date else f"{value:g}"


def described(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """For JSON."""
    return [dataclasses.asdict(column) for column in columns]


def of_described(found: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The inverse of `described`."""
    made: list[dict[str, Any]] = [
        {name: tuple(v) if isinstance(v, list | tuple) else v for name, v in each.items()}
        for each in found
    ]
    return tuple(Column(**each) for each in made)


def coded(columns: Sequence[Column]) -> np.ndarray:
    """Which of them hold levels: bool [D]."""
    return np.array([column.kind in CODED for column in columns], bool)

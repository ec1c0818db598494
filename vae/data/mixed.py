"""A table whose columns are of several kinds (`vae.columns`): what each is taken for, its cells as
numbers, NaN where one is missing, and how the training set says that they are seen."""

import dataclasses
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vae.choices import nearest
from vae.columns import (
    CODED,
    COUNTS,
    KINDS,
    LINKS,
    Column,
    Level,
    code_of,
    decimals,
    seen,
    shown,
)
from vae.data import csvhead, precision
from vae.data.dataset import Dataset
from vae.data.frames import (
    CATEGORIES,
    DECIMAL_COMMA,
    MISSING,
    Table,
    check_digits,
    is_date,
    like_a_number,
)
from vae.data.misfits import Misfits
from vae.errors import UserError

MOST_COUNTED = 1e6  # larger whole numbers are not taken for counts
SMALL = 30.0  # mean of whole numbers above which they are counts only where they are skewed
MANY_ERRORS, FEW_ZEROS = 4.0, 0.1  # standard errors, and share, that zeros are to be more by
SKEWED = 2.0  # skewness above which positive numbers are taken for log-normal ones
_ASKED = re.compile(r"\s*(?P<name>.+?)\s*:\s*(?P<kind>\w+)\s*(\((?P<levels>[^()]*)\))?\s*")


@dataclasses.dataclass(frozen=True)
class Read:
    """The columns of a table that are features."""

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    x: np.ndarray  # their own numbers [N, D], float64; codes where levels are texts
    misfits: Misfits

    @property
    def missing(self) -> np.ndarray:
        """Cells of each column that are missing: [D]."""
        return np.isnan(self.x).sum(0)


def of_table(table: Table, kept: Sequence[int], asked: str) -> Read:
    """Those columns of a table. Some are left out, which is said: those without a cell, and texts
    that all differ or are of too many.

    Args:
      asked: `config.data.columns`.
    """
    named = ((table.names[number], table.written(number)) for number in kept)
    return _read(named, asked, table.path)


def of_array(x: np.ndarray, names: Sequence[str], asked: str, path: Path) -> Read:
    """The columns of numbers [N, D], called by their numbers where they have no names."""
    called = names or [str(number) for number in range(x.shape[1])]
    return _read(zip(called, np.asarray(x, np.float64).T, strict=True), asked, path)


def _read(named: Iterable[tuple[str, np.ndarray]], asked: str, path: Path) -> Read:
    misfits = Misfits()
    names, columns, values = [], [], []
    wanted: dict[str, tuple[str, tuple[str, ...]]] = {}
    with misfits.noted():
        wanted = parsed(asked)
    there = []
    for name, cells in named:
        there.append(name)
        with misfits.noted():
            column, numbers = _column(name, cells, *wanted.get(name, ("", ())), path)
            if column is not None:
                names.append(name)
                columns.append(column)
                values.append(numbers)
    for name in set(wanted) - set(there):
        misfits.append(f"data.columns: {path} has no such column {name!r}{nearest(name, there)}")
    if not names and not misfits:
        misfits.append(f"{path} has no column of features")
    x = np.stack(values, axis=1) if values else np.zeros((1, 1))
    return Read(tuple(names), tuple(columns), x, misfits)


def parsed(asked: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Kinds and the order of levels by column, of "age:gaussian,grade:ordinal(low<middle<high)".

    Raises:
      UserError: it is written otherwise, or names no kind.
    """
    found = {}
    for text in filter(str.strip, re.split(r",(?![^()]*\))", asked)):
        match = _ASKED.fullmatch(text)
        if match is None:
            raise UserError(
                f"data.columns: {text!r} is not written as NAME:KIND, such as age:gaussian"
            )
        if match["kind"] not in KINDS:
            raise UserError(
                f"data.columns: {match['kind']!r} of {match['name']} is not one of: "
                f"{', '.join(KINDS)}{nearest(match['kind'], KINDS)}"
            )
        levels = tuple(level.strip() for level in (match["levels"] or "").split("<"))
        found[match["name"]] = match["kind"], levels if match["levels"] else ()
    return found


def _column(
    name: str, cells: np.ndarray, kind: str, order: tuple[str, ...], path: Path
) -> tuple[Column | None, np.ndarray]:
    """What a column is, None where it is left out, and its own numbers [N].

    Args:
      cells: float64, or text.
      kind, order: asked for, if anything is.

    Raises:
      UserError: its cells are not of the kind, or some numbers and some not.
    """
    missing = _missing(cells)
    if missing.all():
        warnings.warn(f"{path}: no cell of {name} has anything: it is left out", stacklevel=5)
        return None, missing
    numbers, date = numbers_of(cells), ""
    if numbers is None:
        numbers, date = _days(cells, missing)
    if numbers is not None and np.isinf(numbers).any():
        raise UserError(f"{path}: example {np.argmax(np.isinf(numbers))}, {name} is infinite: "
                        "leave the cell empty, or write a number")  # fmt: skip
    if numbers is not None:
        check_digits(cells, numbers, name, path)
    if numbers is None or (kind in CODED and order):
        return _of_text(name, cells, missing, kind, order, path)
    varies = len(np.unique(numbers[~missing])) > 1
    kind = kind or ("gaussian" if date and varies else guess(numbers[~missing]))
    levels: tuple[Level, ...] = ()
    if kind in CODED:
        levels = tuple(np.unique(numbers[~missing]).tolist())
    column = Column(kind, levels, date=date)
    check(numbers, column, name, path, "data.columns")
    return column, numbers


def _of_text(
    name: str, cells: np.ndarray, missing: np.ndarray, kind: str, order: tuple[str, ...],
    path: Path,
) -> tuple[Column | None, np.ndarray]:  # fmt: skip
    """The same of a column that does not hold numbers alone, or has an order of its levels."""
    text = cells if cells.dtype.kind == "U" else np.array([f"{cell:.17g}" for cell in cells])
    found = np.unique(text[~missing]).tolist()
    if kind and kind not in CODED:
        wrong = next(cell for cell in found if not csvhead.is_number(cell))
        raise UserError(f"data.columns: {kind!r} is for numbers, and {name} holds {wrong!r}: set "
                        f"{name}:categorical")  # fmt: skip
    for meant, fits, what in ((like_a_number, csvhead.is_number, "no number"),
                              (is_date, _is_day, "no date (YYYY-MM-DD), as others are")):
        if not kind and any(map(meant, found)):
            wrong = next(cell for cell in found if not fits(cell))
            row = int(np.argmax(text == wrong))
            comma = " with its decimal comma" * (DECIMAL_COMMA.fullmatch(wrong) is not None)
            raise UserError(f"{path}: example {row}, {name}: {wrong!r} is {what}{comma}: correct "
                            f"it or leave it empty, or set data.columns={name}:categorical")
    if not kind and len(found) > 2 and (len(found) > CATEGORIES or len(found) == len(text)):
        warnings.warn(
            f"{path}: {name} has {len(found):,} different texts in {len(text):,} rows and is left "
            f"out: set data.id={name} where it names them, or data.columns={name}:categorical",
            stacklevel=6,
        )
        return None, missing
    strange = sorted(set(found) - set(order)) if order else []
    if strange:
        raise UserError(f"data.columns: {name} holds {strange[0]!r}, which is none of "
                        f"{'<'.join(order)}")  # fmt: skip
    levels = order or tuple(found)
    column = Column(kind or ("bernoulli" if len(found) == 2 else "categorical"), levels)
    numbers = np.where(missing, np.nan, code_of(text, column))
    check(numbers, column, name, path, "data.columns")
    return column, numbers


def _is_day(cell: str) -> bool:
    return _days(np.array([cell]), np.array([False]))[0] is not None


def guess(values: np.ndarray) -> str:
    """What numbers without NaN are taken for: levels where there are one or two values; counts
    where all are whole, from 0 to a million, small or strongly skewed, and their variance is not
    below their mean; log-normal ones where they are positive and strongly skewed; else Gaussian
    ones. Counts are zero-inflated where far more are 0 than of a negative binomial with their
    mean and variance."""
    different = len(np.unique(values[:10_000])) if len(values) else 0
    if different < 3:
        different = len(np.unique(values))
    if different < 3:
        return "categorical" if different == 1 else "bernoulli"
    low, high = values.min(), values.max()
    whole = bool((values == np.floor(values)).all())
    sized = values / np.abs(values).max()  # whose powers neither overflow nor vanish
    skewed = ((sized - sized.mean()) ** 3).mean() / max(sized.var(), 1e-300) ** 1.5 > SKEWED
    if whole and 0 <= low and high <= MOST_COUNTED:
        mean, variance = values.mean(), values.var()
        if variance >= mean and (mean <= SMALL or skewed):
            return _counts((values == 0).mean(), mean, variance, len(values))
    return "log_normal" if low > 0 and skewed else "gaussian"


def _inverse_dispersion(mean: float, variance: float) -> float:
    """That of the negative binomial with this mean and variance."""
    return mean**2 / max(variance - mean, 1e-6)


def _counts(zeros: float, mean: float, variance: float, size: int) -> str:
    """The kind of counts of which that share is 0."""
    r = _inverse_dispersion(mean, variance)
    usual = np.exp(-r * np.log1p(mean / r))
    more = zeros - usual > MANY_ERRORS * np.sqrt(usual * (1 - usual) / size) + FEW_ZEROS
    return "zero_inflated_negative_binomial" if more else "negative_binomial"


def check(
    values: np.ndarray, column: Column, name: str, where: Path | str, key: str = ""
) -> None:
    """Raises UserError where own numbers [N], NaN aside, are not what a column of its kind takes.

    Args:
      key: the setting that may have said so, for messages.
    """
    kind, given = column.kind, values[~np.isnan(values)]
    what, remedy = "", f"set {key}={name}:gaussian" if key else "leave the cell empty"
    fits = np.ones(len(given), bool)
    if kind in COUNTS:
        what, fits = "whole numbers from 0 on", (given >= 0) & (given == np.floor(given))
    elif kind == "log_normal":
        what, fits = "numbers above 0", given > 0
    elif kind == "beta":
        what, fits = "shares between 0 and 1, without these two", (given > 0) & (given < 1)
    elif kind in CODED and column.by_code:
        what, fits = "codes of its levels", np.isin(given, np.arange(len(column.levels)))
    elif kind in CODED:
        levels = np.asarray(column.levels, np.float64)
        first = ", ".join(shown(level, column) for level in levels[:8])
        what, fits = f"its levels, {first}", np.isin(given, levels)
    if not fits.all():
        row = np.flatnonzero(~np.isnan(values))[np.argmin(fits)]
        wrong = shown(values[row], column)
        raise UserError(f"{where}: example {row}, {name}: {wrong} is not one of {what}, "
                        f"which {kind} is for: {remedy}")  # fmt: skip
    least = 2 if kind == "ordinal" else 1
    if kind == "bernoulli" and len(column.levels) != 2 or len(column.levels) < least * (
        kind in CODED
    ):
        raise UserError(f"{where}: {name} has {len(column.levels):,} values, too many or too few "
                        f"for {kind}: set {key}={name}:categorical")  # fmt: skip


def taken(table: Table, names: Sequence[str], columns: Sequence[Column]) -> np.ndarray:
    """The own numbers of a run's columns in another table, wherever they stand in it: float64
    [N, D].

    Raises:
      UserError: columns are not there, or cells are not what the run knows.
    """
    lacking = [name for name in names if name not in table.names]
    if lacking:
        raise UserError(
            f"{table.path} lacks {len(lacking)} of the {len(names)} columns that the run was "
            f"trained on: {', '.join(lacking[:5])}{', ...' * (len(lacking) > 5)}: add them, empty "
            "where nothing is known"
        )
    x, misfits = np.empty((len(table), len(names))), Misfits()
    for d, (name, column) in enumerate(zip(names, columns, strict=True)):
        with misfits.noted():
            cells = table.written(table.names.index(name))
            x[:, d] = _known(cells, column, name, table.path)
    misfits.check(table.path)
    return x


def _known(cells: np.ndarray, column: Column, name: str, path: Path) -> np.ndarray:
    """The own numbers of cells of a column that is known: [N]."""
    missing = _missing(cells)
    if column.by_code:
        text = cells if cells.dtype.kind == "U" else np.array([f"{cell:.17g}" for cell in cells])
        numbers = np.where(missing, np.nan, code_of(text, column))
        wrong = np.isnan(numbers) & ~missing
        few = ", ".join(map(str, column.levels[:8])) + ", ..." * (len(column.levels) > 8)
        what = f"none of its {len(column.levels):,} levels ({few})"
    else:
        numbers, wrong = _finite(cells, missing, column)
        what = "no date (YYYY-MM-DD)" if column.date else "no number"
    if wrong.any():
        first = int(np.argmax(wrong))
        more = f" ({int(wrong.sum()):,} such cells)" if wrong.sum() > 1 and column.by_code else ""
        raise UserError(f"{path}: example {first}, {name}: {str(cells[first])!r} is {what}: leave "
                        f"the cell empty, or correct it{more}")  # fmt: skip
    check(numbers, column, name, path)
    return numbers


def _finite(
    cells: np.ndarray, missing: np.ndarray, column: Column
) -> tuple[np.ndarray, np.ndarray]:
    """Cells as numbers or days [N], NaN where one is missing, and which are neither."""
    found = numbers_of(cells)
    if column.date and not missing.all():
        found = _days(cells, missing)[0] if cells.dtype.kind == "U" else None
    if found is not None:
        return found, ~missing & ~np.isfinite(found)
    fits = _is_day if column.date else csvhead.is_number
    return np.full(len(cells), np.nan), ~missing & [not fits(str(cell)) for cell in cells]


def _missing(cells: np.ndarray) -> np.ndarray:
    if cells.dtype.kind == "f":
        return np.isnan(cells)
    return np.isin(np.char.lower(cells), MISSING)


def numbers_of(cells: np.ndarray) -> np.ndarray | None:
    """Cells [N] as float64, NaN where one is missing; None where another is no number."""
    if cells.dtype.kind == "f":
        return cells
    missing = _missing(cells)
    if np.char.find(cells, "_").max(initial=-1) >= 0:
        return None
    try:
        return np.where(missing, "nan", cells).astype(np.float64)
    except ValueError:
        return None


def _days(cells: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray | None, str]:
    """Dates as days from 1970 on [N], and the unit that they are written in; None where some are
    none."""
    if not all(map(is_date, cells[~missing].tolist())):
        return None, ""
    try:
        times = np.where(missing, "NaT", cells).astype("datetime64[s]")
    except ValueError:  # such as the 30th of February
        return None, ""
    whole = np.char.str_len(cells[~missing]).max(initial=0) <= len("YYYY-MM-DD")
    days = times.astype(np.int64) / 86_400.0
    return np.where(missing, np.nan, days), "D" if whole else "s"


def fitted(whole: Dataset, standardize: bool | str) -> Dataset:
    """The data set as a model sees it, float32, with what its training set says of its columns.

    Args:
      standardize: "robust" by median and quartiles; True by mean and standard deviation; False:
        numbers keep their centre and scale. Whichever it is, densities are of the columns' own
        numbers.

    Raises:
      UserError: a column would lose values.
    """
    train = np.asarray(whole.splits["train"].x, np.float64)
    columns = tuple(
        _fitted(column, train[:, d], standardize) for d, column in enumerate(whole.column_kinds)
    )
    precision.check(
        train, lambda x: seen(x, columns), whole.columns,
        ": subtract an offset from it, or remove examples far from all others",
    )  # fmt: skip
    splits = {
        name: dataclasses.replace(split, x=seen(np.asarray(split.x), columns))
        for name, split in whole.splits.items()
    }
    return dataclasses.replace(whole, splits=splits, column_kinds=columns)


def _fitted(column: Column, values: np.ndarray, standardize: bool | str) -> Column:
    """The column with centre, scale and start, by its own numbers [N] in the training set."""
    given = values[~np.isnan(values)]
    holes = len(given) < len(values)
    if column.kind in CODED:
        codes = given if column.by_code else code_of(given, column)
        counts = np.bincount(codes.astype(int), minlength=len(column.levels)) + 0.5
        shares = tuple((counts / counts.sum()).tolist())
        return dataclasses.replace(column, start=shares, holes=holes)
    if not len(given):
        return dataclasses.replace(column, holes=holes)
    y = np.log1p(given) if column.kind in COUNTS else LINKS[column.kind][0](given)
    centre, scale = 0.0, 1.0
    if standardize:
        (centre,), (scale,) = precision.moments(y[:, None], standardize == "robust")
    with np.errstate(invalid="ignore"):  # of numbers too small for a scale, which are refused
        start = [(y.mean() - centre) / scale]
    if column.kind in COUNTS:
        mean = given.mean()
        start = [mean, np.clip(_inverse_dispersion(mean, given.var()), 1e-2, 1e3)]
    return dataclasses.replace(
        column, centre=float(centre), scale=float(scale), start=tuple(map(float, start)),
        holes=holes, span=(float(given.min()), float(given.max())),
        decimals=None if column.date else decimals(given),
    )  # fmt: skip


def counted(columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
    """Kinds, and how many columns are of each, in the order of KINDS."""
    for kind in KINDS:
        number = sum(column.kind == kind for column in columns)
        if number:
            yield kind, number

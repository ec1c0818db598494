"""Tables from CSV files: a row an example, a column a feature, its name in the first row."""

import csv
import dataclasses
import re
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vae.data import csvhead, labels
from vae.errors import UserError

_DECIMAL_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+([eE][+-]?\d+)?")
_EXACT = 2.0**53  # up to here double precision counts every whole number


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; its columns [N] are pyarrow's: text as it is written, or float64."""

    path: Path
    names: tuple[str, ...]  # "" where a column has none
    columns: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    def cells(self, column: int) -> np.ndarray:
        """A column as it was read: [N]."""
        return self.columns[column].to_numpy()

    def numbers(self, columns: Sequence[int]) -> np.ndarray:
        """Those columns as numbers: float64 [N, D].

        Raises:
          UserError: a cell is no finite number, or has more digits than float64 can tell apart.
        """
        values = np.empty((len(self), len(columns)))
        for place, column in enumerate(columns):
            found = _cast(self.columns[column])
            if found is None or not np.isfinite(found).all():
                raise self._no_number(column)
            values[:, place] = found
            self._check_digits(column, found)
        return values

    def _no_number(self, column: int) -> UserError:
        """Names the first cell that is no finite number, and what may be the cause."""
        cells = [cell.strip() for cell in self.cells(column)]
        wrong = [not csvhead.is_number(cell) or not np.isfinite(float(cell)) for cell in cells]
        row, name = wrong.index(True), self.names[column]
        cell = cells[row]
        if cell.startswith("#"):
            cause = "begins as a comment does: remove such lines"
        elif _DECIMAL_COMMA.fullmatch(cell):
            cause = "has a decimal comma: write numbers with a point"
        elif len(self.names) == 1 and len(cell.split()) > 1:
            cause = "is no number: separate columns by commas"
        elif all(wrong) and len(cells) > 1 and all(cells):
            cause = (
                "is no number, nor is another cell of it: leave the column out, or set "
                f"data.label={name} where it names classes"
            )
        else:
            cause = "is no number: fill or remove it"
        return UserError(f"{self.path}: example {row}, {name}: {cell or 'nothing'!r} {cause}")

    def _check_digits(self, column: int, found: np.ndarray) -> None:
        large = np.flatnonzero(np.abs(found) >= _EXACT)
        written = set(self.cells(column)[large])
        kept = len(np.unique(found[large]))
        if kept < len(written):
            raise UserError(
                f"{self.path}: {self.names[column]} has {len(written):,} different numbers above "
                f"2^53, and double precision keeps {kept:,}: subtract an offset from the column"
            )


@dataclasses.dataclass(frozen=True)
class Features:
    """A table divided into examples and their labels."""

    x: np.ndarray  # float64 [N, D]
    columns: tuple[str, ...]  # names of the D
    labels: np.ndarray | None  # [N], numbers or text
    label: str  # name of their column; "" where there are none


def read(path: Path, text: bool = False) -> Table:
    """Reads a table with columns separated by commas, or by semicolons or tabs, which is then said.

    The first row names the columns; where it is an example itself they are "0", "1", ...

    Args:
      text: keep all cells as they are written. Otherwise, if all columns that begin with a number
        hold nothing else, they become numbers as they are read, which takes half the memory.

    Raises:
      UserError: no such file, no rows, rows of different lengths, comments, or two columns of one
        name.
    """
    try:
        begin = next(csvhead.rows(path, ","), None)
        if begin is None:
            raise UserError(f"{path} is empty: give a row of names and a row of numbers an example")
        if begin[0].startswith("#"):
            raise UserError(
                f"{path} begins with a comment ({begin[0][:40]!r}): remove lines that begin with "
                "#, and the # itself where names of columns follow it"
            )
        separator = csvhead.separator(path)
        first, second, *_ = [*islice(csvhead.rows(path, separator), 2), []]
        names = csvhead.names(path, first, second)
        skipped = int(names is not None)
        example = second if skipped else first
        columns = None if text else _numbers(path, separator, example, skipped)
        if columns is None:
            columns = _text(path, separator, len(first))
            columns = tuple(column.slice(skipped) for column in columns)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, csv.Error) as error:  # ValueError: also pyarrow's, and of UTF-8
        raise UserError(f"{path} cannot be read as a table of UTF-8 text ({error})") from None
    names = names or tuple(map(str, range(len(first))))
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise UserError(f"{path} has two columns {twice[0]!r}: give each a name of its own")
    if not len(columns[0]):
        raise UserError(f"{path} has names and no rows: give a row of numbers an example")
    return Table(path, names, columns)


def features(table: Table, label: str) -> Features:
    """Divides a table into examples and labels; leaves out, and says so, a nameless column that
    numbers the rows.

    Args:
      label: `config.data.label`.

    Raises:
      UserError: a column has no name, no column is left, or one is not of numbers.
    """
    path, names = table.path, table.names
    chosen = labels.column(names, label, path)
    kept = [number for number, name in enumerate(names) if name != chosen or not chosen]
    for number in [number for number in kept if not names[number]]:
        counted = _cast(table.columns[number])
        if number or counted is None or not np.array_equal(counted, np.arange(len(table))):
            raise UserError(
                f"{path}: column {number} has no name, and does not number the rows from 0 on: "
                "give it a name, or leave it out (pandas: to_csv(index=False))"
            )
        warnings.warn(f"{path}: the first column numbers the rows and is left out", stacklevel=2)
        kept.remove(number)
    if not kept:
        raise UserError(f"{path} has no column of features, only {', '.join(names)}")
    found = table.cells(names.index(chosen)) if chosen else None
    return Features(table.numbers(kept), tuple(names[n] for n in kept), found, chosen)


def _numbers(
    path: Path, separator: str, example: list[str], skipped: int
) -> tuple[Any, ...] | None:
    """The columns, float64 where the first example has a number and text elsewhere; None where that
    cannot be, or where numbers are not finite or larger than float64 counts to."""
    import pyarrow
    from pyarrow import compute

    types = [
        pyarrow.float64() if csvhead.is_number(cell) else pyarrow.string() for cell in example
    ]
    try:
        columns = _arrow(path, separator, types, skipped, lambda row: "error")
    except pyarrow.ArrowInvalid:
        return None
    for column in columns:
        if column.type == pyarrow.float64() and len(column):
            low, high = compute.min_max(column, skip_nulls=False).values()
            if not (low.is_valid and -_EXACT < low.as_py() and high.as_py() < _EXACT):
                return None
            if compute.any(compute.is_nan(column)).as_py():
                return None
    return columns


def _text(path: Path, separator: str, width: int) -> tuple[Any, ...]:
    """All rows, the first too, as columns of text; rows without anything are left out."""
    import pyarrow
    from pyarrow import compute

    uneven = []

    def skip(row: Any) -> str:
        if row.text.strip(f'{separator}" \r\n\t'):
            uneven.append(row.text)
        return "skip"

    columns = _arrow(path, separator, [pyarrow.string()] * width, 0, skip)
    if uneven:
        raise csvhead.uneven(path, separator, width)
    empty = _empty(columns[0])
    if compute.any(empty).as_py():
        for column in columns[1:]:
            empty = compute.and_(empty, _empty(column))
        columns = tuple(column.filter(compute.invert(empty)) for column in columns)
    return columns


def _arrow(
    path: Path, separator: str, types: Sequence[Any], skipped: int, uneven: Callable[[Any], str]
) -> tuple[Any, ...]:
    """The columns by pyarrow, after some rows."""
    from pyarrow import csv as reader

    names = [str(number) for number in range(len(types))]
    table = reader.read_csv(
        path,
        reader.ReadOptions(column_names=names, use_threads=False, skip_rows_after_names=skipped),
        reader.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=uneven
        ),
        reader.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)),
            null_values=[""],
            strings_can_be_null=False,
        ),
    )
    return tuple(table.columns)


def _empty(column: Any) -> Any:
    from pyarrow import compute

    return compute.equal(compute.utf8_trim_whitespace(column), "")


def _cast(column: Any) -> np.ndarray | None:
    """Text as float64 [N]; None where not all of it is numbers."""
    import pyarrow
    from pyarrow import compute

    if column.type == pyarrow.float64():
        return column.to_numpy()
    for text in (lambda: column, lambda: compute.utf8_trim_whitespace(column)):
        try:
            return compute.cast(text(), pyarrow.float64()).to_numpy()
        except pyarrow.ArrowInvalid:
            continue
    return None

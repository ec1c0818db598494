"""A table of named columns: which of them are numbers, categories, labels and identifiers."""

import dataclasses
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae.choices import nearest
from vae.data import csvhead, labels
from vae.data.misfits import Misfits
from vae.errors import UserError
from vae.keys import AUTO

NONE = "none"  # `data.id` of a table whose rows have no names
IDENTIFIERS = ("id", "index", "__index_level_0__")  # in any case; the last is pandas' own
CATEGORIES = 100  # of a column, at most: each is a column of its own
MISSING = ("", "nan", "na", "n/a", "null")
FILL = "fill it, or set --config.model.likelihood=columns"  # what to do about a missing number
DECIMAL_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+([eE][+-]?\d+)?")
DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)?")
EXACT = 2.0**53  # up to here double precision counts every whole number


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; its columns [N] are pyarrow's: text as it is written, or float64."""

    path: Path
    names: tuple[str, ...]  # "" where a column has none
    columns: tuple[Any, ...]
    of_text: dict[int, bool] = dataclasses.field(default_factory=dict)  # as far as it is known

    def __len__(self) -> int:
        return len(self.columns[0])

    def cells(self, column: int) -> np.ndarray:
        """A column as it was read: [N]."""
        return self.columns[column].to_numpy()

    def text(self, column: int) -> np.ndarray:
        """A column as text without spaces around it, whole numbers without a fraction: [N]."""
        cells = self.cells(column)
        if cells.dtype.kind == "f":
            return np.array([f"{cell:.17g}" for cell in cells.tolist()], str)
        return np.char.strip(cells.astype(str))

    def written(self, column: int) -> np.ndarray:
        """A column as it was read, float64, or text without spaces around it: [N]."""
        cells = self.cells(column)
        return cells if cells.dtype.kind == "f" else self.text(column)

    def numbers(self, columns: Sequence[int]) -> np.ndarray:
        """Those columns as numbers: float64 [N, D].

        Raises:
          UserError: cells are no finite numbers, or have more digits than float64 can tell apart.
        """
        values = np.empty((len(self), len(columns)))
        misfits = Misfits()
        for place, column in enumerate(columns):
            with misfits.noted():
                values[:, place] = self.number(column)
        misfits.check(self.path)
        return values

    def number(self, column: int) -> np.ndarray:
        """A column as numbers: float64 [N].

        Raises:
          UserError: as `numbers`.
        """
        found = cast(self.columns[column])
        if found is None or not np.isfinite(found).all():
            raise self._no_number(column)
        check_digits(self.cells(column), found, self.names[column], self.path)
        return found

    def is_text(self, column: int) -> bool:
        """Whether a column holds words: no cell of it is a number, nor meant for one."""
        if column not in self.of_text:
            self.of_text[column] = self._is_text(column)
        return self.of_text[column]

    def _is_text(self, column: int) -> bool:
        if self.columns[column].type == _float64():
            return False
        cells = self.text(column)
        first = [cell for cell in cells[:100].tolist() if cell.lower() not in MISSING]
        return not any(map(csvhead.is_number, first)) and self._words(cells)

    def _words(self, cells: np.ndarray) -> bool:
        given = [cell for cell in np.unique(cells).tolist() if cell.lower() not in MISSING]
        return bool(given) and not any(map(like_a_number, given)) and not (
            len(self.names) == 1 and any(len(cell.split()) > 1 for cell in given)
        )

    def missing(self, column: int) -> int:
        """How many cells of a column are empty, or say that they are."""
        cells = self.cells(column)
        if cells.dtype.kind == "f":
            return int(np.isnan(cells).sum())
        return int(np.isin(np.char.lower(self.text(column)), MISSING).sum())

    def _no_number(self, column: int) -> UserError:
        """Names the first cell that is no finite number, and what may be the cause."""
        cells = [str(cell).strip() for cell in self.cells(column)]
        wrong = [not csvhead.is_number(cell) or not np.isfinite(float(cell)) for cell in cells]
        row, name = wrong.index(True), self.names[column]
        cell = cells[row]
        if DECIMAL_COMMA.fullmatch(cell):
            cause = "has a decimal comma: write numbers with a point"
        elif len(self.names) == 1 and len(cell.split()) > 1:
            cause = "is no number: separate columns by commas"
        elif cell.lower() in MISSING:
            cause = f"is no number: {FILL}"
        else:
            cause = f"is no number: correct or remove it, or set data.columns={name}:categorical"
        more = f" ({sum(wrong):,} such cells in {name})" if sum(wrong) > 1 else ""
        return UserError(f"{self.path}: example {row}, {name}: {cell or 'nothing'!r} {cause}{more}")


@dataclasses.dataclass(frozen=True)
class Features:
    """What of a table is examples, and what is said of them."""

    x: np.ndarray  # float64 [N, D]
    columns: tuple[str, ...]  # names of the D
    labels: np.ndarray | None  # [N], numbers or text
    label: str  # name of their column; "" where there are none
    ids: np.ndarray | None = None  # [N] text
    identifier: str = ""  # name of their column
    categories: tuple[str, ...] = ()  # names of the columns of text that are features
    missing: int = 0  # cells of features that are empty, or say so
    table: Table | None = None  # what they are of
    kept: tuple[int, ...] = ()  # numbers of its columns that are features


def features(
    table: Table, label: str, identifier: str = NONE, misfits: Misfits | None = None,
    plain: Misfits | None = None,
) -> Features:  # fmt: skip
    """Divides a table into examples, labels and identifiers. A column of text becomes a column of
    zeros and ones for each of its values, `column=value`; a nameless column that numbers the rows
    is left out, which is said.

    Args:
      label: `config.data.label`.
      identifier: `config.data.id`.
      misfits: takes what is wrong with the table, if given: it is then not raised.
      plain: takes, if given, what is wrong with it only where columns become numbers, or zeros and
        ones, as they do here; else `misfits` does.

    Raises:
      UserError: a column has no name, no column is left, or cells are missing or of two kinds.
    """
    noted = Misfits() if misfits is None else misfits
    if identifier != NONE and not table.names[0] and _names_rows(table, 0):  # pandas' index
        table = dataclasses.replace(table, names=(IDENTIFIERS[1], *table.names[1:]))
    path, names = table.path, table.names
    chosen = ""
    with noted.noted():
        chosen = labels.column(names, label, path)
    kept = [number for number, name in enumerate(names) if name != chosen or not chosen]
    for number in [number for number in kept if not names[number]]:
        with noted.noted():
            _numbers_rows(table, number)
        kept.remove(number)
    named = ""
    with noted.noted():
        named = _identifier(table, kept, identifier)
    kept = [number for number in kept if not named or names[number] != named]
    if kept:
        _check_comments(table, kept[0])
    else:
        noted.append(f"{path} has no column of features, only {', '.join(filter(None, names))}")
    parts = [_part(table, number, noted if plain is None else plain) for number in kept]
    if misfits is None:
        noted.check(path)
    x = np.empty((len(table), sum(len(columns) for columns, _ in parts)))
    start = 0
    for columns, values in parts:
        x[:, start : start + len(columns)] = values
        start += len(columns)
    return Features(
        x,
        tuple(name for columns, _ in parts for name in columns),
        table.cells(names.index(chosen)) if chosen else None,
        chosen,
        table.text(names.index(named)) if named else None,
        named,
        tuple(names[n] for n in kept if table.is_text(n)),
        sum(table.missing(n) for n in kept),
        table,
        tuple(kept),
    )


def _check_comments(table: Table, number: int) -> None:
    """Raises UserError where rows begin as comments do: whatever else is in them is no cell."""
    if table.columns[number].type == _float64():
        return
    rows = np.flatnonzero(np.char.startswith(table.text(number), "#"))
    if len(rows):
        raise UserError(
            f"{table.path}: example {rows[0]}, {table.names[number]}: "
            f"{str(table.text(number)[rows[0]])!r} begins as a comment does: remove such lines"
        )


def _part(table: Table, number: int, misfits: Misfits) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of what a column becomes, and values: [N, 1], or [N, K] of K categories."""
    name, nothing = table.names[number], np.zeros((len(table), 1))
    if not table.is_text(number):
        with misfits.noted():
            return (name,), table.number(number)[:, None]
        return (name,), nothing
    cells = table.text(number)
    missing = np.flatnonzero(np.isin(np.char.lower(cells), MISSING))
    if len(missing):
        more = f" ({len(missing):,} such cells in {name})" if len(missing) > 1 else ""
        shown = str(cells[missing[0]]) or "nothing"
        misfits.append(
            f"{table.path}: example {missing[0]}, {name}: {shown!r} is no category: {FILL}{more}"
        )
        return (name,), nothing
    values = np.unique(cells)
    if len(values) > CATEGORIES or (len(values) == len(cells) > 2):
        misfits.append(
            f"{table.path}: {name} has {len(values):,} different texts in {len(cells):,} rows: "
            f"leave the column out, or set data.id={name} where it names them"
        )
        return (name,), nothing
    return tuple(f"{name}={value}" for value in values.tolist()), cells[:, None] == values


def taken(table: Table, wanted: Sequence[str]) -> np.ndarray:
    """The columns of those names, as `features` makes them: float64 [N, D].

    Raises:
      UserError: some are not there, or are no numbers.
    """
    names = table.names
    origins = [name if name in names else name.partition("=")[0] for name in wanted]
    missing = [name for name, of in zip(wanted, origins, strict=True) if of not in names]
    if missing:
        raise UserError(
            f"{table.path} lacks {len(missing)} of the {len(wanted)} columns that the run was "
            f"trained on: {', '.join(missing[:5])}{', ...' * (len(missing) > 5)}"
        )
    of_text = {n for n, (name, of) in enumerate(zip(wanted, origins, strict=True)) if name != of}
    cells = {origins[n]: table.text(names.index(origins[n])) for n in of_text}
    plain = [n for n in range(len(wanted)) if n not in of_text]
    x = np.empty((len(table), len(wanted)))
    x[:, plain] = table.numbers([names.index(wanted[n]) for n in plain])
    for n in of_text:
        x[:, n] = cells[origins[n]] == wanted[n].partition("=")[2]
    for name in cells:
        strange = int((x[:, [n for n in of_text if origins[n] == name]].sum(1) == 0).sum())
        if strange:
            warnings.warn(f"{table.path}: {strange:,} examples have a {name} that was not trained "
                          "on, and count as having none", stacklevel=2)  # fmt: skip
    return x


def sources(wanted: Sequence[str], names: Sequence[str]) -> set[str]:
    """The columns of a table that columns of features come from."""
    return {name if name in names else name.partition("=")[0] for name in wanted}


def _numbers_rows(table: Table, number: int) -> None:
    """Warns that a nameless column which numbers the rows is left out.

    Raises:
      UserError: it does something else.
    """
    counted = cast(table.columns[number])
    if number or counted is None or not np.array_equal(counted, np.arange(len(table))):
        raise UserError(
            f"{table.path}: column {number} has no name, and does not number the rows from 0 on: "
            "give it a name, or leave it out (pandas: to_csv(index=False))"
        )
    warnings.warn(f"{table.path}: the first column numbers the rows and is left out", stacklevel=3)


def _identifier(table: Table, kept: Sequence[int], wanted: str) -> str:
    """The name of the column that names the rows; "" where there is none.

    Raises:
      UserError: there is no such column.
    """
    names = [table.names[number] for number in kept]
    if wanted == NONE:
        return ""
    if wanted != AUTO:
        if wanted not in names:
            raise UserError(
                f"data.id={wanted!r}: {table.path} has no such column{nearest(wanted, names)}"
            )
        return wanted
    called = [name for name in names if name.lower() in IDENTIFIERS]
    return next(iter(called), "") or next(
        (table.names[n] for n in kept if len(table) > 2 and _names_rows(table, n)), ""
    )


def _names_rows(table: Table, number: int) -> bool:
    if not table.is_text(number):
        return False
    cells = table.text(number)
    if len(np.unique(cells)) < len(cells) or np.isin(np.char.lower(cells), MISSING).any():
        return False
    return not any(map(is_date, cells.tolist()))


def check_digits(cells: np.ndarray, found: np.ndarray, name: str, path: Path) -> None:
    """Raises UserError where cells [N] that differ are the same numbers `found` [N]."""
    large = np.flatnonzero(np.abs(found) >= EXACT)
    written, kept = len(set(cells[large])), len(np.unique(found[large]))
    if kept < written:
        raise UserError(
            f"{path}: {name} has {written:,} different numbers above 2^53, and double precision "
            f"keeps {kept:,}: subtract an offset from the column"
        )


def is_date(cell: str) -> bool:
    """Whether a text is a date, perhaps with a time, as ISO 8601 writes it."""
    return bool(DATE.fullmatch(cell))


def like_a_number(cell: str) -> bool:
    """Whether a cell is a number, or was meant for one or for a comment."""
    digits = cell.replace("_", "").replace(",", ".")
    return csvhead.is_number(digits) or bool(DECIMAL_COMMA.fullmatch(cell)) or cell[0] == "#"


def _float64() -> Any:
    import pyarrow

    return pyarrow.float64()


def cast(column: Any) -> np.ndarray | None:
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

"""Tables from CSV files: a row an example, a column a feature, its name in the first row."""

import csv
import warnings
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from vae.data import csvhead
from vae.data.frames import DECIMAL_COMMA, EXACT, Table, features
from vae.errors import UserError

__all__ = ["Table", "features", "read"]


def read(path: Path, text: bool = False) -> Table:
    """Reads a table whose columns commas separate, or, which is then said, semicolons or tabs.

    Columns are called as the first row says; "0", "1", ... where it is an example itself.

    Args:
      text: keep all cells as they are written; else columns are numbers as soon as they are read,
        which takes half of the memory, if all that begin with one hold nothing else.

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
        even = len(example) == len(first)
        columns = _numbers(path, separator, example, skipped) if even and not text else None
        if columns is None:
            columns = _text(path, separator, len(first))
            columns = tuple(column.slice(skipped) for column in columns)
        columns = columns if separator == "," else _with_points(path, columns)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, csv.Error) as error:  # ValueError: also pyarrow's, and of UTF-8
        raise UserError(
            f"{path} cannot be read as a table of UTF-8 text: save it as one ({error})"
        ) from None
    names = names or tuple(map(str, range(len(first))))
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise UserError(f"{path} has two columns {twice[0]!r}: give each a name of its own")
    if not len(columns[0]):
        raise UserError(f"{path} has names and no rows: give a row of numbers an example")
    return Table(path, names, columns)


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
            if not (low.is_valid and -EXACT < low.as_py() and high.as_py() < EXACT):
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


def _with_points(path: Path, columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """Text with decimal commas as numbers are written here, which is said: 1.234,5 is 1234.5.

    Raises:
      UserError: other numbers have a point, which may then stand between thousands.
    """
    import pyarrow
    from pyarrow import compute

    found: list[Any] = []  # None where a column stays
    points = False
    for column in columns:
        if column.type == pyarrow.float64():
            points |= bool((column.to_numpy() % 1 != 0).any())
            found.append(None)
            continue
        text = compute.utf8_trim_whitespace(column)
        commas = compute.match_substring_regex(text, f"^({DECIMAL_COMMA.pattern})$")
        whole = compute.match_substring_regex(text, r"^([+-]?\d+)?$")
        fits = compute.all(compute.or_(commas, whole)).as_py()
        is_decimal = fits and compute.any(commas).as_py()
        points |= not is_decimal and compute.any(
            compute.match_substring_regex(text, r"^[+-]?\d*\.\d+$")
        ).as_py()
        without = compute.replace_substring(text, ".", "")
        found.append(compute.replace_substring(without, ",", ".") if is_decimal else None)
    if all(column is None for column in found):
        return columns
    if points:
        raise UserError(f"{path} has numbers with decimal commas and with points: write one kind")
    warnings.warn(f"{path}: decimal commas are read as points", stacklevel=3)
    return tuple(old if new is None else new for old, new in zip(columns, found, strict=True))


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

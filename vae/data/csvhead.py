"""How a table in a CSV file is written: what separates its columns, and what they are called."""

import csv
import re
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from vae.errors import UserError

_OTHERS = {";": "semicolons", "\t": "tabs"}  # what columns may be separated by, beside commas
_NAMELESS = re.compile(r"(Unnamed: \d+(\.\d+)?)?")  # pandas' name for a column that has none


def rows(path: Path, separator: str) -> Iterator[list[str]]:
    """The rows of a file that hold anything, their cells without the spaces around them."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        for row in csv.reader(file, delimiter=separator):
            if any(cell.strip() for cell in row):
                yield [cell.strip() for cell in row]


def separator(path: Path) -> str:
    """A comma, unless another separator gives cells in the first rows where the comma gives one
    cell or no numbers."""
    whole = len(next(rows(path, ","))) == 1
    for other, called in _OTHERS.items():
        found = list(islice(rows(path, other), 2))
        if len(found[0]) == 1 or len({len(row) for row in found}) > 1:
            continue
        if whole or all(is_number(cell.replace(",", ".")) for cell in found[-1]):
            warnings.warn(f"{path}: columns are separated by {called}", stacklevel=2)
            return other
    return ","


def names(path: Path, first: list[str], second: list[str]) -> tuple[str, ...] | None:
    """The column names in the first row, "" for a missing one; None where the row is an example.

    A row of numbers holds names if it counts from 0 on, as pandas names columns that have no name,
    or if pandas' column of row numbers stands before it. A message says where it may be either.

    Raises:
      UserError: it is neither.
    """
    found = tuple("" if _NAMELESS.fullmatch(name) else name for name in first)
    given = [name for name in found if name]
    if not given or not all(map(is_number, given)):
        return found
    shown = f"{', '.join(first[:3])}{', ...' * (len(first) > 3)}"
    numbered = len(given) == len(found) - 1 and not found[0] and second[:1] == ["0"]
    if numbered or (given == _counted(0, given) and "" not in found[1:]):
        warnings.warn(
            f"{path}: the first row, {shown}, is taken for names of columns, not for an example",
            stacklevel=2,
        )
        return found
    if len(given) < len(found):
        raise UserError(
            f"{path}: the first row, {shown}, has numbers and empty cells: begin with a row of "
            "names, or fill them"
        )
    if len(given) > 1 and given[0].isdecimal() and given == _counted(int(given[0]), given):
        warnings.warn(
            f"{path}: the first row, {shown}, is taken for an example, not for names of columns",
            stacklevel=2,
        )
    return None


def _counted(start: int, cells: list[str]) -> list[str]:
    return [str(start + place) for place in range(len(cells))]


def uneven(path: Path, separator: str, width: int) -> UserError:
    """Names the first row with another number of cells."""
    found = list(rows(path, separator))
    number, row = next((n, row) for n, row in enumerate(found) if len(row) != width)
    if names(path, found[0], found[1]) is not None:
        number -= 1
    cause = ": remove lines that begin with #" if row[0].startswith("#") else ""
    if any("\n" in cell for cell in row):
        cause = ": a quotation mark in it is not closed"
    return UserError(
        f"{path}: example {number} has {len(row)} cells and there are {width} columns{cause}"
    )


def is_number(cell: str) -> bool:
    """Whether a cell is a number, perhaps not a finite one."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell

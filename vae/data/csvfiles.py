"""Tables of numbers from CSV files: a row an example, a column a feature."""

import csv
from pathlib import Path

import numpy as np

from vae.errors import UserError

LABELS = ("label", "labels", "y")  # names of a column that is no feature


def read(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads a table.

    Returns:
      Its numbers, float64 [N, D], and the names of the columns: of the first row where that is not
      all numbers, else "0", "1", ...

    Raises:
      UserError: no file, no rows, rows of different lengths, or a cell that is no finite number.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table ({error})") from None
    if not rows:
        raise UserError(f"{path} is empty: give a row of names and a row of numbers an example")
    names = tuple(cell.strip() for cell in rows[0])
    if _is_number(names[0]) and all(map(_is_number, names)):
        names = tuple(map(str, range(len(names))))
    else:
        rows = rows[1:]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{path} has two columns {twice!r}: give each a name of its own")
    if not rows:
        raise UserError(f"{path} has names and no rows: give a row of numbers an example")
    values = np.empty((len(rows), len(names)))
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise UserError(
                f"{path}: example {number} has {len(row)} cells and there are {len(names)} columns"
            )
        for column, cell in enumerate(row):
            values[number, column] = _number(cell, f"{path}: example {number}, {names[column]}")
    return values, names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, where: str) -> float:
    value = float(cell) if _is_number(cell) else float("nan")
    if not np.isfinite(value):
        raise UserError(f"{where}: {cell.strip() or 'nothing'!r} is no number: fill or remove it")
    return value

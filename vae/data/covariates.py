"""Columns that a conditional model is given of each example beside x: of the `obs` of `.h5ad`, or
of a table, whose features they then are not. Texts and categories are one-hot, NAME=VALUE; numbers
stay numbers, unless `NAME:categorical` is asked for."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae.choices import nearest
from vae.data import arrowfiles, cells, csvfiles, frames
from vae.data.content import Content
from vae.data.precision import moments
from vae.errors import UserError

CATEGORICAL = ":categorical"
MOST = 1000  # categories of a column


def names(wanted: Sequence[str]) -> list[str]:
    """The columns that `data.covariates` names."""
    return [each.removesuffix(CATEGORICAL) for each in wanted]


def attached(content: Content, path: Path, wanted: Sequence[str]) -> Content:
    """A file's content with these columns as its context, and not among its features.

    Raises:
      UserError: a column is not there, or lacks values; or the file has no columns.
    """
    if "x" not in content.arrays:
        raise UserError(f"data.covariates: {path} has several splits: set data.covariates=()")
    columns = read(path, wanted, content.table)
    told = encoded(columns)
    found = {**content.arrays, "context": numbers(columns, told, path)}
    if content.table is None:
        return dataclasses.replace(content, arrays=found, covariates=told)
    table, left_out = content.table, names(wanted)
    of = np.asarray(content.arrays["columns"]).tolist()
    keep = [not frames.sources([name], table.names) & set(left_out) for name in of]
    if not any(keep):
        raise UserError(f"data.covariates: {path} has no column beside {', '.join(left_out)}")
    found |= {"x": content.arrays["x"][:, keep], "columns": np.array(of)[keep]}
    return dataclasses.replace(
        content, arrays=found, covariates=told,
        kept=tuple(n for n in content.kept if table.names[n] not in left_out),
        categories=tuple(name for name in content.categories if name not in left_out),
    )  # fmt: skip


def read(
    path: Path, wanted: Sequence[str], table: frames.Table | None = None
) -> dict[str, np.ndarray]:
    """Those columns of a file by name: float64 [N], or texts [N] where they are categories.

    Args:
      table: of the file, where it has been read.

    Raises:
      UserError: as `attached`.
    """
    if path.suffix == ".h5ad":
        found = cells.obs(path, names(wanted))
    else:
        found = _of_table(table or _table(path), names(wanted), path)
    for name in names(wanted):
        if f"{name}{CATEGORICAL}" in wanted:
            found[name] = _texts(found[name])
        values = found[name]
        if values.dtype.kind in "OSU":
            found[name] = values = values.astype(str)
            missing = np.isin(np.char.lower(np.char.strip(values)), frames.MISSING)
        else:
            found[name] = values = values.astype(np.float64)
            missing = ~np.isfinite(values)
        if missing.any():
            raise UserError(
                f"{path}: {name} is missing of {int(missing.sum()):,} examples, first of example "
                f"{int(np.argmax(missing))}: fill it, or leave it out of data.covariates"
            )
    return found


def encoded(columns: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The names of the context's numbers: of a column's categories, or of the column.

    Raises:
      UserError: a column has too many categories to be one-hot.
    """
    found: list[str] = []
    for name, values in columns.items():
        if values.dtype.kind != "U":
            found.append(name)
            continue
        different = np.unique(values).tolist()
        if len(different) > MOST:
            raise UserError(f"data.covariates: {name} has {len(different):,} different texts, and "
                            f"{MOST:,} is the most: leave it out")  # fmt: skip
        found += [f"{name}={value}" for value in different]
    return tuple(found)


def numbers(columns: Mapping[str, np.ndarray], told: Sequence[str], path: Path) -> np.ndarray:
    """What `told` names of the columns: float64 [N, C].

    Raises:
      UserError: a category is not among those named.
    """
    parts = []
    for name, values in columns.items():
        if values.dtype.kind != "U":
            parts.append(values[:, None])
            continue
        first = f"{name}="
        known = np.array([each.removeprefix(first) for each in told if each.startswith(first)])
        strange = ~np.isin(values, known)
        if strange.any():
            raise UserError(
                f"{path}: example {int(np.argmax(strange))} has {name} "
                f"{str(values[strange][0])!r}, which was not trained on: leave such examples out"
            )
        parts.append((values[:, None] == known).astype(np.float64))
    return np.concatenate(parts, axis=1)


def of_file(path: Path, wanted: Sequence[str], described: Mapping[str, Any]) -> np.ndarray:
    """The context of a file's examples as a run's model is given it: float32 [N, C].

    Args:
      described: what the run keeps of its data.

    Raises:
      UserError: as `attached`, or a category was not trained on.
    """
    context = numbers(read(path, wanted), described["covariates"], path)
    mean, std = (np.asarray(described[name]) for name in ("context_mean", "context_std"))
    return ((context - mean) / std).astype(np.float32)


def scaler(
    train: np.ndarray, told: Sequence[str], wanted: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each number of the context [N, C] of training examples; 0 and 1 of
    categories."""
    numeric = np.isin(told, names(wanted))
    mean, std = moments(train)
    return np.where(numeric, mean, 0.0), np.where(numeric, std, 1.0)


def _texts(values: np.ndarray) -> np.ndarray:
    """Numbers as texts, whole ones without a fraction."""
    if values.dtype.kind in "OSU":
        return values.astype(str)
    return np.array([f"{value:.17g}" for value in values.astype(np.float64).tolist()])


def _table(path: Path) -> frames.Table:
    if path.suffix == ".csv":
        return csvfiles.read(path, text=True)
    if path.suffix in (".parquet", ".feather", ".arrow"):
        return arrowfiles.table(path)
    raise UserError(f"data.covariates are columns of .h5ad or of a table, and {path} has none: set "
                    "data.covariates=()")  # fmt: skip


def _of_table(table: frames.Table, wanted: Sequence[str], path: Path) -> dict[str, np.ndarray]:
    found = {}
    for name in wanted:
        if name not in table.names:
            raise UserError(f"data.covariates: {path} has no column {name!r}"
                            f"{nearest(name, table.names)}")  # fmt: skip
        number = table.names.index(name)
        if table.is_text(number):
            found[name] = table.text(number)
            continue
        numbers = frames.cast(table.columns[number])
        found[name] = table.text(number) if numbers is None else numbers
    return found

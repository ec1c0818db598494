"""The forms of a file of the user's, by its suffix, and the arrays that each holds."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae import npz
from vae.data import csvfiles, frames
from vae.data.dataset import Lazy
from vae.data.misfits import Misfits


@dataclasses.dataclass(frozen=True)
class Content:
    """The arrays of a file by name, as `vae.data.layout` takes them, and what else it says."""

    arrays: Mapping[str, Any]
    label: str = ""  # name of the column that labels are from
    classes: tuple[str, ...] = ()  # names of the labels 0, 1, ..., where the file has them
    ids: np.ndarray | None = None  # [N] text, of the training examples
    identifier: str = ""  # name of the column that they are from
    categories: tuple[str, ...] = ()  # names of columns of text among the features
    missing: int = 0  # cells of a table without anything in them
    counts: bool = False  # whole numbers are counts, however small


@dataclasses.dataclass(frozen=True)
class Reader:
    """How files of one form are read."""

    what: str  # in words
    read: Callable[[Path, str, str, Misfits], Content]  # path, data.label, data.id, misfits
    table: bool = False  # whether columns may be labels and ids


def _arrays(path: Path, label: str, identifier: str, misfits: Misfits) -> Content:
    content = npz.opened(path)
    if {"format", "shape", "data"} <= set(content):
        return Content({"x": sparse(path)})
    return Content(content)


def sparse(path: Path) -> Lazy:
    """The matrix of an .npz of `scipy.sparse.save_npz`, a row an example."""
    from scipy.sparse import load_npz

    return rows(load_npz(path))


def rows(matrix: Any) -> Lazy:
    """A sparse matrix of SciPy [N, D], whose rows are filled up as they are indexed."""
    by_row = matrix.tocsr()
    return Lazy(lambda some: by_row[some].toarray(), by_row.shape, by_row.dtype)


def of_table(table: frames.Table, label: str, identifier: str, misfits: Misfits) -> Content:
    """The features, labels and ids of a table."""
    found = frames.features(table, label, identifier, misfits)
    arrays = {"x": found.x, "columns": np.array(found.columns, dtype=str)}
    arrays |= {} if found.labels is None else {"labels": found.labels}
    return Content(
        arrays, found.label, ids=found.ids, identifier=found.identifier,
        categories=found.categories, missing=found.missing,
    )  # fmt: skip


def _csv(path: Path, label: str, identifier: str, misfits: Misfits) -> Content:
    return of_table(csvfiles.read(path), label, identifier, misfits)


READERS = {
    ".npz": Reader("arrays of NumPy", _arrays),
    ".npy": Reader("an array of NumPy", _arrays),
    ".csv": Reader("a table in text", _csv, table=True),
}
MORE = tuple(READERS)[3:]  # beside those that every message names


def reader(path: Path) -> Reader | None:
    """How what is at a path is read; None for pictures and what is nothing."""
    return READERS.get(path.suffix) if path.is_file() or not path.is_dir() else None

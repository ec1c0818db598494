"""The forms of a file of the user's, by its suffix, and who reads each."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from vae import npz
from vae.data import arrowfiles, cells, csvfiles
from vae.data.content import Content, of_table, rows
from vae.data.dataset import Lazy
from vae.data.misfits import Misfits


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
    if {"x", "genes"} <= set(content):
        return cells.of_arrays(content, path, identifier)
    return Content(content)


def sparse(path: Path) -> Lazy:
    """The matrix of an .npz of `scipy.sparse.save_npz`, a row an example."""
    from scipy.sparse import load_npz

    return rows(load_npz(path))


def _csv(path: Path, label: str, identifier: str, misfits: Misfits) -> Content:
    return of_table(csvfiles.read(path), label, identifier, misfits)


READERS = {
    ".npz": Reader("arrays of NumPy", _arrays),
    ".npy": Reader("an array of NumPy", _arrays),
    ".csv": Reader("a table in text", _csv, table=True),
    ".parquet": Reader("a table of Parquet", arrowfiles.parquet, table=True),
    ".feather": Reader("a table of Feather", arrowfiles.feather, table=True),
    ".arrow": Reader("a table of Arrow", arrowfiles.feather, table=True),
    ".h5ad": Reader("cells of AnnData", cells.content, table=True),
}
HUB = Reader("a data set of Hugging Face", arrowfiles.hub, table=True)
MORE = tuple(READERS)[3:]  # beside those that every message names


def reader(path: Path) -> Reader | None:
    """How what is at a path is read; None for pictures and what is nothing."""
    if path.is_dir():
        return HUB if arrowfiles.is_hub(path) else None
    return READERS.get(path.suffix)

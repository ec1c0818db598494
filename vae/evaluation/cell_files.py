"""What a run says of cells in AnnData's form on disk, `.h5ad`, written without AnnData itself.

An input that is an `.h5ad` is copied whole and added to; of any other, names of cells and genes are
written. The output appears whole or not at all, also where it is the input.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import npz
from vae.data.cells import library

SUFFIX = ".h5ad"
LATENTS = "X_vae"  # of obsm
NORMALIZED = "vae_normalized"  # of layers
LIBRARY = 10_000  # counts of a cell that normalised expression is of


def write(
    path: Path, source: str | Path, group: str, name: str, parts: Iterator[np.ndarray],
    shape: tuple[int, int], cells: Sequence[str] | np.ndarray | None, genes: Sequence[str],
) -> None:  # fmt: skip
    """Writes numbers of each cell.

    Args:
      source: the input; an `.h5ad` is copied.
      group, name: where they go: "obsm" or "layers", and what they are called.
      parts: rows of them, one after the other.
      shape: of all of them.
      cells: names, where they are known, and
      genes: names; of an input that is no `.h5ad`.

    Raises:
      UserError: h5py is missing.
    """
    h5py = library(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with npz.replacing(path) as temporary:
        if Path(source).suffix == SUFFIX:
            shutil.copyfile(source, temporary)
        with h5py.File(temporary, "r+" if Path(source).suffix == SUFFIX else "w") as file:
            if "obs" not in file:
                _begin(file, shape[0], cells, genes)
            _group(file, group)
            if name in file[group]:
                del file[group][name]
            stored = file[group].create_dataset(name, shape, np.float32)
            _said(stored, "array", "0.2.0")
            first = 0
            for rows in parts:
                stored[first : first + len(rows)] = rows
                first += len(rows)


def _begin(
    file: Any, count: int, cells: Sequence[str] | np.ndarray | None, genes: Sequence[str]
) -> None:
    """Names of cells and genes in an empty file."""
    import h5py

    _said(file, "anndata", "0.1.0")
    names = [str(n) for n in range(count)] if cells is None else [str(cell) for cell in cells]
    for table, index in (("obs", names), ("var", list(map(str, genes)))):
        made, text = file.create_group(table), h5py.string_dtype()
        _said(made, "dataframe", "0.2.0")
        made.attrs["_index"] = "_index"
        made.attrs.create("column-order", np.array([], dtype=object), dtype=text)
        made.create_dataset("_index", data=np.array(index, dtype=object), dtype=text)
        _said(made["_index"], "string-array", "0.2.0")


def _group(file: Any, name: str) -> None:
    """A mapping of that name, where there is none."""
    if name not in file:
        _said(file.create_group(name), "dict", "0.1.0")


def _said(stored: Any, kind: str, version: str) -> None:
    stored.attrs["encoding-type"], stored.attrs["encoding-version"] = kind, version

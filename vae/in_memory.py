"""Data that a program holds, kept as a file in a run's directory: so that the run, which is resumed
and evaluated from there, has them too."""

from pathlib import Path
from typing import Any

import numpy as np

from vae import npz
from vae.errors import UserError

NAMES = ("data.npz", "data.parquet", "data.h5ad")  # in a run's directory
LABEL = "label"  # the column that labels given beside a table become


def is_frame(x: Any) -> bool:
    """Whether x is a DataFrame of pandas."""
    return hasattr(x, "columns") and hasattr(x, "to_numpy")


def written(x: Any, labels: Any, workdir: Path) -> tuple[Path, str]:
    """The file of data that are given, and the name of the column of labels, "" where none is.

    Args:
      x: an array [N, ...], a sparse matrix of SciPy [N, D], a DataFrame, an AnnData, or the path of
        a file or folder, which stays where it is.
      labels: of the examples, [N], numbers or text; of a DataFrame or AnnData also the name of a
        column; None: there are none, or they are where the data have them.

    Raises:
      UserError: they are none of these, or labels do not fit.
    """
    if isinstance(x, str | Path):
        if labels is not None and not isinstance(labels, str):
            raise UserError(f"labels beside the file {x}: give the name of a column of it")
        return Path(x), labels or ""
    workdir.mkdir(parents=True, exist_ok=True)
    if is_frame(x):
        return _frame(x, labels, workdir / "data.parquet")
    if hasattr(x, "obs") and hasattr(x, "write_h5ad"):
        return _cells(x, labels, workdir / "data.h5ad")
    return _arrays(x, labels, workdir / "data.npz")


def _frame(x: Any, labels: Any, path: Path) -> tuple[Path, str]:
    table, name = x.copy(), labels if isinstance(labels, str) else ""
    if labels is not None and not name:
        table[LABEL], name = np.asarray(labels), LABEL
    table.columns = table.columns.map(str)
    if name and name not in table.columns:
        raise UserError(f"labels={name!r}: the table has no such column")
    plain = str(table.index.dtype).startswith("int") and table.index.name is None
    with npz.replacing(path) as temporary:
        table.to_parquet(temporary, index=not plain)
    return path, name


def _cells(x: Any, labels: Any, path: Path) -> tuple[Path, str]:
    found, name = x, labels if isinstance(labels, str) else ""
    if labels is not None and not name:
        found = x.copy()
        found.obs[LABEL], name = np.asarray(labels), LABEL
    with npz.replacing(path) as temporary:
        found.write_h5ad(temporary)
    return path, name


def _arrays(x: Any, labels: Any, path: Path) -> tuple[Path, str]:
    if isinstance(labels, str):
        raise UserError(f"labels={labels!r}: an array has no columns; give the labels [N]")
    sparse = hasattr(x, "tocsr")
    if sparse and labels is None:
        from scipy.sparse import csr_matrix, save_npz

        with npz.replacing(path) as temporary, open(temporary, "wb") as file:
            save_npz(file, csr_matrix(x))
        return path, ""
    arrays = {"x": x.toarray() if sparse else np.asarray(x)}
    if labels is not None:
        arrays["labels"] = np.asarray(labels)
        if arrays["labels"].dtype == object:
            arrays["labels"] = arrays["labels"].astype(str)
        if arrays["labels"].shape != arrays["x"].shape[:1]:
            raise UserError(
                f"labels have shape {arrays['labels'].shape}, and x holds {len(arrays['x'])} "
                "examples: give one label each"
            )
    if arrays["x"].dtype == object or not arrays["x"].size:
        raise UserError(
            f"x of type {arrays['x'].dtype} and shape {arrays['x'].shape} is no data: give numbers "
            "[N, ...], a sparse matrix, a DataFrame, an AnnData or a path"
        )
    npz.write(path, arrays)
    return path, ""

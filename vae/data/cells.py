"""Cells: the matrix X of AnnData, `.h5ad`, a cell an example, read without AnnData itself; and
counts of an .npz beside the names of genes and cells."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae.choices import nearest
from vae.data import frames, labels
from vae.data.content import Content, rows
from vae.data.misfits import Misfits
from vae.errors import UserError

NAMES = "obs_names"  # what `data.id` calls the names of the cells


def library(path: Path) -> Any:
    """The module h5py, for a file.

    Raises:
      UserError: it is missing.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise UserError(f"{path} needs h5py: pip install 'vae[cells]'") from None
    return h5py


def content(path: Path, label: str, identifier: str, misfits: Misfits) -> Content:
    """X, the names of genes and of cells, and a column of `obs` as labels.

    Raises:
      UserError: h5py is missing, or there is no X.
    """
    h5py = library(path)
    with h5py.File(path) as file:
        if "X" not in file:
            raise UserError(f"{path} holds no X, but {', '.join(file)}: write AnnData's X")
        arrays: dict[str, Any] = {"x": _matrix(file["X"], path)}
        if "var" in file:
            arrays["columns"] = distinct(_index(file["var"]), path)
        obs: Any = file["obs"] if "obs" in file else {}
        names = [name for name in obs if name not in ("__categories", obs.attrs["_index"])]
        chosen = ""
        with misfits.noted():
            chosen = labels.column(names, label, path)
        if chosen:
            with misfits.noted():
                arrays["labels"] = _column(obs, chosen, path)
        ids = _index(obs) if obs and identifier != frames.NONE else None
    return Content(
        arrays, chosen, ids=ids, identifier=NAMES if ids is not None else "", counts=True
    )


def of_arrays(arrays: Mapping[str, Any], path: Path, identifier: str) -> Content:
    """Counts `x` [N, D] of an .npz, its `genes` [D] and, if it has them, its `cells` [N]."""
    found = {key: arrays[key] for key in arrays if key not in ("genes", "cells")}
    found["columns"] = distinct(np.asarray(arrays["genes"]).astype(str), path)
    names = arrays["cells"] if "cells" in arrays and identifier != frames.NONE else None
    if names is not None and np.shape(names) != (len(found["x"]),):
        raise UserError(
            f"{path} holds cells of shape {np.shape(names)} beside {len(found['x']):,} examples: "
            "give each a name"
        )
    ids = None if names is None else np.asarray(names).astype(str)
    return Content(found, ids=ids, identifier="cells" if ids is not None else "", counts=True)


def obs(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of `obs` by name: numbers [N], NaN where one is missing, or texts [N], "" likewise.

    Raises:
      UserError: h5py is missing, the file is damaged, or a column is not there.
    """
    h5py = library(path)
    try:
        with h5py.File(path) as file:
            table = file["obs"] if "obs" in file else {}
            there = [name for name in table if name != "__categories"]
            for name in names:
                if name not in there:
                    raise UserError(
                        f"{path}: obs has no column {name!r}{nearest(name, there)}; it has "
                        f"{', '.join(there[:10]) or 'none'}{', ...' * (len(there) > 10)}"
                    )
            return {name: _filled(*_values(table, name)) for name in names}
    except OSError as error:
        raise UserError(f"{path} is damaged or no .h5ad ({error}): write it again") from None


def _filled(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Values with "" or NaN where they are missing."""
    if values.dtype.kind == "U":
        return np.where(missing, "", values)
    return np.where(missing, np.nan, values.astype(np.float64)) if missing.any() else values


def distinct(names: Sequence[str] | np.ndarray, path: Path) -> np.ndarray:
    """Names of genes, of which a second one of a name becomes NAME-1, as AnnData's
    `var_names_make_unique` has it; which is said."""
    taken, found = set(map(str, names)), []
    seen: set[str] = set()
    for name in map(str, names):
        unique, number = name, 0
        while unique in seen or (number and unique in taken):
            number += 1
            unique = f"{name}-{number}"
        seen.add(unique)
        found.append(unique)
    renamed = sum(old != new for old, new in zip(map(str, names), found, strict=True))
    if renamed:
        warnings.warn(
            f"{path}: genes of one name become NAME, NAME-1, ...: {renamed:,} are renamed",
            stacklevel=3,
        )
    return np.array(found, str)


def _matrix(stored: Any, path: Path) -> Any:
    """X [N, D]: an array, or a sparse matrix whose rows are filled up as they are indexed."""
    import h5py

    if isinstance(stored, h5py.Dataset):
        return stored[:]
    from scipy.sparse import csc_matrix, csr_matrix

    form = stored.attrs.get("encoding-type", stored.attrs.get("h5sparse_format", ""))
    made = {"csr": csr_matrix, "csc": csc_matrix}.get(str(form)[:3])
    if made is None:
        raise UserError(f"{path} holds X as {form or 'a group'}: write it dense, CSR or CSC")
    shape = stored.attrs.get("shape", stored.attrs.get("h5sparse_shape"))
    parts = (stored["data"][:], stored["indices"][:], stored["indptr"][:])
    return rows(made(parts, shape=tuple(map(int, shape))))


def _index(table: Any) -> np.ndarray:
    """The names of the rows of a table: text [N]."""
    name = table.attrs.get("_index", "index")
    return _text(table[name])


def _text(stored: Any) -> np.ndarray:
    is_text = stored.dtype.kind in "OS"
    return np.array(stored.asstr()[:] if is_text else stored[:]).astype(str)


def _column(table: Any, name: str, path: Path) -> np.ndarray:
    """A column of `obs`: [N] numbers, or text where it has categories or words.

    Raises:
      UserError: a value is missing.
    """
    values, missing = _values(table, name)
    if missing.any():
        raise UserError(
            f"{path}: {name} is missing of {int(missing.sum()):,} cells, first of example "
            f"{int(np.argmax(missing))}: fill it, or set data.label=none"
        )
    return values


def _values(table: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of `obs`, and where it is missing: [N] each."""
    import h5py

    stored = table[name]
    if isinstance(stored, h5py.Group):
        if "categories" not in stored:
            values, missing = stored["values"][:], stored["mask"][:]
        else:
            codes, missing = stored["codes"][:], stored["codes"][:] < 0
            values = _text(stored["categories"])[codes]
    elif "categories" in stored.attrs:  # of AnnData before 0.7
        codes, missing = stored[:], stored[:] < 0
        values = _text(table.file[stored.attrs["categories"]])[codes]
    else:
        values = _text(stored) if stored.dtype.kind in "OS" else stored[:]
        missing = np.zeros(len(values), bool)
    return values, missing

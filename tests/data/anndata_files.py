"""Files as AnnData writes them, made without it."""

from pathlib import Path

import h5py
import numpy as np


def write(path: Path, x: np.ndarray, obs: dict, genes: list[str] | None = None) -> Path:
    """An .h5ad of X [N, D] and columns of `obs` [N]: texts are categories, None is missing."""
    genes = genes or [f"gene{n}" for n in range(x.shape[1])]
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"], file.attrs["encoding-version"] = "anndata", "0.1.0"
        file["X"] = x
        file["X"].attrs["encoding-type"], file["X"].attrs["encoding-version"] = "array", "0.2.0"
        names = {"obs": [f"cell{n}" for n in range(len(x))], "var": genes}
        for table, index in names.items():
            group = file.create_group(table)
            columns = list(obs) if table == "obs" else []
            group.attrs["encoding-type"], group.attrs["encoding-version"] = "dataframe", "0.2.0"
            group.attrs["_index"] = "_index"
            group.attrs["column-order"] = np.array(columns, dtype=h5py.string_dtype())
            group["_index"] = np.array(index, dtype=object)
            _said(group["_index"], "string-array")
        for name, values in obs.items():
            values = np.asarray(values, dtype=object if isinstance(values[0], str) else None)
            if values.dtype != object:
                file["obs"][name] = values
                _said(file["obs"][name], "array")
                continue
            kinds = sorted({each for each in values.tolist() if each is not None})
            group = file["obs"].create_group(name)
            group.attrs["encoding-type"] = "categorical"
            group.attrs["encoding-version"], group.attrs["ordered"] = "0.2.0", False
            group["categories"] = np.array(kinds, dtype=object)
            _said(group["categories"], "string-array")
            codes = [-1 if each is None else kinds.index(each) for each in values.tolist()]
            group["codes"] = np.array(codes, np.int8)
            _said(group["codes"], "array")
    return path


def _said(stored: h5py.Dataset, kind: str) -> None:
    stored.attrs["encoding-type"], stored.attrs["encoding-version"] = kind, "0.2.0"

"""What a verb writes of examples: a table (.csv, .parquet) or arrays (.npz), by the name."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae import npz
from vae.errors import UserError

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained

SUFFIXES = (".csv", ".parquet", ".npz")


def check(output: str | Path, more: tuple[str, ...] = ()) -> Path:
    """The path, where it names something that can be written.

    Args:
      more: suffixes that this verb writes beside the others.

    Raises:
      UserError: it has another suffix.
    """
    path = Path(output)
    if path.suffix not in (*SUFFIXES, *more):
        known = ", ".join((*SUFFIXES, *more))
        raise UserError(f"--output={output}: give a name that ends in {known}")
    return path


def examples(
    path: Path, run: "Trained", x: np.ndarray, drawn: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Examples [N, *shape] as the model sees them, as `write` takes them in the data's own units:
    an array `x`, or, in a table, the run's columns of several kinds by their names; `drawn` as of
    `cells`."""
    if path.suffix != ".npz" and "column_kinds" in run.described:
        return run.cells(x, drawn), {}
    found = np.asarray(run.restore(x), np.float32)
    return {"x": found}, {"x": run.described.get("columns")}


def write(
    path: Path, arrays: Mapping[str, np.ndarray], names: Mapping[str, Any] | None = None
) -> None:
    """Writes arrays [N] and [N, D] whole or not at all; in a table the latter are D columns.

    Args:
      names: of the D columns of an array, by its name; by default NAME_0, NAME_1, ...
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        npz.write(path, {key: _plain(values) for key, values in arrays.items()})
        return
    columns: dict[str, np.ndarray] = {}
    for key, values in arrays.items():
        parts = values.reshape(len(values), -1) if values.ndim > 1 else values[:, None]
        heads = (names or {}).get(key) or [f"{key}_{n}" for n in range(parts.shape[1])]
        columns |= dict(zip(heads if values.ndim > 1 else [key], parts.T, strict=True))
    with npz.replacing(path) as temporary:
        if path.suffix == ".parquet":
            import pyarrow
            from pyarrow import parquet

            table = pyarrow.table({name: values.tolist() for name, values in columns.items()})
            parquet.write_table(table, temporary)
            return
        with open(temporary, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*map(_cells, columns.values()), strict=True))


def _plain(values: np.ndarray) -> np.ndarray:
    """Text as NumPy writes it without pickles."""
    return values.astype(str) if values.dtype == object else values


def _cells(values: np.ndarray) -> list[Any]:
    if values.dtype.kind == "f":
        return [f"{value:.9g}" for value in values.tolist()]
    return values.tolist()

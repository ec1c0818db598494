"""What tells data from other data: a checksum that a run keeps and compares."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vae.data import arrowfiles, pictures
from vae.data.dataset import Dataset
from vae.paths import absolute

ROWS = 256  # of a split of a prepared data set that are looked at


def contents(source: str, path: str, dataset: Dataset) -> str:
    """SHA-256 of what was read; "" for data that the code itself makes.

    The user's own files count byte by byte, a folder with the names of its pictures. Of a prepared
    data set, whose files may differ between two machines where their contents do not, it is the
    examples themselves, ROWS of each split.

    Args:
      source: of the data set's row in the table.
      path: `config.data.path`.
      dataset: as its source has it, with its own splits.
    """
    match source:
        case "files":
            where = Path(absolute(path))
            return of_folder(where) if where.is_dir() else of_file(where)
        case "rendered":
            return ""
        case _:
            return of_rows(dataset)


def of_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_folder(folder: Path) -> str:
    """Of the pictures alone, or of the tables of Hugging Face: what else lies there is not read."""
    hub = arrowfiles.is_hub(folder)
    paths = arrowfiles.hub_files(folder) if hub else pictures.found(folder)
    whole = hashlib.sha256()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, digest in zip(paths, pool.map(of_file, paths), strict=True):
            whole.update(f"{path.relative_to(folder).as_posix()}\0{digest}\n".encode())
    return whole.hexdigest()


def of_rows(dataset: Dataset) -> str:
    whole = hashlib.sha256()
    for name, split in dataset.splits.items():
        rows = np.unique(np.linspace(0, len(split) - 1, ROWS).astype(int))
        whole.update(f"{name} {len(split)}".encode())
        for column in (split.x, split.labels, split.factors, split.context):
            if column is not None:
                values = np.ascontiguousarray(column[rows])
                whole.update(f" {values.dtype.str} {values.shape}".encode())
                whole.update(values.data)
    return whole.hexdigest()

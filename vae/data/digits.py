"""The UCI optical digits that scikit-learn carries: 1,797 images of 8x8, grey levels 0..16."""

import importlib.util
from pathlib import Path

import numpy as np

from vae.data.dataset import Dataset, Split
from vae.data.table import Row


def load(name: str, row: Row) -> Dataset:
    """Returns all digits as one split; nothing is downloaded."""
    pixels, labels = _read()
    split = Split(pixels.reshape(-1, *row.shape).astype(np.uint8), labels.astype(np.int32))
    return Dataset(name, row.version, row.kind, row.levels, {"train": split})


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Returns pixels [1797, 64] and labels [1797]."""
    # The file itself: importing scikit-learn takes seconds, and no more than this is needed of it.
    package = importlib.util.find_spec("sklearn")
    path = Path(package.origin if package else "").parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        table = np.loadtxt(path, delimiter=",")
        return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)

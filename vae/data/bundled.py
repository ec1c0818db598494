"""What scikit-learn carries, both of UCI.

`digits`: 1,797 images of 8x8, grey levels 0..16; `breast_cancer`: 569 rows of 30 measurements of
tumours, malignant (label 0) or benign (1).
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vae.data.dataset import Dataset, Split
from vae.data.table import Row

Arrays = tuple[np.ndarray, np.ndarray]  # examples, labels


def load(name: str, row: Row) -> Dataset:
    """Returns all examples as one split; nothing is downloaded."""
    values, labels = {"digits": _digits, "breast_cancer": _breast_cancer}[name]()
    x = values.reshape(-1, *row.shape).astype(values.dtype if row.kind == "real" else np.uint8)
    split = Split(x, labels.astype(np.int32))
    return Dataset(name, row.version, row.kind, row.levels, {"train": split})


def _digits() -> Arrays:
    def by_sklearn() -> Arrays:
        from sklearn.datasets import load_digits

        return load_digits(return_X_y=True)

    return _read("digits.csv.gz", 0, by_sklearn)


def _breast_cancer() -> Arrays:
    def by_sklearn() -> Arrays:
        from sklearn.datasets import load_breast_cancer

        return load_breast_cancer(return_X_y=True)

    return _read("breast_cancer.csv", 1, by_sklearn)


def _read(file: str, heads: int, by_sklearn: Callable[[], Arrays]) -> Arrays:
    """The numbers of a file of scikit-learn's, labels last, after `heads` lines; or what
    `by_sklearn` loads. Read directly, because importing scikit-learn takes seconds."""
    package = importlib.util.find_spec("sklearn")
    path = Path(package and package.origin or "").parent / "datasets" / "data" / file
    if not path.is_file():
        return by_sklearn()
    table = np.loadtxt(path, delimiter=",", skiprows=heads)
    return table[:, :-1], table[:, -1]

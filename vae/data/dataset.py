"""What a data set is once it is loaded: three disjoint splits of arrays."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from vae.columns import Column


class Lazy:
    """Looks like an array along its first axis; rows are read when they are asked for.

    Args:
        read: function of an integer array of rows [n] that returns the rows [n, ...].
        shape: shape of the whole, [N, ...].
        dtype: type of the elements.
    """

    def __init__(self, read: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], dtype):
        self.read, self.shape, self.dtype = read, tuple(shape), np.dtype(dtype)

    ndim = property(lambda self: len(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        rows = np.arange(len(self))[key]  # [n], or a scalar for one row
        return self.read(np.atleast_1d(rows))[0 if np.ndim(rows) == 0 else slice(None)]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[:], dtype)


Rows = np.ndarray | Lazy


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples that are used for one purpose. With `data.stream` the arrays are `Lazy`."""

    # uint8 [N, H, W, C] or [N, D]; for kind 'real' the source's type until all arithmetic is done,
    # then float32; for counts and tokens [N, D] of the smallest of uint8, uint16 and int32 that
    # holds them; for 'columns' [N, D] as 'real', NaN where a cell is missing
    x: Rows
    labels: Rows | None = None  # int32 [N]
    factors: Rows | None = None  # int32 [N, F]
    ids: Rows | None = None  # [N] text: what the rows of a table are called
    context: np.ndarray | None = None  # [N, C]: what a conditional model is given, then float32
    # float64 [N, D]: what cells of x held that were hidden on purpose, in the columns' own numbers;
    # NaN of all others
    hidden: np.ndarray | None = None
    binarized: bool = False  # x holds 0 and 1 although the data set is grey

    def __len__(self) -> int:
        return len(self.x)

    def arrays(self) -> dict[str, np.ndarray]:
        """What a training step is given of each example: the raw x, and its context if any."""
        given = {"x": self.x} | ({} if self.context is None else {"context": self.context})
        return {name: np.asarray(array) for name, array in given.items()}

    def map(self, function: Callable[[Any], Any]) -> "Split":
        """Applies `function` to every array that is there."""
        columns = {
            "x": self.x, "labels": self.labels, "factors": self.factors, "ids": self.ids,
            "context": self.context, "hidden": self.hidden,
        }  # fmt: skip
        changed = {key: function(value) for key, value in columns.items() if value is not None}
        return dataclasses.replace(self, **changed)

    def known(self, name: str) -> Rows:
        """Its "labels" or "factors", where they are known to be there."""
        found = self.labels if name == "labels" else self.factors
        if found is None:
            raise ValueError(f"there are no {name}")
        return found

    def take(self, rows: np.ndarray) -> "Split":
        """Examples of these numbers [n]."""
        return self.map(lambda array: array[rows])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A loaded data set; `splits` has 'train', 'validation' and 'test'."""

    name: str
    version: str
    # 'binary': 0 and 1; 'grey': 0..levels-1, in any number of channels; 'real'; 'counts': whole
    # numbers from 0 on; 'tokens': ids 0..levels-1, which have no order; 'columns': of several kinds
    kind: str
    levels: int  # 2 for binary, 0 for real and counts
    splits: dict[str, Split]
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()  # names of a table's columns
    column_kinds: tuple[Column, ...] = ()  # of kind 'columns': what each is
    label: str = ""  # name of the column that its labels are from
    classes: tuple[str, ...] = ()  # names of the labels 0, 1, ..., where they were text
    identifier: str = ""  # name of the column that its ids are from
    categories: tuple[str, ...] = ()  # names of columns of text, now a column a value
    vocabulary: tuple[str, ...] = ()  # what token ids stand for
    never_first: tuple[int, ...] = ()  # ids that no sequence begins with, whatever the examples
    covariates: tuple[str, ...] = ()  # names of the context's numbers, of `data.covariates`
    context_scaler: tuple[np.ndarray, np.ndarray] | None = None  # as `scaler`, of the context: [C]
    scaler: tuple[np.ndarray, np.ndarray] | None = None  # what was taken off x, and divided by: [D]
    contents: str = ""  # checksum of what was read (`vae.data.identity`); "": made by the code

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: (H, W, C) or (D,)."""
        return tuple(next(iter(self.splits.values())).x.shape[1:])

    @property
    def context_size(self) -> int:
        """Numbers of an example's context; 0 where there is none."""
        context = self.splits["train"].context
        return 0 if context is None else context.shape[1]

    @property
    def binarized(self) -> str:
        """When grey levels become zeros and ones: "once", "at every step"; "" where never."""
        if self.splits["train"].binarized:
            return "once"
        return "at every step" if self.splits["validation"].binarized else ""

    @property
    def grey_levels(self) -> int:
        """Levels of brightness, which the model sees in [0, 1]; 0 where it sees x as it is."""
        return self.levels if self.kind in ("binary", "grey") else 0


def describe(dataset: Dataset) -> str:
    """One line: name, version, split sizes, shape, values, and where a table's labels are from."""
    sizes = ", ".join(f"{name} {len(split):,}" for name, split in dataset.splits.items())
    shape = "x".join(map(str, dataset.shape))
    values = {
        "binary": "0 and 1",
        "grey": f"0..{dataset.levels - 1}",
        "real": "real numbers",
        "counts": "counts",
        "tokens": f"tokens 0..{dataset.levels - 1}",
        "columns": "columns of several kinds",
    }[dataset.kind]
    labels = ""
    if dataset.columns:
        labels = f"; labels: column {dataset.label!r}" if dataset.label else "; no labels"
    if dataset.classes:
        labels += f" ({_shortened(dataset.classes)})"
    binarized = f", binarised {dataset.binarized}" if dataset.binarized else ""
    return f"{dataset.name} {dataset.version}: {sizes}; {shape}, {values}{binarized}{labels}"


def _shortened(names: tuple[str, ...], most: int = 5) -> str:
    more = f", ... {len(names):,} in all" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"

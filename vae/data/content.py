"""What a reader makes of a file: arrays by name, and what else it says."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae.data import frames
from vae.data.dataset import Lazy
from vae.data.misfits import Misfits


@dataclasses.dataclass(frozen=True)
class Content:
    """The arrays of a file by name, as `vae.data.layout` takes them, and what else it says."""

    arrays: Mapping[str, Any]
    label: str = ""  # name of the column that labels are from
    classes: tuple[str, ...] = ()  # names of the labels 0, 1, ..., where the file has them
    ids: np.ndarray | None = None  # [N] text, of the training examples
    identifier: str = ""  # name of the column that they are from
    categories: tuple[str, ...] = ()  # names of columns of text among the features
    missing: int = 0  # cells of a table without anything in them
    counts: bool = False  # whole numbers are counts, however small
    table: frames.Table | None = None  # that x is of
    covariates: tuple[str, ...] = ()  # names of the context's numbers, made of columns
    kept: tuple[int, ...] = ()  # the columns of it that x is of
    plain: Misfits = dataclasses.field(default_factory=Misfits)  # what is wrong with x itself


def rows(matrix: Any) -> Lazy:
    """A sparse matrix of SciPy [N, D], whose rows are filled up as they are indexed."""
    by_row = matrix.tocsr()
    return Lazy(lambda some: by_row[some].toarray(), by_row.shape, by_row.dtype)


def of_table(table: frames.Table, label: str, identifier: str, misfits: Misfits) -> Content:
    """The features, labels and ids of a table."""
    plain = Misfits()
    found = frames.features(table, label, identifier, misfits, plain)
    arrays = {"x": found.x, "columns": np.array(found.columns, dtype=str)}
    arrays |= {} if found.labels is None else {"labels": found.labels}
    return Content(
        arrays, found.label, ids=found.ids, identifier=found.identifier,
        categories=found.categories, missing=found.missing, table=found.table, kept=found.kept,
        plain=plain,
    )  # fmt: skip

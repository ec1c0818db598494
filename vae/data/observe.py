"""From raw examples to the likelihood's own space: {0, 1}, [0, 1], or the numbers as they are."""

from typing import TypeVar

import jax
import numpy as np

from vae.data import binarization
from vae.data.dataset import Dataset, Lazy
from vae.data.table import SEED
from vae.errors import UserError

Array = TypeVar("Array", jax.Array, np.ndarray)


def observed_kind(kind: str, binarize: str) -> str:
    """The kind that the model sees: 'binary' where `data.binarization` makes zeros and ones of data
    of `kind`, else `kind`."""
    return "binary" if kind == "grey" and binarize != "none" else kind


def scale(raw: Array, levels: int) -> Array:
    """Raw values as float32: brightness in [0, 1] where there are levels, else as they are."""
    return binarization.scale(raw, levels) if levels else raw.astype(np.float32)


def observed(dataset: Dataset, split: str, kind: str | None = None) -> Lazy:
    """A split as the model sees it, float32 [N, *shape], converted when it is indexed.

    Args:
      kind: what the model sees. Training binarises grey examples seen as "binary" at every step;
        here they are binarised once, by a fixed seed.
    """
    part = dataset.splits[split]
    levels = 2 if part.binarized else dataset.grey_levels

    def read(rows: np.ndarray) -> np.ndarray:
        raw = part.x[rows]
        if kind == "binary" and dataset.kind == "grey" and not part.binarized:
            return binarization.static(raw, levels, SEED, rows).astype(np.float32)
        return scale(raw, levels)

    return Lazy(read, part.x.shape, np.float32)


def training_mean(dataset: Dataset, most: int = 20_000) -> np.ndarray:
    """Mean of the training examples (the first `most`) in the likelihood's space: [*shape].

    For dynamically binarised data it is the probability of a 1.
    """
    raw = np.asarray(dataset.splits["train"].x[:most])
    if dataset.kind == "columns":
        there = ~np.isnan(raw)
        return np.where(there, raw, 0.0).sum(0, dtype=np.float64) / np.maximum(there.sum(0), 1)
    mean = raw.mean(0, dtype=np.float64)
    levels = 2 if dataset.splits["train"].binarized else dataset.grey_levels
    return mean / (levels - 1) if levels else mean


def training_libraries(dataset: Dataset) -> tuple[float, float]:
    """Mean and standard deviation of the logs of the training examples' sums, of those with any
    count: the prior of scVI's library size.

    Raises:
      UserError: there is no count at all.
    """
    x = dataset.splits["train"].x
    parts = (x[first : first + 4096] for first in range(0, len(x), 4096))
    sums = np.concatenate([part.sum(1, dtype=np.float64) for part in parts])
    if not (sums > 0).any():
        raise UserError(f"{dataset.name} holds no count above 0: set model.library=''")
    logs = np.log(sums[sums > 0])
    return float(logs.mean()), float(logs.std())

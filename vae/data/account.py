"""What was done to the data of a run, in a sentence."""

from pathlib import Path
from typing import Any

import numpy as np

from vae.data import mixed
from vae.data.dataset import Dataset

_COLOURS = {1: "grey", 3: "RGB"}


def account(data: Any, likelihood: str, dataset: Dataset) -> list[str]:
    """Short sentences: what the examples are, and what was made of them.

    Args:
      data: has the keys of `config.data`.
      likelihood: `config.model.likelihood`.
      dataset: as it is trained on.
    """
    name = Path(data.path).name if data.name == "files" else dataset.name
    count = sum(len(split) for split in dataset.splits.values())
    images = len(dataset.shape) > 1
    parts = _images(dataset) if images else _vectors(dataset)
    parts[-1] += f" ({likelihood})" if images or not dataset.columns else ""
    if dataset.identifier:
        parts.append(f"id column {dataset.identifier!r} kept")
    classes = _classes(dataset)
    if classes:
        by = f"label {dataset.label!r}" if dataset.label else "labels"
        parts.append(f"{by} ({classes:,} class{'es' * (classes > 1)})")
    if not images and dataset.columns:
        parts.append(f"likelihood {likelihood}")
    return [f"{name}: {count:,} {', '.join(parts)}"]


def _images(dataset: Dataset) -> list[str]:
    height, width, channels = dataset.shape
    colours = _COLOURS.get(channels, f"{channels}-channel")
    how = {
        "grey": "as grey levels" if channels == 1 else "as levels of each colour",
        "binary": "of zeros and ones",
        "real": "of real numbers",
    }[dataset.kind]
    if dataset.binarized:
        how = f"made zeros and ones {dataset.binarized}"
    return [f"{colours} images of {height}x{width}", how]


def _vectors(dataset: Dataset) -> list[str]:
    if dataset.kind == "columns":
        return _columns(dataset)
    how = {
        "grey": "as grey levels",
        "binary": "of zeros and ones",
        "real": "as they are",
        "counts": "as counts",
        "tokens": "as tokens",
    }[dataset.kind]
    if dataset.scaler is not None:
        how = "standardised"
    if dataset.binarized:
        how = f"made zeros and ones {dataset.binarized}"
    size = dataset.shape[0]
    if not dataset.columns:
        return [f"rows of {size:,} numbers {how}"]
    made = sum(name.partition("=")[0] in dataset.categories for name in dataset.columns)
    parts = [f"rows, {_counted(size - made, 'column')} {how}"] if size > made else ["rows"]
    if dataset.categories:
        texts = _counted(len(dataset.categories), "text column")
        parts.append(f"{texts} as {_counted(made, 'category')}")
    return parts


def _columns(dataset: Dataset) -> list[str]:
    """Kinds of columns, and how much is missing."""
    parts = [
        f"{number:,} {kind}" for kind, number in mixed.counted(dataset.column_kinds)
    ]
    parts[-1] += " columns" if len(dataset.column_kinds) > 1 else " column"
    missing = sum(int(np.isnan(split.x[:]).sum()) for split in dataset.splits.values())
    cells = sum(len(split) for split in dataset.splits.values()) * dataset.shape[0]
    return ["rows", *parts, *[f"{missing / cells:.2g} of cells missing"] * (missing > 0)]


def _counted(number: int, what: str) -> str:
    many = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number:,} {what if number == 1 else many}"


def _classes(dataset: Dataset) -> int:
    """How many classes labels are of; 0 where there are none."""
    found = [np.unique(split.labels[:]) for split in dataset.splits.values()
             if split.labels is not None]  # fmt: skip
    return len(dataset.classes) or (len(np.unique(np.concatenate(found))) if found else 0)

"""From `config.data` to a data set: source, splits, size, binarisation."""

import dataclasses
import functools
from typing import Any

import numpy as np

from vae.choices import choose
from vae.data import (
    binarization,
    bundled,
    context,
    files,
    identity,
    images,
    precision,
    records,
    sources,
    sprites,
    subsets,
)
from vae.data.dataset import Dataset, Lazy, Rows
from vae.data.splits import partition
from vae.data.table import SEED, Row, row
from vae.errors import UserError


def load(data: Any) -> Dataset:
    """Loads the data set that `config.data` names.

    Every run sees the same splits and the same binarised test set: they depend on the table and on
    these keys alone, never on the run's seed.

    Args:
      data: has the keys of `config.data`.

    Returns:
      Three disjoint splits. With `stream` their arrays are read when indexed (`Lazy`).

    Raises:
      UserError: unknown name, data not prepared or damaged, sizes that do not fit.
    """
    entry = row(data.name)
    choose(dict.fromkeys(("none", "static", "dynamic")), data.binarization, "data.binarization")
    if data.image_size < 0:
        raise UserError(
            f"data.image_size={data.image_size}: give 0 for the size as it is, or a side"
        )
    if data.kind and entry.source != "files":
        raise UserError(f"data.kind={data.kind!r} is for data.name=files: set data.kind=''")
    if data.label and entry.source != "files":
        raise UserError(f"data.label={data.label!r} is for data.name=files: set data.label=''")
    if data.stream and data.context:
        raise UserError("data.stream reads x alone: set data.stream=False, or data.context=''")
    whole = _source(entry, data)
    whole = dataclasses.replace(whole, contents=identity.contents(entry.source, data.path, whole))
    sizes = {split: len(examples) for split, examples in whole.splits.items()}
    tenth = max(1, sizes["train"] // 10)
    parts = partition(
        sizes, entry.validation or tenth, entry.test or tenth, entry.shuffle, data.validation_size,
        data.size, 0 if data.per_class else data.split,
    )  # fmt: skip
    if data.image_size and len(whole.shape) == 1:
        raise UserError(f"data.image_size={data.image_size}: {data.name} holds vectors, not images")
    binarize = _binarized_splits(data, whole)
    splits = {}
    for name, (source, rows) in parts.items():
        split = whole.splits[source]
        if data.image_size and split.x.shape[1:3] != (data.image_size,) * 2:
            split = dataclasses.replace(split, x=_resized(split.x, data.image_size, whole.levels))
        if name in binarize:
            x = _binarized(split.x, whole.levels, source)
            split = dataclasses.replace(split, x=x, binarized=True)
        splits[name] = split.map(functools.partial(_take, rows=rows, stream=data.stream))
    whole = dataclasses.replace(whole, splits=splits)
    if binarize == set(splits):
        whole = dataclasses.replace(whole, kind="binary", levels=2)
    whole = subsets.changed(whole, data)
    if not data.context:  # what a file has beside x is for those who ask for it
        splits = {k: dataclasses.replace(s, context=None) for k, s in whole.splits.items()}
        return dataclasses.replace(whole, splits=splits)
    return context.attach(whole, data.context, data.labelled, data.labelled_share)


def _source(entry: Row, data: Any) -> Dataset:
    """Returns the data set with the splits of its source."""
    match entry.source:
        case "bundled":
            return bundled.load(data.name, entry)
        case "rendered":
            return sprites.load(data.name, entry)
        case "files":
            return files.load(data.path, data.image_size, data.kind, data.label)
        case "arrays":
            return sources.load(data.name, entry, data.dir)
        case _:
            return records.load(data.name, entry, data.dir, data.image_size, data.stream)


def _binarized_splits(data: Any, whole: Dataset) -> set[str]:
    """Returns the splits to binarise now; with 'dynamic', training does the rest at every step."""
    if data.binarization == "none" or whole.kind == "binary":
        return set()
    if whole.kind != "grey":
        holds = "real numbers" if whole.kind == "real" else whole.kind
        raise UserError(
            f"data.binarization={data.binarization!r}: {data.name} holds {holds}, which have "
            "no brightness to binarise; set data.binarization=none"
        )
    later = {"train"} if data.binarization == "dynamic" else set()
    return {"train", "validation", "test"} - later


def _binarized(x: Rows, levels: int, source: str) -> Lazy:
    """The noise depends on the split and row of the source: the same whatever is drawn from it."""
    seed = [SEED, *source.encode()]
    return Lazy(lambda rows: binarization.static(x[rows], levels, seed, rows), x.shape, np.uint8)


def _resized(x: Rows, size: int, levels: int) -> Lazy:
    def read(rows: np.ndarray) -> np.ndarray:
        return np.stack([images.fit(image, size, levels) for image in x[rows]])

    x = x if levels else precision.as_float32(x)
    return Lazy(read, (len(x), size, size, x.shape[-1]), x.dtype)


def _take(array: Rows, rows: np.ndarray, stream: bool) -> Rows:
    """Returns those rows: read now, or when they are indexed."""
    if not stream:
        return np.asarray(array[rows])
    return Lazy(lambda some: array[rows[some]], (len(rows), *array.shape[1:]), array.dtype)

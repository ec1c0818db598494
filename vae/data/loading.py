"""From `config.data` to a data set: source, splits, size, binarisation."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from vae import parts
from vae.choices import choose
from vae.data import (
    binarization,
    bundled,
    context,
    files,
    fitting,
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
from vae.keys import AUTO


@dataclasses.dataclass(frozen=True)
class Opened:
    """A source, of which as much is known as a config needs that leaves keys to the data."""

    facts: fitting.Facts
    dataset: Callable[[str], Dataset]  # from `data.kind` to the splits of the source
    found: files.Found | None = None  # of the user's own


def opened(data: Any) -> Opened:
    """Looks at the data that `config.data` names: the user's own are read, all others are known.

    Raises:
      UserError: unknown name, nothing there, or keys that it does not have.
    """
    entry = _row(data)
    if data.image_size < 0:
        raise UserError(
            f"data.image_size={data.image_size}: give 0 for the size as it is, or a side"
        )
    if entry.source != "files":
        tabular = entry.source == "arrays" and data.kind in ("", "columns")
        of_files = () if tabular else ("kind", "columns")
        for key in (*of_files, "label", "covariates"):
            if data[key]:
                raise UserError(
                    f"data.{key}={data[key]!r} is for data.name=files: set "
                    f"data.{key}={type(data[key])()!r}"
                )
        if data.id not in (AUTO, "none"):
            raise UserError(f"data.id={data.id!r} is for data.name=files: set data.id=auto")
        facts = fitting.Facts(entry.kind, entry.shape)
        return Opened(facts, lambda kind: _source(entry, data, kind))
    if parts.is_outside(data.name):
        made = parts.outside(data.name, "data.name")(data)
        found = files.of_arrays(made, data.name, data.columns)
    else:
        found = files.look(
            data.path, data.image_size, data.kind, data.label, data.id, data.columns,
            tuple(data.covariates),
        )  # fmt: skip
    return Opened(found.facts, found.dataset, found)


def load(data: Any, source: Opened | None = None) -> Dataset:
    """Loads the data set that `config.data` names.

    Every run sees the same splits and the same binarised test set: they depend on the table and on
    these keys alone, never on the run's seed.

    Args:
      data: has the keys of `config.data`; what a whole config leaves to the data `vae.automatic`
        settles: here, numbers are then as they are.
      source: what `opened` gave for them, not to look at the data again.

    Returns:
      Three disjoint splits. With `stream` their arrays are read when indexed (`Lazy`).

    Raises:
      UserError: unknown name, data not prepared or damaged, sizes that do not fit.
    """
    ways = ("none", "static", "dynamic", AUTO)
    choose(dict.fromkeys(ways), data.binarization, "data.binarization")
    if data.covariates and data.context:
        raise UserError("data.covariates are the context: set data.context='', or covariates=()")
    given = "covariates" if data.covariates else data.context
    if data.stream and given:
        raise UserError(
            "data.stream reads x alone: set data.stream=False, or data.context='' and "
            "data.covariates=()"
        )
    source = source or opened(data)
    if AUTO in (data.binarization, data.standardize, data.id):
        values = fitting.settled(data, source.facts) | {"kind": data.kind}
        values |= {"standardize": False} if data.standardize == AUTO else {}
        data = ConfigDict({**data.to_dict(), **values})
    if data.columns and data.kind != "columns":
        raise UserError(
            f"data.columns={data.columns!r} is for model.likelihood=columns: set it, or "
            "data.columns=''"
        )
    whole = source.dataset(data.kind)
    whole = dataclasses.replace(whole, contents=_contents(data, whole))
    divisions = divided(data, {split: len(examples) for split, examples in whole.splits.items()})
    if data.image_size and len(whole.shape) == 1:
        raise UserError(f"data.image_size={data.image_size}: {data.name} holds vectors, not images")
    binarize = _binarized_splits(data, whole)
    splits = {}
    for name, (of, rows) in divisions.items():
        split = whole.splits[of]
        if data.image_size and split.x.shape[1:3] != (data.image_size,) * 2:
            split = dataclasses.replace(split, x=_resized(split.x, data.image_size, whole.levels))
        if data.bits:
            split = dataclasses.replace(split, x=_coarse(split.x, _merged(data, whole)))
        if name in binarize:
            x = _binarized(split.x, whole.levels, of)
            split = dataclasses.replace(split, x=x, binarized=True)
        splits[name] = split.map(functools.partial(_take, rows=rows, stream=data.stream))
    levels = 2**data.bits if data.bits else whole.levels
    whole = dataclasses.replace(whole, splits=splits, levels=levels)
    if binarize == set(splits):
        whole = dataclasses.replace(whole, kind="binary", levels=2)
    whole = subsets.changed(whole, data)
    if not given:  # what a file has beside x is for those who ask for it
        splits = {k: dataclasses.replace(s, context=None) for k, s in whole.splits.items()}
        return dataclasses.replace(whole, splits=splits)
    return context.attach(
        whole, given, data.labelled, data.labelled_share, tuple(data.covariates)
    )


def is_own(name: str) -> bool:
    """Whether `data.name` is of the user's own data."""
    return name == "files" or parts.is_outside(name)


def _row(data: Any) -> Row:
    """The row of the table; one made here for what TFDS has beside it, or a program makes."""
    if parts.is_outside(data.name):
        return row("files")
    return records.other(data.name, data.dir) if records.is_other(data.name) else row(data.name)


def divided(data: Any, sizes: dict[str, int]) -> dict[str, tuple[str, np.ndarray]]:
    """For each split a split of the source and its rows (`vae.data.splits`).

    Args:
      sizes: examples in each split of the source.
    """
    entry, tenth = _row(data), max(1, sizes["train"] // 10)
    return partition(
        sizes, entry.validation or tenth, entry.test or tenth, entry.shuffle, data.validation_size,
        data.size, 0 if data.per_class else data.split,
    )  # fmt: skip


def _contents(data: Any, whole: Dataset) -> str:
    source = "" if parts.is_outside(data.name) else _row(data).source
    return identity.contents(source, data.path, whole)


def _source(entry: Row, data: Any, kind: str) -> Dataset:
    """Returns the data set with the splits of its source."""
    match entry.source:
        case "bundled":
            return bundled.load(data.name, entry)
        case "rendered":
            return sprites.load(data.name, entry)
        case "arrays":
            return sources.load(data.name, entry, data.dir, kind, data.columns)
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


def _merged(data: Any, whole: Dataset) -> int:
    """How many levels become one of `data.bits`."""
    each, rest = divmod(whole.levels, 2**data.bits)
    if data.binarization not in ("none", AUTO) or whole.kind != "grey" or rest:
        most = f"{whole.levels} levels" if whole.kind == "grey" else f"{whole.kind} values"
        raise UserError(
            f"data.bits={data.bits}: it is for images that are not binarised, of a multiple of "
            f"{2**data.bits} levels, and {data.name} has {most}, data.binarization="
            f"{data.binarization}; set data.bits=0"
        )
    return each


def _coarse(x: Rows, merged: int) -> Lazy:
    """`merged` levels as one, from the darkest on."""
    return Lazy(lambda rows: x[rows] // np.uint8(merged), x.shape, np.uint8)


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

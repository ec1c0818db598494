"""A look at the user's own data before training: what they are, what of a config they decide, and
all that is wrong with them. Nothing here needs JAX."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from vae import automatic
from vae import config as configs
from vae.columns import cells
from vae.data import files, labels, loading
from vae.data.account import account
from vae.data.fitting import Facts
from vae.data.misfits import Misfits
from vae.keys import LEFT

SHOWN = 12  # columns, or classes
MOST = 100  # columns of several kinds
_CHUNK = 4096  # examples at a time


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen: in words, and what keeps it from being trained on."""

    text: str
    misfits: Misfits


def first_look(path: str, label: str = "", kind: str = "", columns: str = "") -> Look:
    """Looks at every number of a file or folder.

    Args:
      path, label, kind, columns: `config.data.path`, `.label`, `.kind` and `.columns`.

    Raises:
      UserError: nothing there, or nothing that can be read at all.
    """
    config = configs.default()
    config.data.name, config.data.path = "files", path
    config.data.label, config.data.kind, config.data.columns = label, kind, columns
    config, source = automatic.opened(config)
    found: Any = source.found
    misfits = found.wrong(config.data.kind)
    lines = list(_seen(found, config.data.kind))
    if found.facts.shape or config.data.kind == "columns":
        with misfits.noted():
            lines += _divided(config.data, found)
        lines += ["it would be trained with", *map(_line, _keys(config))]
    if not misfits:
        with misfits.noted():
            dataset = loading.load(config.data, source)
            lines += ["that is"]
            lines += map(_line, account(config.data, config.model.likelihood, dataset))
    return Look("\n".join([f"{path}: {found.what}", *lines]), misfits)


def _line(text: str) -> str:
    return f"  {text}"


def _keys(config: Any) -> Iterator[str]:
    """The keys that the data decided, as flags."""
    found = dict(configs.flatten(config))
    said = (f"data.{name}" for name in ("label", "columns"))
    for key in (*LEFT, *said, "train.batch_size"):
        if found[key] != "":
            yield f"--config.{key}={found[key]}"


def _seen(found: files.Found, seen_as: str) -> Iterator[str]:
    """Shapes, types and ranges; labels and ids; what is missing, constant or there twice."""
    facts = found.facts
    for split, (x, given, context) in found.arrays.items():
        beside = f", context [{', '.join(map(str, np.shape(context)))}]" * (context is not None)
        yield f"  {split}: [{', '.join(map(str, x.shape))}] {x.dtype}{beside}"
        yield from _classes(found, split, given)
    if seen_as == "columns" and not found.misfits:
        yield from _of_kinds(found)
        return
    if not facts.shape:
        return
    kind = facts.kind or "whole numbers"
    if kind == "grey" and len(facts.shape) == 3 and facts.shape[-1] > 1:
        kind = "levels of each colour"
    fitted = f", taken for {facts.fitted}" * (facts.fitted != facts.kind)
    yield f"  {kind} from {facts.low:g} to {facts.high:g}{fitted}"
    yield f"  missing: {found.content.missing + facts.missing or 'none'}"
    if found.content.identifier:
        yield f"  ids: column {found.content.identifier!r}"
    for name in found.content.categories:
        yield f"  text: column {name!r}, a column of zeros and ones for each value"
    if not found.wrong(seen_as):
        x = found.arrays["train"][0]
        yield f"  the same as one before: {_twice(x) or 'none'}"
        yield from _columns(x, found.columns, facts)


def _of_kinds(found: files.Found) -> Iterator[str]:
    """What each column is taken for."""
    read = found.mixed
    missing = int(read.missing.sum())
    yield f"  missing: {missing or 'none'}"
    if found.content.identifier:
        yield f"  ids: column {found.content.identifier!r}"
    yield f"  the same as one before: {_twice(read.x) or 'none'}"
    for name, column, values in list(zip(read.names, read.columns, read.x.T, strict=True))[:MOST]:
        given = values[~np.isnan(values)]
        text = f"{len(column.levels):,} levels: {', '.join(map(_level, column.levels[:SHOWN]))}"
        text += ", ..." * (len(column.levels) > SHOWN)
        if len(column.levels) == 1:
            text = f"{_level(column.levels[0])} everywhere"
        if column.date:
            low, high = cells(np.array([given.min(), given.max()]), column)
            text = f"dates from {low} to {high}"
        elif not column.levels:
            text = f"{given.min():.5g} to {given.max():.5g}, mean {given.mean():.5g}"
        count = len(values) - len(given)
        yield f"    {name}: {column.kind}, {text}" + f", {count:,} missing" * (count > 0)
    if len(read.names) > MOST:
        yield f"    ... {len(read.names):,} columns in all"


def _level(level: str | float) -> str:
    return level if isinstance(level, str) else f"{level:g}"


def _classes(found: files.Found, split: str, given: Any) -> Iterator[str]:
    """How many examples each class of a split has."""
    if given is None or found.misfits:
        return
    numbers, names = labels.numbered({split: given}, found.labels_at)
    values, counts = np.unique(np.asarray(numbers[split]), return_counts=True)
    called = [
        (found.content.classes or names)[value] if found.content.classes or names else str(value)
        for value in values
    ]
    pairs = [f"{name} {count:,}" for name, count in zip(called, counts, strict=True)]
    more = f", ... {len(pairs):,} in all" * (len(pairs) > SHOWN)
    of = f" of column {found.content.label!r}" if found.content.label else ""
    yield f"  labels{of}: {', '.join(pairs[:SHOWN])}{more}"


def _columns(x: Any, names: tuple[str, ...], facts: Facts) -> Iterator[str]:
    """Columns that are the same everywhere, and the ranges of the first."""
    if not facts.vectors:
        return
    low, high = np.full(x.shape[1], np.inf), np.full(x.shape[1], -np.inf)
    total = np.zeros(x.shape[1])
    for start in range(0, len(x), _CHUNK):
        part = np.asarray(x[start : start + _CHUNK], np.float64)
        low, high = np.minimum(low, part.min(0)), np.maximum(high, part.max(0))
        total = total + part.sum(0)
    called = names or tuple(map(str, range(x.shape[1])))
    constant = [name for name, same in zip(called, low == high, strict=True) if same]
    more = f", ... {len(constant):,} in all" * (len(constant) > SHOWN)
    yield f"  constant columns: {', '.join(constant[:SHOWN]) or 'none'}{more}"
    mean = total / len(x)
    for number, name in enumerate(called[:SHOWN]):
        yield f"    {name}: {low[number]:.5g} to {high[number]:.5g}, mean {mean[number]:.5g}"
    if len(called) > SHOWN:
        yield f"    ... {len(called):,} columns in all"


def _twice(x: Any) -> int:
    """Examples that are the same as one before."""
    seen = set()
    for start in range(0, len(x), _CHUNK):
        seen |= {hash(row.tobytes()) for row in np.asarray(x[start : start + _CHUNK])}
    return len(x) - len(seen)


def _divided(data: Any, found: files.Found) -> list[str]:
    """The splits that would be made."""
    parts = loading.divided(data, {split: len(x) for split, (x, *_) in found.arrays.items()})
    sizes = ", ".join(f"{name} {len(rows):,}" for name, (_, rows) in parts.items())
    return [f"  splits: {sizes}"]

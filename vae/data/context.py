"""What a conditional model is given of each example, as numbers: `Split.context`."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vae.data import covariates as beside
from vae.data import precision
from vae.data.dataset import Dataset, Rows, Split
from vae.data.table import SEED
from vae.errors import UserError, needed


def attach(
    dataset: Dataset, source: str, labelled: int = 0, share: float = 0.1,
    covariates: Sequence[str] = (),
) -> Dataset:  # fmt: skip
    """The data set with a context of each example, float32 [N, C].

    Args:
      source: "labels" or "factors", one-hot; "array", the user's own `context` as it is;
        "scaled", the same standardised by the training set; or "covariates", of which numbers are.
      labelled: if not 0, the training set becomes all its examples without context (zeros), plus
        this many with it: a fixed draw, as even over the classes as can be, repeated so that it is
        `share` of the whole.
      covariates: `config.data.covariates`.

    Raises:
      UserError: the data have no such thing, or not so many of it.
    """
    if labelled and source != "labels":
        raise UserError(f"data.labelled={labelled} is of labels: set data.context=labels")
    splits, scaler = dataset.splits, None
    missing = [name for name, split in splits.items() if _column(split, source) is None]
    if missing:
        raise UserError(
            f"data.context={source!r}: the {missing[0]} split of {dataset.name} has none"
        )
    if source == "labels":
        size = _classes(dataset)
        context = {k: one_hot(split.known("labels")[:], size) for k, split in splits.items()}
    elif source == "factors":
        sizes = dataset.factor_sizes
        factors = {name: split.known("factors") for name, split in splits.items()}
        context = {
            name: np.concatenate(
                [one_hot(column, n) for column, n in zip(rows[:].T, sizes, strict=True)], axis=1
            )
            for name, rows in factors.items()
        }
    else:
        own = {name: np.asarray(split.context) for name, split in splits.items()}
        if source == "covariates":
            scaler = beside.scaler(own["train"], dataset.covariates, covariates)
        elif source == "scaled":
            scaler = precision.moments(own["train"])
        context = _single(own, scaler)
    splits = {
        name: dataclasses.replace(split, context=context[name]) for name, split in splits.items()
    }
    if labelled:
        splits["train"] = _partly(splits["train"], labelled, share)
    return dataclasses.replace(dataset, splits=splits, context_scaler=scaler)


def _single(
    context: dict[str, np.ndarray], scaler: tuple[np.ndarray, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """The user's own context as float32, standardised where there is a scaler."""

    def seen(values: np.ndarray) -> np.ndarray:
        return precision.standardize(values, *scaler) if scaler else values.astype(np.float32)

    columns = tuple(f"column {c} of the context" for c in range(context["train"].shape[1]))
    remedy = ": subtract an offset" if scaler else ": set data.context=scaled"
    precision.check(context["train"], seen, columns, remedy)
    return {name: seen(values) for name, values in context.items()}


def _classes(dataset: Dataset) -> int:
    """The number of classes of labels 0, 1, ...

    Raises:
      UserError: the numbers are not those of classes.
    """
    columns = [split.known("labels")[:] for split in dataset.splits.values()]
    labels = np.concatenate(list(map(np.asarray, columns)))
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(labels):
        raise UserError(
            f"data.context='labels': {dataset.name} has labels from {low} to {high} of "
            f"{len(labels):,} examples: number the classes 0, 1, 2, ..."
        )
    return high + 1


def one_hot(values: np.ndarray, size: int) -> np.ndarray:
    """Classes [N], whole numbers below `size`, as ones and zeros [N, size].

    Raises:
      UserError: something else is among them.
    """
    values = np.asarray(values)
    fit = np.zeros(values.shape, bool)
    if values.dtype.kind in "biuf" and values.ndim == 1:
        fit = (values >= 0) & (values < size) & (values == np.floor(values))
    if not fit.all() or values.ndim != 1:
        wrong = (values[~fit] if not fit.all() else values).ravel().tolist()[0]
        raise UserError(f"{wrong!r} is no class: give whole numbers [N] from 0 to {size - 1}")
    return (values[:, None] == np.arange(size)).astype(np.float32)


def _column(split: Split, source: str) -> Rows | None:
    return {"labels": split.labels, "factors": split.factors}.get(source, split.context)


def _partly(train: Split, labelled: int, share: float) -> Split:
    """All examples without context, then the labelled ones with it, as often as it takes."""
    known = needed(train.context, "context")
    labels = known.argmax(1)
    if labelled > len(labels):
        raise UserError(f"data.labelled={labelled}: the training set has {len(labels)} examples")
    order = np.random.Generator(np.random.PCG64(SEED)).permutation(len(labels))
    # The first of every class, then the second of every class, ...
    rank = np.empty(len(labels), np.int64)
    for value in np.unique(labels):
        members = order[labels[order] == value]
        rank[members] = np.arange(len(members))
    chosen = order[np.argsort(rank[order], kind="stable")][:labelled]
    repeats = max(1, round(share / (1.0 - share) * len(labels) / labelled))
    rows = np.concatenate([np.arange(len(labels)), np.tile(chosen, repeats)])
    context = np.concatenate([np.zeros_like(known), np.tile(known[chosen], (repeats, 1))])
    return dataclasses.replace(train.take(rows), context=context)

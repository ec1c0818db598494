"""The changes that a config makes to a loaded data set: fewer training examples, other columns or
classes."""

import dataclasses
from typing import Any

import numpy as np

from vae.data import hiding, likes, mixed, precision
from vae.data.dataset import Dataset
from vae.data.table import SEED
from vae.errors import UserError


def changed(whole: Dataset, data: Any) -> Dataset:
    """The data set as the keys of `config.data` want it.

    Raises:
      UserError: a key asks for what the data do not have.
    """
    if data.per_class:
        whole = few(whole, data.per_class, data.split)
    if data.left_out >= 0:
        whole = without(whole, data.left_out)
    if data.leave_items:
        whole = likes.leave_items(whole, data.split)
    if data.missing:
        whole = hiding.hide(whole, data.missing, data.missingness)
    if whole.kind == "columns":
        return mixed.fitted(whole, data.standardize)
    if not data.standardize:
        return precision.single(whole)
    return precision.standardized(whole, data.standardize == "robust")


def few(whole: Dataset, count: int, number: int) -> Dataset:
    """The data set with `count` training examples of each class, by the draw of that number.

    Raises:
      UserError: the data have no labels, or too few of a class.
    """
    train = whole.splits["train"]
    if train.labels is None:
        raise UserError(f"data.per_class={count}: {whole.name} has no labels; set it to 0")
    labels = np.asarray(train.labels)
    rng = np.random.default_rng([SEED, count, number])
    rows = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < count:
            raise UserError(
                f"data.per_class={count}: {len(members)} training examples are of class {label}"
            )
        rows.append(rng.permutation(members)[:count])
    chosen = np.sort(np.concatenate(rows))
    splits = {**whole.splits, "train": train.take(chosen)}
    return dataclasses.replace(whole, splits=splits)


def without(whole: Dataset, label: int) -> Dataset:
    """The data set without a class, except in the test set; labels say whether an example is of it.

    Raises:
      UserError: the data have no labels, or none is of that class, or all are.
    """
    splits = {}
    for name, split in whole.splits.items():
        if split.labels is None:
            raise UserError(f"data.left_out={label}: {whole.name} has no labels; set it to -1")
        of_it = np.asarray(split.labels) == label
        if of_it.all() or not of_it.any():
            raise UserError(f"data.left_out={label}: {'all' if of_it.all() else 'no'} examples of "
                            f"the {name} split have that label")  # fmt: skip
        rows = np.arange(len(of_it)) if name == "test" else np.flatnonzero(~of_it)
        splits[name] = dataclasses.replace(split.take(rows), labels=of_it[rows].astype(np.int32))
    return dataclasses.replace(whole, splits=splits)

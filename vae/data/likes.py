"""Likes of items, zeros and ones, a row a user: what of them is shown and what is held back."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from vae.data.dataset import Dataset, Split
from vae.errors import UserError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SHARE = 0.2  # of a user's likes that are held back


def hold_back(
    likes: "csr_matrix | np.ndarray", share: float = SHARE, seed: int = 0
) -> "tuple[csr_matrix, csr_matrix]":
    """Likes [U, I] that are shown, and those held back: a random int(share * n) of each user's n,
    as Liang et al. 2018, but at least one.

    Raises:
      UserError: not zeros and ones, or a user has fewer than two likes.
    """
    from scipy.sparse import csr_matrix

    likes = csr_matrix(likes)
    likes.sort_indices()
    counts = np.diff(likes.indptr)
    if likes.nnz and (likes.data != 1).any():
        raise UserError("likes have to be zeros and ones")
    if len(counts) and counts.min() < 2:
        raise UserError(f"user {counts.argmin()} has fewer than 2 likes: none can be held back")
    rng = np.random.default_rng(seed)
    held = np.zeros(likes.nnz, bool)
    for start, count in zip(likes.indptr, counts, strict=False):
        held[start + rng.permutation(count)[: max(1, int(share * count))]] = True
    return _some(likes, ~held), _some(likes, held)


def _some(likes: "csr_matrix", kept: np.ndarray) -> "csr_matrix":
    """The likes whose entries are kept."""
    user = np.repeat(np.arange(likes.shape[0]), np.diff(likes.indptr))[kept]
    entries = (np.ones(len(user), np.float32), (user, likes.indices[kept]))
    return type(likes)(entries, shape=likes.shape)


def leave_items(dataset: Dataset, number: int) -> Dataset:
    """All users in every split: the training set has the likes shown by the draw of that number,
    validation and test have all likes.

    Raises:
      UserError: the data are no likes.
    """
    if len(dataset.shape) != 1 or dataset.kind not in ("counts", "binary"):
        raise UserError(f"data.leave_items is for likes: set it to False for {dataset.name}")
    x = np.concatenate([np.asarray(split.x) for split in dataset.splits.values()])
    shown = hold_back(x, seed=number)[0].toarray().astype(x.dtype)
    splits = {"train": Split(shown), "validation": Split(x), "test": Split(x)}
    return dataclasses.replace(dataset, splits=splits)

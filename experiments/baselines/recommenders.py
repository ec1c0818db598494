"""Recommenders to stand beside: each takes the likes [U, I] of training users, and gives a function
from likes shown [B, I] to scores of all items [B, I]."""

import numpy as np
from scipy.sparse import csr_matrix

from vae.scores.ranking import Score


def popularity(likes: csr_matrix) -> Score:
    """How many like it."""
    count = np.asarray(likes.sum(0), np.float64)
    return lambda shown: np.repeat(count, len(shown), axis=0)


def item_knn(likes: csr_matrix, neighbours: int = 100, shrinkage: float = 10.0) -> Score:
    """Sum of the cosines, shrunk, with the items shown, of each item's nearest (Deshpande & Karypis
    2004)."""
    together = np.asarray((likes.T @ likes).todense(), np.float64)
    length = np.sqrt(np.maximum(np.diag(together), 1e-12))  # some items nobody here likes
    cosine = together / (np.outer(length, length) + shrinkage)
    np.fill_diagonal(cosine, 0.0)
    if neighbours < len(cosine):
        least = np.partition(cosine, -neighbours, axis=0)[-neighbours]
        cosine[cosine < least] = 0.0
    return lambda shown: shown @ cosine


def ease(likes: csr_matrix, weight: float = 200.0) -> Score:
    """The linear autoencoder with a diagonal of zeros, in closed form (Steck 2019, eq. 8)."""
    gram = np.asarray((likes.T @ likes).todense(), np.float64)
    inverse = np.linalg.inv(gram + weight * np.eye(len(gram)))
    b = -inverse / np.diag(inverse)
    np.fill_diagonal(b, 0.0)
    return lambda shown: shown @ b


def factorisation(
    likes: csr_matrix, factors: int = 50, weight: float = 10.0, confidence: float = 10.0,
    sweeps: int = 15, seed: int = 0,
) -> Score:  # fmt: skip
    """Weighted matrix factorisation by alternating least squares (Hu et al. 2008, eq. 4 and 5).

    A like counts 1 + confidence, everything else 1. A new user's factors are the same least squares
    over the items shown.
    """
    items = np.random.default_rng(seed).normal(0.0, 0.1, (likes.shape[1], factors))
    likes_of_items = csr_matrix(likes.T)
    for _ in range(sweeps):
        users = _solve(likes, items, weight, confidence)
        items = _solve(likes_of_items, users, weight, confidence)
    return lambda shown: _solve(csr_matrix(shown), items, weight, confidence) @ items.T


def _solve(likes: csr_matrix, other: np.ndarray, weight: float, confidence: float) -> np.ndarray:
    """Factors of each row, given those of the columns."""
    common = other.T @ other + weight * np.eye(other.shape[1])
    found = np.zeros((likes.shape[0], other.shape[1]))
    for row in range(likes.shape[0]):
        mine = other[likes.indices[likes.indptr[row] : likes.indptr[row + 1]]]
        if len(mine):
            left = common + confidence * mine.T @ mine
            found[row] = np.linalg.solve(left, (1.0 + confidence) * mine.sum(0))
    return found

"""The recommenders that ours stand beside, against what defines them."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from experiments.baselines import recommenders

RNG = np.random.default_rng(0)
LIKES = (RNG.random((60, 8)) < 0.4).astype(float)


def matrix(score):
    return score(np.eye(8))


def test_ease_is_ridge_regression_of_each_item_on_the_others():
    b = matrix(recommenders.ease(csr_matrix(LIKES), weight=5.0))
    assert (np.diag(b) == 0).all()
    for item in range(8):
        others = np.delete(np.arange(8), item)
        x = LIKES[:, others]
        weights = np.linalg.solve(x.T @ x + 5.0 * np.eye(7), x.T @ LIKES[:, item])
        assert b[others, item] == pytest.approx(weights, abs=1e-10)


def test_neighbours_are_by_cosine():
    cosine = matrix(recommenders.item_knn(csr_matrix(LIKES), 100, 0.0))
    a, b = LIKES[:, 2], LIKES[:, 5]
    assert cosine[2, 5] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    assert (np.diag(cosine) == 0).all()
    few = matrix(recommenders.item_knn(csr_matrix(LIKES), 3, 0.0))
    assert ((few > 0).sum(0) == 3).all()


def test_popularity_counts():
    scores = recommenders.popularity(csr_matrix(LIKES))(np.zeros((2, 8)))
    assert (scores == LIKES.sum(0)).all()


def test_factors_are_where_the_weighted_squares_are_least():
    other, weight, confidence = RNG.normal(size=(8, 3)), 2.0, 4.0
    found = recommenders._solve(csr_matrix(LIKES), other, weight, confidence)

    def loss(factors):
        counts = 1.0 + confidence * LIKES
        squares = (counts * np.square(LIKES - factors @ other.T)).sum()
        return squares + weight * np.square(factors).sum()

    least = loss(found)
    for _ in range(5):
        assert loss(found + 1e-3 * RNG.normal(size=found.shape)) > least

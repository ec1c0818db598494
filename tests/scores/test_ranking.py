"""Recall and discounted gain against values worked out by hand, and recommendations of a run."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from vae.errors import UserError
from vae.scores import ranking

SCORES = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])


def test_recall_counts_at_most_k():
    wanted = np.array([[True, False, True, False, True]])
    assert ranking.recall(SCORES, wanted, 1) == [1.0]  # one of min(1, 3)
    assert ranking.recall(SCORES, wanted, 2) == [0.5]
    assert ranking.recall(SCORES, wanted, 3) == pytest.approx([2 / 3])
    assert ranking.recall(SCORES, wanted, 50) == [1.0]


def test_gain_is_discounted_by_rank():
    wanted = np.array([[False, True, False, True, False]])
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    best = 1 / math.log2(2) + 1 / math.log2(3)
    assert ranking.ndcg(SCORES, wanted, 5) == pytest.approx([gain / best])
    assert ranking.ndcg(SCORES, wanted, 2) == pytest.approx([1 / math.log2(3) / best])


def test_the_first_are_in_order_and_ties_in_the_order_of_items():
    scores = np.array([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    assert ranking.first(scores, 3).tolist() == [[1, 2, 3], [0, 1, 2]]


def test_items_shown_are_not_ranked_and_batches_change_nothing():
    rng = np.random.default_rng(0)
    scores = rng.random((30, 40))
    likes = rng.random((30, 40)) < 0.3
    held = likes & (rng.random(likes.shape) < 0.3)
    held[:, 0] = True
    shown = csr_matrix((likes & ~held).astype(float))
    rows = iter([])

    def score(given):
        return scores[next(rows)]

    found = []
    for batch in (7, 30):
        rows = iter([slice(i, i + batch) for i in range(0, 30, batch)])
        found.append(ranking.measure(score, shown, csr_matrix(held.astype(float)), batch))
    for name in found[0]:
        assert (found[0][name] == found[1][name]).all()
    unseen = np.where(shown.toarray() > 0, -1.0, scores)
    best = np.argsort(-unseen, axis=1)[:, :20]
    hits = np.take_along_axis(held, best, axis=1).sum(1)
    assert found[0]["recall_20"] == pytest.approx(hits / np.minimum(20, held.sum(1)))


def test_scores_that_are_no_ranking_are_refused():
    likes = csr_matrix(np.eye(3))
    with pytest.raises(UserError, match="NaN"):
        ranking.measure(lambda shown: shown * np.nan, likes, likes)

"""How well scores of items rank those that a user liked and was not shown (Liang et al. 2018, 4.2).

Likes are zeros and ones, one row per user. A part of each user's likes is shown and left out of the
ranking; the rest is looked for at the top of it.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix

from vae.data.likes import SHARE
from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name

Score = Callable[[np.ndarray], np.ndarray]  # likes shown [B, I] to scores of all items [B, I]
RECALLS = (20, 50)
GAINS = (100,)
RECALL = Kind("recall_{:d}", "Recall@{}", "up")
NDCG = Kind("ndcg_{:d}", "NDCG@{}", "up")
KINDS = {kind[k].name: kind[k] for kind, each in ((RECALL, RECALLS), (NDCG, GAINS)) for k in each}


def measure(
    score: Score, shown: csr_matrix, held: csr_matrix, batch: int = 500
) -> dict[str, np.ndarray]:
    """`recall_20`, `recall_50` and `ndcg_100` of each user [U], in batches of users.

    Args:
      score: what ranks.
      shown, held: [U, I], as `vae.data.likes.hold_back` gives them.
    """
    parts = []
    for start in range(0, shown.shape[0], batch):
        given = shown[start : start + batch].toarray()
        scores = np.array(score(given), np.float64)
        if scores.shape != given.shape or np.isnan(scores).any():
            raise UserError(f"scores of shape {scores.shape}, or NaN, of items {given.shape}")
        scores[given > 0] = -np.inf
        wanted = held[start : start + batch].toarray() > 0
        found = {RECALL[k].name: recall(scores, wanted, k) for k in RECALLS}
        parts.append(found | {NDCG[k].name: ndcg(scores, wanted, k) for k in GAINS})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def recall(scores: np.ndarray, wanted: np.ndarray, k: int) -> np.ndarray:
    """Of the wanted items, the share among the k highest, at most k of them counting: [U].

    Args:
      scores: [U, I]; equal ones are ranked in the order of the items.
      wanted: bool [U, I], one at least of each user.
    """
    hits = np.take_along_axis(wanted, first(scores, k), axis=1).sum(1)
    return hits / np.minimum(k, wanted.sum(1))


def ndcg(scores: np.ndarray, wanted: np.ndarray, k: int) -> np.ndarray:
    """Gain of the k highest, 1 / log2(1 + rank) of each wanted one, over the most there is: [U]."""
    top = first(scores, k)
    worth = 1.0 / np.log2(np.arange(top.shape[1]) + 2.0)
    gain = np.take_along_axis(wanted, top, axis=1) @ worth
    best = np.cumsum(worth)[np.minimum(wanted.sum(1), top.shape[1]) - 1]
    return gain / best


def first(scores: np.ndarray, k: int) -> np.ndarray:
    """The k items of the highest scores, best first: [U, k]."""
    k = min(k, scores.shape[1])
    some = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def metrics(per_user: dict[str, np.ndarray], share: float = SHARE) -> dict[str, Metric]:
    """Means over users, with standard errors, of what `measure` gives."""
    unit = f"users, {share:.0%} of whose likes are held back"
    return by_name(*(
        KINDS[name](values, f"mean of {len(values):,} {unit}") for name, values in per_user.items()
    ))  # fmt: skip

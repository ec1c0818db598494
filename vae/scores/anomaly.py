"""Anomaly scores as plain arrays: a Gaussian's distance, ensembles, thresholds, and how well they
rank anomalies first. A higher score is more of an anomaly."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name
from vae.scores.outliers import auroc

AUPR = Kind("aupr", "Average precision", "up")
PRECISION = Kind("precision_at_n", "Precision at n", "up")
AUPR_OF = Kind("aupr_{}", "Average precision of {}", "up")  # of a score
PRECISION_OF = Kind("precision_at_n_{}", "Precision at n of {}", "up")


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """A Gaussian fitted to vectors of ordinary examples, its covariance shrunk towards a sphere as
    far as their number asks for (Ledoit & Wolf 2004)."""

    mean: np.ndarray  # [D]
    inverse: np.ndarray  # of the covariance [D, D]

    @classmethod
    def fit(cls, vectors: np.ndarray) -> "Gaussian":
        """Fits vectors [N, D]."""
        from sklearn.covariance import LedoitWolf

        found = LedoitWolf().fit(np.asarray(vectors, np.float64))
        return cls(found.location_, found.precision_)

    def distance(self, vectors: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of vectors [N, D]: [N]."""
        away = np.asarray(vectors, np.float64) - self.mean
        return np.sqrt(((away @ self.inverse) * away).sum(1))


def ensemble(
    members: Sequence[Mapping[str, np.ndarray]], ordinary: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The mean over models of each score, standardised by the same model's scores of ordinary
    examples.

    Args:
      members: the scores of the same examples by each model.
      ordinary: those of validation examples by the same models.
    """
    found = {}
    for name in members[0]:
        parts = []
        for scored, usual in zip(members, ordinary, strict=True):
            spread = usual[name].std() or 1.0
            parts.append((scored[name] - usual[name].mean()) / spread)
        found[name] = np.mean(parts, axis=0)
    return found


def threshold(ordinary: np.ndarray, share: float) -> tuple[float, float]:
    """A score that at most a share of ordinary examples exceeds, whatever their distribution.

    It is one of the scores [N] of examples that were not trained on. A new ordinary example has any
    of the N + 1 ranks among them with equal probability (conformal prediction, Vovk et al. 2005).

    Returns:
      The score, and the share it stands for. Where `share` is below 1 / (N + 1), it is the largest
      score, which stands for that.

    Raises:
      UserError: a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise UserError(f"a share of false alarms of {share:g}: give one between 0 and 1")
    ranked = np.sort(np.asarray(ordinary, np.float64))
    above = int(share * (len(ranked) + 1) + 1e-9)  # ranks of N + 1 that are above it
    above = min(max(1, above), len(ranked))
    return float(ranked[-above]), above / (len(ranked) + 1)


def metrics(score: np.ndarray, labels: np.ndarray, name: str = "") -> dict[str, Metric]:
    """How well a score ranks anomalies first.

    Args:
      score: [N]; labels: [N], 1 for an anomaly and 0 otherwise, both at least twice.
      name: of the score, to stand after the metrics' names.

    Returns:
      `auroc` (with DeLong's standard error), `aupr` (average precision) and `precision_at_n`, the
      share of anomalies among the n highest scores, n being the number of anomalies; ties count as
      their mean.
    """
    score, labels = np.asarray(score, np.float64), np.asarray(labels)
    if score.shape != labels.shape or not np.isin(labels, (0, 1)).all():
        raise UserError("scores and labels have to be of the same length, labels 0 or 1")
    count = int(labels.sum())
    over = f"of {len(labels):,} examples, {count:,} anomalies"
    aupr, precision = (AUPR_OF[name], PRECISION_OF[name]) if name else (AUPR, PRECISION)
    return by_name(
        auroc(score[labels == 0], score[labels == 1], name),
        aupr.of(_average_precision(score, labels), unit=over),
        precision.of(_precision_at(score, labels, count), unit=over),
    )


def _average_precision(score: np.ndarray, labels: np.ndarray) -> float:
    """Sum over thresholds of the rise in recall times the precision; equal scores are one step."""
    order = np.argsort(-score, kind="stable")
    score, labels = score[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # of each run of equal scores
    hits = np.cumsum(labels)[last]
    return float(np.diff(hits, prepend=0) @ (hits / (last + 1)) / labels.sum())


def _precision_at(score: np.ndarray, labels: np.ndarray, count: int) -> float:
    cut = np.sort(score)[-count]
    above, equal = score > cut, score == cut
    share = (count - above.sum()) / equal.sum()
    return float((labels[above].sum() + share * labels[equal].sum()) / count)

"""Scores of how far from a model's training data an example is, from arrays of log p(x) in nats.

In all of them a higher score is more of an outlier. The log likelihoods are of any model and bound,
as long as they are of the same ones for both sets.
"""

from collections.abc import Sequence

import numpy as np

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name

AUROC = Kind("auroc", "AUROC", "up")
AUROC_OF = Kind("auroc_{}", "AUROC of {}", "up")  # of a score


def likelihood(log_p: np.ndarray) -> np.ndarray:
    """-log p(x) [N] (Bishop 1994). Smooth or simple examples may score low wherever they come from
    (Nalisnick et al. 2019a)."""
    return -_finite("log_p", log_p)


def likelihood_ratio(log_p: np.ndarray, background: np.ndarray) -> np.ndarray:
    """log p_background(x) - log p(x) [N] (Ren et al. 2019, eq. 4).

    Args:
      background: log p(x) [N] by a background model, such as one trained on perturbed data; or
        minus a compressed length in nats (Serra et al. 2020), as `compressed_nats` gives.
    """
    return _finite("background", background, len(log_p)) - _finite("log_p", log_p)


def waic(log_p: np.ndarray) -> np.ndarray:
    """Var_m[log p_m(x)] - E_m[log p_m(x)] [N] over an ensemble (Choi et al. 2018, eq. 3, negated).

    Args:
      log_p: [M, N], of M models that differ in their seeds; M > 1.
    """
    log_p = _finite("log_p", log_p)
    if log_p.ndim != 2 or len(log_p) < 2:
        raise UserError(f"WAIC takes log p(x) of several models [M, N], not {log_p.shape}")
    return log_p.var(0) - log_p.mean(0)


def typicality(log_p: np.ndarray, training: np.ndarray) -> np.ndarray:
    """|-log p(x) - H| [N] with the entropy H by the training set (Nalisnick et al. 2019b, eq. 5,
    batches of one example).

    Args:
      training: log p(x) of training examples [T].
    """
    return np.abs(_finite("log_p", log_p) - _finite("training", training).mean())


def compressed_nats(x: np.ndarray) -> np.ndarray:
    """Minus the length of each example [N, *shape] compressed by zlib, in nats: [N].

    Numbers from 0 to 1 are first made bytes. It stands in for a background model's log p(x).
    """
    import zlib

    x = np.asarray(x)
    if x.dtype != np.uint8:
        x = np.round(np.clip(x, 0.0, 1.0) * 255.0).astype(np.uint8)
    sizes = np.array([len(zlib.compress(row.tobytes(), 9)) for row in x], np.float64)
    return -8.0 * np.log(2.0) * sizes


def auroc(inside: np.ndarray, outside: np.ndarray, score: str = "") -> Metric:
    """How well a score tells two sets apart: the share of pairs in which the outlier's is higher.

    Args:
      inside, outside: scores [N] and [M].
      score: its name, to be the metric's after `auroc_`.

    Returns:
      `auroc`; its standard error is DeLong's (1988), over examples.
    """
    from scipy.stats import rankdata

    inside, outside = _finite("inside", inside), _finite("outside", outside)
    n, m = len(inside), len(outside)
    if min(n, m) < 2:
        raise UserError(f"AUROC takes at least 2 scores of each kind, not {n} and {m}")
    ranks = rankdata(np.concatenate([inside, outside]))
    below = (ranks[n:] - rankdata(outside)) / n  # of each outlier, the share of inliers below it
    above = 1.0 - (ranks[:n] - rankdata(inside)) / m
    stderr = np.sqrt(below.var(ddof=1) / m + above.var(ddof=1) / n)
    unit = f"share of pairs, {n:,} inside and {m:,} outside"
    return (AUROC_OF[score] if score else AUROC).of(below.mean(), stderr, unit)


def scores(
    inside: np.ndarray,
    outside: np.ndarray,
    training: np.ndarray,
    backgrounds: Sequence[np.ndarray] | None = None,
) -> dict[str, Metric]:
    """The AUROC of every score that the arrays allow.

    Args:
      inside, outside: log p(x) [M, N] and [M, K] of examples like the training data's and of
        others, by M models; with one model they may be [N] and [K]. All but WAIC take the first.
      training: log p(x) [T] of training examples by the first model.
      backgrounds: log p(x) [N] and [K] by a background model.

    Returns:
      Metrics by name: `auroc_` and the score's.
    """
    both = [np.atleast_2d(inside), np.atleast_2d(outside)]
    first = [log_p[0] for log_p in both]
    found = {
        "likelihood": list(map(likelihood, first)),
        "typicality": [typicality(log_p, training) for log_p in first],
    }
    if backgrounds is not None:
        pairs = zip(first, backgrounds, strict=True)
        found["likelihood_ratio"] = [likelihood_ratio(*pair) for pair in pairs]
    if len(both[0]) > 1:
        found["waic"] = list(map(waic, both))
    return by_name(*(auroc(one, other, name) for name, (one, other) in found.items()))


def _finite(name: str, values: np.ndarray, count: int | None = None) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all():
        raise UserError(f"{name} holds values that are not finite: score what a model can explain")
    if count is not None and values.shape != (count,):
        raise UserError(f"{name} has shape {values.shape}: give one value for each of {count}")
    return values

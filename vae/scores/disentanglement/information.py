"""Entropies and mutual information, in nats, of codes in bins: the one place that makes bins."""

import numpy as np

from vae.errors import UserError

BINS = 20
QUANTILE = "quantile"  # BINS bins with as many examples each


def edges(z: np.ndarray, bins: int | str = BINS) -> np.ndarray:
    """Inner edges of the bins of one latent z [N]; the outer bins are open.

    Args:
      bins: number of bins of equal width over z's range, or "quantile": 20 with equal shares.

    Raises:
      UserError: neither a number from 2 up nor "quantile".
    """
    if bins == QUANTILE:
        # Halfway from one value of z to the next: no edge is on a value that many examples have.
        last = np.quantile(z, np.arange(1, BINS) / BINS, method="inverted_cdf")
        values = np.unique(z)
        place = np.unique(np.searchsorted(values, last))
        place = place[place < len(values) - 1]
        return 0.5 * (values[place] + values[place + 1])
    if isinstance(bins, str) or int(bins) != bins or bins < 2:
        raise UserError(f"bins={bins!r} should be a whole number from 2 up, or 'quantile'")
    low, high = z.min(), z.max()
    return low + (high - low) * np.arange(1, int(bins)) / int(bins)


def describe(bins: int | str) -> str:
    """The bins in words, for a unit."""
    return f"{BINS} equal-mass bins" if bins == QUANTILE else f"{bins} equal-width bins"


def binned(z: np.ndarray, bins: int | str = BINS) -> np.ndarray:
    """The bin of each code, [N, L] whole numbers from 0."""
    found = np.zeros(z.shape, np.int64)
    for j, column in enumerate(z.T):
        found[:, j] = np.searchsorted(edges(column, bins), column, side="right")
    return found


def joint(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Joint probabilities [A, B] of two columns of whole numbers from 0, [N] each."""
    size = int(b.max()) + 1
    counts = np.bincount(a * size + b, minlength=(int(a.max()) + 1) * size)
    return counts.reshape(-1, size) / len(a)


def entropy(p: np.ndarray) -> float:
    """H = -sum p log p of probabilities of any shape that sum to 1."""
    p = p[p > 0.0]
    return float(-(p * np.log(p)).sum())


def mutual_information(p: np.ndarray) -> float:
    """I = H(a) + H(b) - H(a, b) of joint probabilities p [A, B]; all three are of the same bins."""
    return max(0.0, entropy(p.sum(1)) + entropy(p.sum(0)) - entropy(p))


def factor_entropies(v: np.ndarray) -> np.ndarray:
    """H(v_k) of every factor of v [N, F], [F]."""
    return np.array([entropy(np.bincount(column) / len(v)) for column in v.T])


def matrix(z: np.ndarray, v: np.ndarray, bins: int | str = BINS) -> np.ndarray:
    """I(z_j; v_k) [L, F] of codes z [N, L] in bins and factors v [N, F].

    The plug-in estimate: of independent columns it is near (B - 1)(K - 1) / (2N), not 0.
    """
    z = binned(z, bins)
    I = [mutual_information(joint(a, b)) for a in z.T for b in v.T]  # noqa: E741
    return np.array(I).reshape(z.shape[1], v.shape[1])


def top_two(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The latents with the largest and the second largest of scores [L, F]: indices [F] each."""
    order = np.argsort(-scores, axis=0, kind="stable")
    return order[0], order[min(1, len(order) - 1)]


def gaps(scores: np.ndarray) -> np.ndarray:
    """Largest less second largest of scores [L, F] over latents, [F]; of one latent, the score."""
    ordered = np.sort(scores, axis=0)
    return ordered[-1] - (ordered[-2] if len(ordered) > 1 else 0.0)

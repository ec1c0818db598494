"""Are samples nearer to the training set than fresh examples are? From distances to the nearest
training example (`neighbours.nearest`) of samples and of held-out examples.

Both depend on the features of those distances: in pixels, blurred samples are near to everything
and look memorised too.
"""

import numpy as np

from vae.errors import UserError

SHARE = 0.01  # of held-out examples that are nearer to the training set than the threshold
LEAST = 20  # samples, and as many held-out examples, of a part of space that is looked at


def memorised(samples: np.ndarray, held_out: np.ndarray, share: float = SHARE) -> np.ndarray:
    """Which samples are nearer to the training set than all but `share` of held-out examples.

    Of fresh examples about `share` are, and fewer where many distances are equal.

    Args:
      samples, held_out: distances to the nearest training example, [M] and [N].

    Returns:
      bool [M].

    Raises:
      UserError: there are too few held-out examples for that quantile.
    """
    least = round(1.0 / share)
    if len(held_out) < least:
        raise UserError(
            f"{len(held_out)} held-out examples are too few for their {share:.0%} quantile: give "
            f"{least} or more"
        )
    return samples < np.quantile(held_out, share)


def data_copying(
    samples: np.ndarray,
    held_out: np.ndarray,
    sample_cells: np.ndarray | None = None,
    held_out_cells: np.ndarray | None = None,
) -> tuple[float, float]:
    """C_T of Meehan et al. 2020, and its standard deviation if nothing is copied.

    In each cell of space it is the z-score of Mann and Whitney's U, positive where samples are
    farther off than held-out examples. The mean over cells is weighted by the held-out examples
    there. Well below 0, samples are copies; well above, they are far from the data. Value over
    standard deviation is a z-score.

    Distances here are to the whole training set, and not to its share of a cell: one search gives
    all of them, and a copy is in the cell of its original.

    Args:
      samples, held_out: distances to the nearest training example, [M] and [N].
      sample_cells, held_out_cells: number of the cell that each is in, [M] and [N]; None: one.

    Raises:
      UserError: no cell has LEAST of both.
    """
    if sample_cells is None or held_out_cells is None:
        sample_cells, held_out_cells = np.zeros(len(samples)), np.zeros(len(held_out))
    scores, counts = [], []
    for cell in np.unique(held_out_cells):
        ours, theirs = samples[sample_cells == cell], held_out[held_out_cells == cell]
        if min(len(ours), len(theirs)) >= LEAST:
            scores.append(rank_score(ours, theirs))
            counts.append(len(theirs))
    if not scores:
        raise UserError(
            f"no part of space has {LEAST} samples and {LEAST} held-out examples: give more, or "
            "leave data_copying out of names"
        )
    weights = np.array(counts) / np.sum(counts)
    return float(weights @ scores), float(np.sqrt(np.square(weights).sum()))


def rank_score(ours: np.ndarray, theirs: np.ndarray) -> float:
    """z-score of Mann and Whitney's U: positive where `ours` [M] are above `theirs` [N].

    Equal values share their rank, and the variance is corrected for them (Lehmann 1975, chapter 1).
    """
    from scipy.stats import rankdata

    both = np.concatenate([ours, theirs])
    m, n, total = len(ours), len(theirs), len(both)
    above = rankdata(both)[:m].sum() - m * (m + 1) / 2
    ties = np.unique(both, return_counts=True)[1].astype(np.float64)
    variance = m * n / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    return float((above - m * n / 2) / np.sqrt(variance)) if variance > 0 else 0.0


def cells(train: np.ndarray, *others: np.ndarray, count: int, seed: int = 0) -> list[np.ndarray]:
    """Which of `count` k-means clusters of `train` [T, D] each of `others` [N, D] is in: [N]."""
    from sklearn.cluster import KMeans

    found = KMeans(min(count, len(train)), n_init=1, random_state=seed % 2**32)
    found.fit(np.asarray(train, np.float64))
    return [found.predict(np.asarray(each, np.float64)) for each in others]

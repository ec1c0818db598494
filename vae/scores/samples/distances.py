"""Distances between two sets of features, each taken as a whole: Frechet's and a kernel's."""

import numpy as np

from vae.errors import UserError

BLOCK = 1000  # most examples of a set that one estimate of the kernel distance sees
BLOCKS = 10  # fewest estimates that a standard error is made of


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and covariance [D, D] of features [N, D], over all N at once, in float64.

    The covariance is divided by N - 1. It is of the pooled set: means of the covariances of batches
    would leave out how the batches' means differ.
    """
    features = np.asarray(features, np.float64)
    if len(features) < 2:
        raise UserError(f"{len(features)} examples have no covariance: give 2 or more")
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


def frechet(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """Squared 2-Wasserstein distance of two Gaussians (Dowson & Landau 1982, equation 4).

    |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2), which is what Heusel et al. 2017, equation 6,
    make of features. The last trace is the sum of the singular values of S^1/2 S'^1/2: nothing is
    inverted and no root is taken of a product, so that singular covariances are exact too.

    Args:
      mean, other_mean: [D].
      covariance, other_covariance: [D, D], symmetric and without negative eigenvalues.
    """
    product = _root(covariance) @ _root(other_covariance)
    shared = np.linalg.svd(product, compute_uv=False).sum()
    spread = np.trace(covariance) + np.trace(other_covariance) - 2.0 * shared
    return float(max(np.square(mean - other_mean).sum() + spread, 0.0))


def frechet_distance(features: np.ndarray, other: np.ndarray) -> float:
    """`frechet` of the Gaussians fitted to features [N, D] and [M, D]; squared feature units.

    It is biased upward by an amount that falls with the number of examples: compare values of equal
    N and M only.

    Raises:
      UserError: no more examples than features, whose covariance has directions nobody has seen.
    """
    _check(features, other)
    least, size = min(len(features), len(other)), features.shape[1]
    if least <= size:
        raise UserError(
            f"a Frechet distance of {size:,} features needs more than {size:,} examples in either "
            f"set, and one has {least:,}: give more, use an extractor of fewer features, or ask "
            "for kernel_distance"
        )
    return frechet(*moments(features), *moments(other))


def unbiased_mmd(features: np.ndarray, other: np.ndarray) -> float:
    """Squared maximum mean discrepancy of features [N, D] and [M, D] (Gretton et al. 2012,
    equation 3), under the kernel (x y / D + 1)^3. Unbiased, and so negative at times."""

    def within(x: np.ndarray) -> float:
        kernel = _cubic(x, x)
        return (kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1))

    x, y = np.asarray(features, np.float64), np.asarray(other, np.float64)
    return float(within(x) + within(y) - 2.0 * _cubic(x, y).mean())


def kernel_distance(
    features: np.ndarray, other: np.ndarray, seed: int = 0, block: int = BLOCK
) -> tuple[float, float]:
    """Mean of `unbiased_mmd` over blocks of both sets, and its standard error (Binkowski et al.
    2018, section 4).

    Both sets, in a random order, are cut into disjoint blocks, so that the estimates of blocks are
    independent and their spread is the mean's. Overlapping subsets would understate it.

    Args:
      features, other: [N, D] and [M, D].
      seed: of the order.
      block: most examples of a block; where they would be fewer than BLOCKS, blocks are smaller.

    Raises:
      UserError: a set is too small for BLOCKS blocks of 2.
    """
    _check(features, other)
    least = min(len(features), len(other))
    size = min(block, least // BLOCKS)
    if size < 2:
        raise UserError(
            f"a kernel distance needs {2 * BLOCKS} examples in either set, and one has {least}: "
            "give more"
        )
    rng, count = np.random.default_rng(seed % 2**32), least // size
    left, right = (
        rng.permutation(len(each))[: count * size].reshape(count, size)
        for each in (features, other)
    )
    found = [
        unbiased_mmd(features[rows], other[others])
        for rows, others in zip(left, right, strict=True)
    ]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(count))


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root. Eigenvalues that rounding alone can make are zeros: their roots
    would be 1e8 times larger than they are."""
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    noise = len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    return (vectors * np.sqrt(np.where(values > noise, values, 0.0))) @ vectors.T


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    inner = x @ y.T / x.shape[1] + 1.0
    return inner * inner * inner  # numpy's power is tens of times slower


def _check(features: np.ndarray, other: np.ndarray) -> None:
    if features.ndim != 2 or other.ndim != 2 or features.shape[1] != other.shape[1]:
        raise UserError(
            f"features of shapes {features.shape} and {other.shape} cannot be compared: give "
            "[N, D] and [M, D] of one extractor"
        )

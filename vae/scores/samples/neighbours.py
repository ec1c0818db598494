"""Nearest neighbours among features: do samples lie where data lie, and the other way round?

Distances are Euclidean, in float64, a chunk of rows at a time: 10,000 by 10,000 examples take less
than 1 GiB, however many features they have.
"""

from collections.abc import Iterator

import numpy as np

from vae.errors import UserError

HELD = 2**24  # distances held at a time: 128 MiB
TIE = 1e-12  # of the largest squared norm: what rounding makes of two equal squared distances


def manifold(
    samples: np.ndarray, data: np.ndarray, k: int = 5, held: int = HELD
) -> dict[str, np.ndarray]:
    """Precision, recall, density and coverage, an example each: the metrics are the means.

    A ball reaches from an example to its k-th nearest neighbour of the same set, itself not
    counted. What is at the very edge is inside.

    - precision [M]: is a sample in the ball of any data (Kynkaanniemi et al. 2019, equation 2)?
    - recall [N]: is an example of the data in the ball of any sample (the same equation)?
    - density [M]: balls of data that a sample is in, over k (Naeem et al. 2020, section 3.2);
    - coverage [N]: does the ball of an example of the data hold a sample (the same section)?

    Of two sets of one distribution, density is 1 on average and coverage `expected_coverage`.

    Args:
      samples: features [M, D].
      data: features [N, D].
      k: neighbours that a ball reaches.
      held: most distances that are held at a time; no result depends on it.

    Raises:
      UserError: k is not from 1 to one less than the examples of either set.
    """
    least = min(len(samples), len(data))
    if not 1 <= k < least:
        raise UserError(
            f"k={k} should be from 1 to {least - 1}: an example has no more neighbours in a set "
            f"of {least}. Give a smaller k or more examples"
        )
    samples, data = _centred(samples, data)
    tie = TIE * max(np.square(samples).sum(1).max(), np.square(data).sum(1).max())
    around_data, around_samples = (_radii(x, k, held) + tie for x in (data, samples))
    precision, density = np.zeros(len(samples)), np.zeros(len(samples))
    recall, coverage = np.zeros(len(data)), np.zeros(len(data))
    for rows, squared in squared_distances(samples, data, held):
        inside = squared <= around_data
        density[rows] = inside.sum(1) / k
        precision[rows] = inside.any(1)
        coverage[inside.any(0)] = 1.0
        recall[(squared <= around_samples[rows, None]).any(0)] = 1.0
    return {"precision": precision, "recall": recall, "density": density, "coverage": coverage}


def expected_coverage(samples: int, data: int, k: int) -> float:
    """Mean coverage of so many samples and data of one continuous distribution.

    1 - prod_{i=1..k} (N - i) / (N + M - i): a ball is empty where the k nearest of the N + M - 1
    other examples are all data (Naeem et al. 2020, section 3).
    """
    i = np.arange(1, k + 1)
    return float(1.0 - np.prod((data - i) / (data + samples - i)))


def nearest(
    queries: np.ndarray, reference: np.ndarray, held: int = HELD
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest of `reference` [R, D] to each of `queries` [Q, D]: its index [Q], and how far
    it is [Q]. Copies are at exactly 0."""
    found = np.zeros(len(queries), np.int64)
    for rows, squared in squared_distances(*_centred(queries, reference), held):
        found[rows] = squared.argmin(1)
    far = np.zeros(len(queries))
    part = max(1, held // max(reference.shape[1], 1))
    for start in range(0, len(queries), part):
        rows = slice(start, start + part)
        difference = np.asarray(queries[rows], np.float64) - reference[found[rows]]
        far[rows] = np.sqrt(np.square(difference).sum(1))
    return found, far


def squared_distances(
    x: np.ndarray, y: np.ndarray, held: int = HELD
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of x [N, D] and their squared distances [rows, M] to y [M, D], up to rounding.

    Distances are cheapest, and no worse, of sets whose mean is near 0.
    """
    square = np.square(y).sum(1)
    part = max(1, held // len(y))
    for start in range(0, len(x), part):
        rows = slice(start, start + part)
        squared = x[rows] @ y.T
        squared *= -2.0
        squared += square
        squared += np.square(x[rows]).sum(1)[:, None]
        yield rows, squared


def mean_distance(features: np.ndarray, held: int = HELD) -> np.ndarray:
    """How far the other examples are from each of features [N, D], on average: [N]."""
    x = np.asarray(features, np.float64) - np.mean(features, 0, np.float64)
    found = np.zeros(len(x))
    for rows, squared in squared_distances(x, x, held):
        _diagonal(squared, rows, 0.0)
        found[rows] = np.sqrt(np.maximum(squared, 0.0)).sum(1) / (len(x) - 1)
    return found


def _radii(x: np.ndarray, k: int, held: int) -> np.ndarray:
    """Squared distance [N] of each of x [N, D] to the k-th nearest of the others."""
    found = np.zeros(len(x))
    for rows, squared in squared_distances(x, x, held):
        _diagonal(squared, rows, np.inf)
        squared.partition(k - 1, axis=1)
        found[rows] = squared[:, k - 1]
    return found


def _diagonal(squared: np.ndarray, rows: slice, value: float) -> None:
    here = np.arange(len(squared))
    squared[here, rows.start + here] = value


def _centred(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both less the mean of y, in float64: squares of what all share would cost digits."""
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise UserError(
            f"features of shapes {x.shape} and {y.shape} cannot be compared: give [N, D] and "
            "[M, D] of one extractor"
        )
    mean = np.mean(y, 0, np.float64)
    return np.asarray(x, np.float64) - mean, np.asarray(y, np.float64) - mean

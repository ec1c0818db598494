"""Whether a latent tells of one factor alone, and whether all together tell the factors."""

import numpy as np

from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement import classifiers, information
from vae.scores.disentanglement.information import BINS, describe
from vae.scores.disentanglement.inputs import read, split

MODULARITY = Kind("modularity", "Modularity", "up")
EXPLICITNESS = Kind("explicitness", "Explicitness", "up")


def modularity(
    codes: np.ndarray, factors: np.ndarray, *, bins: int | str = BINS
) -> dict[str, Metric]:
    """Modularity (Ridgeway & Mozer 2018, section 3): one factor a latent.

    1 - sum_{k != best} I(z_j; v_k)^2 / (I(z_j; v_best)^2 (F - 1)), the mean over latents. 1 where
    each tells of one factor, 0 where each tells as much of all. Latents that tell nothing at all
    are left out; where all are, 0. Information from few examples is biased upwards, more so for
    factors with many values. Where factors differ in that number, a latent of noise therefore seems
    somewhat modular.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F]; bins: see `information.edges`.

    Raises:
      UserError: as `inputs.read` and `information.edges`.
    """
    table = read(codes, factors)
    squared = np.square(information.matrix(table.z, table.v, bins))  # [L, F]
    tells = squared.max(1) > 0.0
    best = squared[tells].max(1)
    others = squared[tells].sum(1) - best
    each = 1.0 - others / (best * max(1, len(table.sizes) - 1))
    unit = f"mean over {tells.sum()} latents, {describe(bins)}, {table.over}"
    return by_name(MODULARITY.of(each.mean() if tells.any() else 0.0, unit=unit))


def explicitness(
    codes: np.ndarray, factors: np.ndarray, *, examples: int = 5_000, seed: int = 0
) -> dict[str, Metric]:
    """Explicitness (Ridgeway & Mozer 2018, section 3): how well linear classifiers rank values.

    The area under the ROC curve of each value of each factor against the others, 2 AUC - 1 so that
    chance is 0, averaged over values and then factors. The scores that are ranked are the
    probabilities of one multinomial logistic regression a factor.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      examples: most to train and test with, half each, picked at random.

    Raises:
      UserError: as `inputs.read`.
    """
    table = read(codes, factors)
    train, test = split(len(table.z), seed, examples)
    areas: list[float] = []
    for v, size in zip(table.v.T, table.sizes, strict=True):
        model = classifiers.fitted(classifiers.logistic(), table.z[train], v[train])
        p = classifiers.probabilities(model, table.z[test], size)
        each = [area(p[:, value], v[test] == value) for value in range(size)]
        areas.append(float(np.nanmean(each)) if np.isfinite(each).any() else 0.5)
    unit = "2 AUC - 1, mean over values and factors, multinomial logistic regression"
    unit += f", {len(train):,} to train and {len(test):,} to test, seed {seed}, {table.over}"
    return by_name(EXPLICITNESS.of(2.0 * np.mean(areas) - 1.0, unit=unit))


def area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve of scores [N] for positive [N] bool; nan where all are the same."""
    from scipy.stats import rankdata

    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        return float("nan")
    return float((rankdata(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))

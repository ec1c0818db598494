"""InfoMEC: modularity, explicitness and compactness as information."""

import numpy as np

from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement import classifiers, information
from vae.scores.disentanglement.information import BINS, describe
from vae.scores.disentanglement.inputs import active, pruning, read, split

INFOM = Kind("infom", "InfoM", "up")
INFOE = Kind("infoe", "InfoE", "up")
INFOC = Kind("infoc", "InfoC", "up")


def infomec(
    codes: np.ndarray,
    factors: np.ndarray,
    std: np.ndarray | None = None,
    *,
    bins: int | str = BINS,
    examples: int = 5_000,
    steps: int = 200,
    seed: int = 0,
) -> dict[str, Metric]:
    """InfoM, InfoE and InfoC (Hsu et al. 2023).

    Of the information I(z_j; v_k) / H(v_k) of active latents:
    - `infom`, how much of what a latent tells is of one factor;
    - `infoc`, how much of what is told of a factor is by one latent;
    each the mean share of the largest, scaled so that equal shares are 0 and one alone is 1. And
    - `infoe`, the information that a linear classifier can use, of all latents: the share of the
      factor's entropy that its log-loss saves, mean over factors; below 0 where it is worse than
      the factor's frequencies. It is of examples that it was not fitted to.

    The paper's code differs in three things: it takes nearest neighbours for the information of
    continuous codes, calls latents of a small range inactive, and computes InfoE on the examples
    that it fits, with classes weighted to be as frequent.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      std: of q(z|x), [N, L], to tell which latents are active; see `inputs.active`.
      bins: see `information.edges`.
      examples: most to train and test the classifiers with, half each, picked at random.
      steps: of the classifiers' fit, without a penalty; they never end where values are separable.

    Raises:
      UserError: as `inputs.read` and `information.edges`.
    """
    table = read(codes, factors, std)
    I = information.matrix(table.z[:, active(table)], table.v, bins)  # noqa: E741
    shares = I / information.factor_entropies(table.v)
    train, test = split(len(table.z), seed, examples)
    saved = [
        saving(table.z, v, size, train, test, steps)
        for v, size in zip(table.v.T, table.sizes, strict=True)
    ]
    binned = f"normalised mutual information, {describe(bins)}, {pruning(table)}, {table.over}"
    linear = f"logistic regression, {steps} steps"
    linear += f", {len(train):,} to train and {len(test):,} to test"
    saved_by = f"share of the entropy saved by {linear}, seed {seed}, {table.over}"
    return by_name(
        INFOM.of(largest_share(shares), unit=f"largest share over factors of {binned}"),
        INFOE.of(np.mean(saved), unit=saved_by),
        INFOC.of(largest_share(shares.T), unit=f"largest share over latents of {binned}"),
    )


def largest_share(shares: np.ndarray) -> float:
    """Mean over rows [A, B] of the largest entry's share, (share - 1/B) / (1 - 1/B).

    Rows of zeros are left out; where all are, 0; where B is 1, 1.
    """
    shares = shares[shares.sum(1) > 0.0]
    if not shares.size:
        return 0.0
    least = 1.0 / shares.shape[1]
    if least == 1.0:
        return 1.0
    return float(((shares.max(1) / shares.sum(1)).mean() - least) / (1.0 - least))


def saving(
    z: np.ndarray, v: np.ndarray, size: int, train: np.ndarray, test: np.ndarray, steps: int
) -> float:
    """1 - the log-loss of a linear classifier of v given z over that of v's frequencies."""
    tiny = 1.0 / (len(train) + size)  # as of a value that was never seen: no loss is infinite
    frequencies = np.maximum(np.bincount(v[train], minlength=size) / len(train), tiny)
    model = classifiers.fitted(classifiers.logistic(np.inf, steps), z[train], v[train])
    p = np.maximum(classifiers.probabilities(model, z[test], size), tiny)
    loss, known = np.log(p[np.arange(len(test)), v[test]]), np.log(frequencies[v[test]])
    return float(1.0 - loss.mean() / known.mean()) if known.any() else 0.0

"""Which factor was held fixed: the scores of beta-VAE and FactorVAE, from a table of examples.

The papers ask a simulator for examples that share the value of one factor; here they are picked
among the rows that share it. The value is that of a row picked at random, so a frequent one is held
fixed often. Values that a single row has are never held fixed.
"""

import dataclasses

import numpy as np

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement import classifiers
from vae.scores.disentanglement.inputs import Table, active, pruning, read, share

BETA_VAE = Kind("beta_vae_score", "Beta-VAE score", "up")
FACTOR_VAE = Kind("factor_vae_score", "FactorVAE score", "up", shown="sweep")


@dataclasses.dataclass(frozen=True)
class Groups:
    """Rows by their value of one factor."""

    order: np.ndarray  # all rows, those of one value next to each other
    start: np.ndarray  # [N] where the group of the row at each place of `order` begins
    count: np.ndarray  # [N] how many rows it has
    shared: np.ndarray  # places in `order` of rows that share their value with another


def group(v: np.ndarray, name: str) -> Groups:
    """Groups the rows by v [N], 0 to K - 1."""
    order = np.argsort(v, kind="stable")
    counts = np.bincount(v)
    start, count = (np.repeat(a, counts) for a in (np.cumsum(counts) - counts, counts))
    shared = np.flatnonzero(count > 1)
    if not len(shared):
        raise UserError(
            f"{name}: a factor has another value in every example, so none is ever held fixed: "
            "bin its values, or give more examples"
        )
    return Groups(order, start, count, shared)


def beta_vae(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    points: int = 2_000,
    pairs: int = 64,
    seed: int = 0,
) -> dict[str, Metric]:
    """The beta-VAE score (Higgins et al. 2017, section 3).

    A point is the mean of |z - z'| over pairs of rows. The two rows of a pair share the value of
    one factor, the same factor for the whole point. The score is the share of points whose factor a
    linear classifier finds: 1 at best, 1/F for codes that tell nothing. Codes are divided by their
    standard deviations.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      points: to train the classifier with, and as many again to test it; about equally many a
        factor.
      pairs: a point.

    Returns:
      `beta_vae_score`; its stderr is over the points.

    Raises:
      UserError: as `inputs.read`, or the values of a factor all differ.
    """
    table, rng = read(codes, factors), np.random.default_rng(seed)
    sets = [differences(table, points, pairs, rng) for _ in range(2)]
    (x, y), (test_x, test_y) = sets
    scale = np.where(x.std(0) > 0.0, x.std(0), 1.0)
    model = classifiers.fitted(classifiers.logistic(10.0), x / scale, y)
    value, stderr = share(model.predict(test_x / scale) == test_y)
    unit = f"share of {len(test_y):,} points of {pairs} pairs whose fixed factor is found"
    unit += f", logistic regression on {len(y):,} others, seed {seed}, {table.over}"
    return by_name(BETA_VAE.of(value, stderr, unit))


def differences(
    table: Table, points: int, pairs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mean differences [P, L] of pairs of two rows each, and the factor held fixed in each [P]."""
    each = -(-points // len(table.sizes))
    found = []
    for v in table.v.T:
        groups = group(v, "beta_vae")
        first = rng.choice(groups.shared, (each, pairs))
        start, count = groups.start[first], groups.count[first]
        other = start + (first - start + rng.integers(1, count)) % count  # never the row itself
        found.append(np.abs(table.z[groups.order[first]] - table.z[groups.order[other]]).mean(1))
    return np.concatenate(found), np.repeat(np.arange(len(found)), each)


def factor_vae(
    codes: np.ndarray,
    factors: np.ndarray,
    std: np.ndarray | None = None,
    *,
    votes: int = 2_000,
    size: int = 64,
    seed: int = 0,
) -> dict[str, Metric]:
    """The FactorVAE score (Kim & Mnih 2018, section 4).

    A vote takes rows with the same value of one factor. It goes to the active latent whose variance
    over them, relative to its variance over the data, is least. Each latent stands for the factor
    of most of its votes. The score is the share of right votes among new ones: 1 at best, near 1/F
    for codes that tell nothing, 0 where no latent is active.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      std: of q(z|x), [N, L], to tell which latents are active; see `inputs.active`.
      votes: to count, and as many again to test; about equally many a factor.
      size: rows a vote, picked with replacement.

    Returns:
      `factor_vae_score`; its stderr is over the votes.

    Raises:
      UserError: as `inputs.read`, or the values of a factor all differ.
    """
    table, rng = read(codes, factors, std), np.random.default_rng(seed)
    num = -(-votes // len(table.sizes)) * len(table.sizes)
    unit = f"share of {num:,} votes of {size} rows that are right, {num:,} others counted"
    unit += f", {pruning(table)}, seed {seed}, {table.over}"
    kept = table.z[:, active(table)]
    if not kept.shape[1]:
        return by_name(FACTOR_VAE.of(0.0, unit=unit))
    sets = [_votes(kept, table.v, votes, size, rng) for _ in range(2)]
    counted = np.zeros((kept.shape[1], len(table.sizes)))
    np.add.at(counted, sets[0], 1)
    latent, factor = sets[1]
    value, stderr = share(counted.argmax(1)[latent] == factor)
    return by_name(FACTOR_VAE.of(value, stderr, unit))


def _votes(
    z: np.ndarray, v: np.ndarray, votes: int, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The latent that each vote is for and the factor that was held fixed, [V] each."""
    each = -(-votes // v.shape[1])
    latents = []
    for column in v.T:
        groups = group(column, "factor_vae")
        first = rng.choice(groups.shared, (each, 1))
        rows = groups.start[first] + rng.integers(groups.count[first], size=(each, size))
        latents.append(z[groups.order[rows]].var(1).argmin(1))  # z has variance 1 over the data
    return np.concatenate(latents), np.repeat(np.arange(len(latents)), each)

"""Made rows of a table beside real ones: its columns, their pairs, whole rows, use, and copies.

Rows are [N, D], float64 and NaN where a cell is missing; `coded` [D] says which columns hold codes
of levels, which are no distance apart but the same or not. A distance from the test set has beside
it, as `_data`, that of as many training rows: what rows of the true distribution would have.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name
from vae.scores.outliers import auroc
from vae.scores.samples import memorisation, neighbours
from vae.scores.samples.families import MEMORISED

COLUMN = Kind("column_distance", "Distance of columns", "down")
COLUMN_DATA = Kind("column_distance_data", "Distance of columns, data", "none")
PAIR = Kind("pair_distance", "Distance of pairs of columns", "down")
PAIR_DATA = Kind("pair_distance_data", "Distance of pairs of columns, data", "none")
TOLD = Kind("told_apart", "Told apart from data", "down")
USE = Kind("use", "Use for prediction", "up")
USE_DATA = Kind("use_data", "Use for prediction, data", "none")

LEAST = 100  # rows of each set
TARGETS = 10  # columns that are predicted, at most
RESAMPLES = 20  # of rows, for standard errors


@dataclasses.dataclass(frozen=True)
class Tables:
    """Three sets of rows of one table.

    Attributes:
      made, test, train: [M, D], [N, D] and [T, D].
      coded: which columns hold codes: bool [D].
    """

    made: np.ndarray
    test: np.ndarray
    train: np.ndarray
    coded: np.ndarray


def scores(tables: Tables, seed: int = 0) -> dict[str, Metric]:
    """All that is told of made rows.

    Raises:
      UserError: a set has fewer than LEAST rows.
    """
    least = min(len(tables.made), len(tables.test), len(tables.train))
    if least < LEAST:
        raise UserError(
            f"tables are compared by {LEAST} rows of each set, and one has {least}: make more, or "
            "set data.test_size"
        )
    rng = np.random.default_rng(seed % 2**32)
    made, test, coded = tables.made, tables.test, tables.coded
    real = tables.train[rng.permutation(len(tables.train))[: len(made)]]
    found = []
    for kinds, distance, unit in (
        ((COLUMN, COLUMN_DATA), column_distance, "Kolmogorov-Smirnov distance, of levels total "
         f"variation, mean over {len(coded)} columns"),
        ((PAIR, PAIR_DATA), pair_distance, "difference of two columns' association, mean over "
         "pairs"),
    ):  # fmt: skip
        for kind, rows in zip(kinds, (made, real), strict=True):
            value = distance(rows, test, coded)
            found.append(kind.of(value, resampled(distance, rows, test, coded, rng), unit))
    found.append(told_apart(made, test, coded, seed))
    targets = predicted(coded, len(coded))
    unit = f"share of what is predicted of a column by the others, mean over {len(targets)} columns"
    for kind, rows in ((USE, made), (USE_DATA, real)):
        found.append(kind(use(rows, test, coded, targets, seed), f"{unit}, of the test set"))
    ours, theirs = (nearest(rows, tables.train, coded) for rows in (made, test))
    unit = f"share of rows nearer to the training set than {1 - memorisation.SHARE:.0%} of the test"
    found.append(MEMORISED(memorisation.memorised(ours, theirs), f"{unit} set's"))
    return by_name(*found)


def column_distances(rows: np.ndarray, real: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Of each column, Kolmogorov and Smirnov's distance of what is observed, or the total variation
    of levels: [D]; 0 where one side has no cell."""
    from scipy.stats import ks_2samp

    found = np.zeros(len(coded))
    for d, of_levels in enumerate(coded):
        ours, theirs = (_there(x[:, d]) for x in (rows, real))
        if not (len(ours) and len(theirs)):
            continue
        if of_levels:
            found[d] = 0.5 * np.abs(np.subtract(*_shares(ours, theirs))).sum()
        else:
            found[d] = ks_2samp(ours, theirs, method="asymp").statistic
    return found


def column_distance(rows: np.ndarray, real: np.ndarray, coded: np.ndarray) -> float:
    """Their mean."""
    return float(column_distances(rows, real, coded).mean())


def pair_distance(rows: np.ndarray, real: np.ndarray, coded: np.ndarray) -> float:
    """The mean absolute difference of `associations`, over pairs of columns."""
    if len(coded) < 2:
        return 0.0
    apart = np.abs(associations(rows, coded) - associations(real, coded))
    return float(apart[np.triu_indices(len(coded), 1)].mean())


def associations(rows: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """How two columns go together, of the rows that have both: [D, D].

    Of numbers Spearman's rank correlation, in [-1, 1]; of levels Cramer's V, and of levels and
    numbers the correlation ratio of ranks, in [0, 1]. 0 where a column is constant.
    """
    found = np.eye(len(coded))
    for i in range(len(coded)):
        for j in range(i):
            both = ~np.isnan(rows[:, [i, j]]).any(1)
            x, y = rows[both, i], rows[both, j]
            if coded[i] and coded[j]:
                value = _cramer(x, y)
            elif coded[i] or coded[j]:
                value = _ratio(x, y) if coded[i] else _ratio(y, x)
            else:
                value = _correlation(_ranks(x), _ranks(y))
            found[i, j] = found[j, i] = value
    return found


def told_apart(made: np.ndarray, real: np.ndarray, coded: np.ndarray, seed: int) -> Metric:
    """AUROC of boosted trees that learn from half of both sets which rows are made; 0.5 if nobody
    can tell."""
    count, rng = min(len(made), len(real)), np.random.default_rng(seed % 2**32)
    parts = [x[rng.permutation(len(x))[:count]] for x in (made, real)]
    half = count // 2
    x = np.concatenate([part[:half] for part in parts])
    model = _trees(True, seed).fit(x, np.repeat((1, 0), half))
    ours, theirs = (model.predict_proba(part[half:])[:, 1] for part in parts)
    found = auroc(theirs, ours)
    unit = f"AUROC, 0.5: not at all; {half:,} rows of each to learn from, {count - half:,} asked"
    return TOLD.of(found.value, found.stderr, unit)


def predicted(coded: np.ndarray, num: int) -> np.ndarray:
    """Numbers of the columns that are predicted: those of levels first, TARGETS at most."""
    return np.concatenate([np.flatnonzero(coded), np.flatnonzero(~coded)])[: min(num, TARGETS)]


def use(
    rows: np.ndarray, test: np.ndarray, coded: np.ndarray, targets: Sequence[int] | np.ndarray,
    seed: int,
) -> np.ndarray:  # fmt: skip
    """How well boosted trees that learnt from `rows` predict a column of the test set from all
    others, [targets] in [0, 1]: the accuracy of levels; of numbers the share of the variance of
    their ranks in the test set."""
    found = []
    for target in targets:
        others = np.delete(np.arange(len(coded)), target)
        sets = [x[~np.isnan(x[:, target])] for x in (rows, test)]
        y, known = (x[:, target] for x in sets)
        if not len(others) or len(np.unique(y)) < 2 or not len(known):
            found.append(float(len(y) and len(known) and (known == y[0]).mean()))
            continue
        if not coded[target]:
            y, known = (_below(each, test[:, target]) for each in (y, known))
        model = _trees(bool(coded[target]), seed).fit(sets[0][:, others], y)
        guessed = model.predict(sets[1][:, others])
        if coded[target]:
            found.append(float((guessed == known).mean()))
        else:
            left = np.square(known - guessed).mean() / max(float(known.var()), 1e-12)
            found.append(max(0.0, 1.0 - left))
    return np.array(found)


def nearest(rows: np.ndarray, train: np.ndarray, coded: np.ndarray) -> np.ndarray:
    """Distance of each row to the nearest training row: [N].

    Of numbers in standard deviations of the training set, of two levels 1; a cell that is missing
    on one side alone is 1 away.
    """
    return neighbours.nearest(_placed(rows, train, coded), _placed(train, train, coded))[1]


def _placed(rows: np.ndarray, train: np.ndarray, coded: np.ndarray) -> np.ndarray:
    parts = []
    for d, of_levels in enumerate(coded):
        x, seen = rows[:, d], _there(train[:, d])
        if of_levels:
            part = (x[:, None] == np.unique(seen)) / np.sqrt(2.0)
        else:
            spread = float(seen.std()) if len(seen) else 0.0
            middle = float(seen.mean()) if len(seen) else 0.0
            part = np.nan_to_num((x[:, None] - middle) / (spread or 1.0))
        parts.append(np.column_stack([part, np.isnan(x)]))
    return np.concatenate(parts, axis=1).astype(np.float64)


def resampled(
    distance: Callable[..., float], rows: np.ndarray, real: np.ndarray, coded: np.ndarray,
    rng: np.random.Generator,
) -> float:  # fmt: skip
    """The standard error of a distance, over RESAMPLES bootstrap samples of both sets of rows."""
    drawn = [
        distance(*(x[rng.integers(0, len(x), len(x))] for x in (rows, real)), coded)
        for _ in range(RESAMPLES)
    ]
    return float(np.std(drawn, ddof=1))


def _trees(levels: bool, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if levels else HistGradientBoostingRegressor
    return kind(max_iter=100, early_stopping=False, random_state=seed % 2**32)


def _there(x: np.ndarray) -> np.ndarray:
    return x[~np.isnan(x)]


def _shares(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    levels = np.union1d(ours, theirs)
    first, second = ((x[:, None] == levels).mean(0) for x in (ours, theirs))
    return first, second


def _below(x: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The share of what is observed of `real` that is below each value, equal ones by half."""
    known = np.sort(_there(real))
    left, right = (np.searchsorted(known, x, side) for side in ("left", "right"))
    return (left + right) / (2.0 * len(known))


def _ranks(x: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(x)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def _ratio(levels: np.ndarray, numbers: np.ndarray) -> float:
    """The root of the share of the variance of ranks that lies between levels."""
    ranks = _ranks(numbers)
    total = ranks.var() if len(ranks) else 0.0
    if total == 0:
        return 0.0
    _, group = np.unique(levels, return_inverse=True)
    count = np.bincount(group)
    means = np.bincount(group, ranks) / count
    return float(np.sqrt((count * np.square(means - ranks.mean())).sum() / len(ranks) / total))


def _cramer(x: np.ndarray, y: np.ndarray) -> float:
    """The root of chi^2 over its largest value (Cramer 1946, section 21.9)."""
    if not len(x):
        return 0.0
    (_, i), (_, j) = (np.unique(each, return_inverse=True) for each in (x, y))
    table = np.zeros((i.max() + 1, j.max() + 1))
    np.add.at(table, (i, j), 1.0)
    least = min(table.shape) - 1
    if least == 0:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0) / len(x)
    return float(np.sqrt((np.square(table - expected) / expected).sum() / len(x) / least))

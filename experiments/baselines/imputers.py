"""Imputers to stand beside: each takes rows with holes [N, D], NaN where a cell is missing, and a
seed, and gives a function that fills rows [M, D]. Columns are standardised beforehand."""

import warnings
from collections.abc import Callable

import numpy as np

Imputer = Callable[[np.ndarray], np.ndarray]
NEIGHBOURS = 5
TREES, ROUNDS = 50, 5  # of the forests, and over all columns


def means(train: np.ndarray, seed: int) -> Imputer:
    """The mean of what is observed of a column."""
    middle = np.nanmean(train, axis=0)
    return lambda x: np.where(np.isnan(x), middle, x)


def neighbours(train: np.ndarray, seed: int) -> Imputer:
    """The mean of the nearest training rows, by what both have (Troyanskaya et al. 2001)."""
    from sklearn.impute import KNNImputer

    return KNNImputer(n_neighbors=NEIGHBOURS).fit(train).transform


def forests(train: np.ndarray, seed: int) -> Imputer:
    """A random forest a column from all others, over and over (Stekhoven & Buhlmann 2012)."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    forest = RandomForestRegressor(n_estimators=TREES, random_state=seed, n_jobs=-1)
    fitted = IterativeImputer(forest, max_iter=ROUNDS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of rounds
        return fitted.fit(train).transform


IMPUTERS = {"mean": means, "kNN": neighbours, "iterative forests": forests}

"""Cells of a table that are hidden from a model on purpose, to see how well it fills them."""

import dataclasses

import numpy as np

from vae.columns import CODED, LINKS, Column, code_of
from vae.data.dataset import Dataset
from vae.data.table import SEED
from vae.errors import UserError

WAYS = ("mcar", "mar", "mnar")
KNOWN = 3  # of so many columns one is never hidden, where what is hidden depends on it
STEEP = 2.0  # log odds of being hidden, a standard deviation of what they depend on


def hide(whole: Dataset, share: float, how: str) -> Dataset:
    """The data set with about that share of its cells missing, and what they held in `hidden`.

    mcar: whatever the cells are. mar: the first third of the columns is never hidden, and the odds
    of all others follow one weighted sum of these each. mnar: the odds of a cell follow its own
    value, so that high ones are missing (Rubin 1976; Ipsen et al. 2021, section 4). Cells that are
    missing anyway stay so. Which are hidden depends on the split and the row alone.

    Raises:
      UserError: the data are no columns, or have too few.
    """
    if whole.kind != "columns":
        raise UserError(
            f"data.missing={share:g} is for model.likelihood=columns: set it, or data.missing=0.0"
        )
    size = len(whole.column_kinds)
    known = -(-size // KNOWN) if how == "mar" else 0
    if known == size:
        raise UserError(f"data.missingness=mar needs 2 columns, and {whole.name} has {size}")
    own = {name: np.asarray(split.x, np.float64) for name, split in whole.splits.items()}
    places = _places(own["train"], whole.column_kinds)
    odds = {name: _log_odds(x, how, known, whole.column_kinds, *places) for name, x in own.items()}
    offset = np.array([_offset(column, share) for column in odds["train"].T])
    splits = {}
    for name, split in whole.splits.items():
        rng = np.random.default_rng([SEED, *name.encode()])
        hidden = rng.random((len(own[name]), size)) < _logistic(odds[name] + offset)
        hidden[:, :known] = False
        splits[name] = dataclasses.replace(
            split,
            x=np.where(hidden, np.nan, own[name]),
            hidden=np.where(hidden, own[name], np.nan),
        )
    return dataclasses.replace(whole, splits=splits)


def _numbers(x: np.ndarray, columns: tuple[Column, ...]) -> np.ndarray:
    """Own numbers [N, D] on scales without long tails; levels as their codes."""
    found = np.empty(x.shape)
    for d, column in enumerate(columns):
        if column.kind in CODED:
            found[:, d] = x[:, d] if column.by_code else code_of(x[:, d], column)
        else:
            found[:, d] = LINKS.get(column.kind, (np.log1p,))[0](x[:, d])
    return found


def _places(x: np.ndarray, columns: tuple[Column, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of the training set: [D]."""
    found = np.ma.masked_invalid(_numbers(x, columns))
    spread = found.std(0).filled(0.0)
    return found.mean(0).filled(0.0), np.where(spread > 0, spread, 1.0)


def _log_odds(
    x: np.ndarray, how: str, known: int, columns: tuple[Column, ...], mean: np.ndarray,
    spread: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Of being hidden, but for a constant of each column: [N, D]."""
    told = np.nan_to_num((_numbers(x, columns) - mean) / spread)
    if how == "mcar":
        return np.zeros(x.shape)
    if how == "mnar":
        return STEEP * told
    weights = np.random.default_rng(SEED).standard_normal((known, x.shape[1]))
    return STEEP * told[:, :known] @ (weights / np.linalg.norm(weights, axis=0))


def _offset(odds: np.ndarray, share: float) -> float:
    """What makes the mean probability that share, by bisection."""
    low, high = -50.0, 50.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        under = _logistic(odds + middle).mean() < share
        low, high = (middle, high) if under else (low, middle)
    return 0.5 * (low + high)


def _logistic(odds: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * odds)

"""How well missing cells of a table were filled, of cells that were hidden and are known."""

import numpy as np

from vae.metrics import Kind, Metric, by_name

RMSE = Kind("imputation_rmse", "Error of filled numbers", "down")
ERROR = Kind("imputation_error", "Filled levels that are wrong", "down")
COVERAGE = Kind("imputation_coverage", "Hidden numbers inside their interval", "none")
INTERVAL = 0.9  # of the draws of a cell, its middle share


def scores(
    truth: np.ndarray, filled: np.ndarray, coded: np.ndarray, spread: np.ndarray,
    draws: np.ndarray | None = None,
) -> dict[str, Metric]:  # fmt: skip
    """What is told of filled cells, with standard errors over rows.

    Args:
      truth: what hidden cells held [N, D], NaN of all other cells.
      filled: all cells [N, D].
      coded: which columns hold codes of levels: bool [D].
      spread: of each column [D], by which errors of numbers are divided.
      draws: of all cells, given what is observed: [M, N, D].
    """
    hidden = ~np.isnan(truth)
    numbers, levels = hidden & ~coded, hidden & coded
    found = []
    if numbers.any():
        apart = np.where(numbers, (filled - truth) / spread, 0.0)
        value, stderr = ratio(np.square(apart), numbers)
        root = float(np.sqrt(value))
        unit = f"root of the mean square, in standard deviations of a column, {numbers.sum():,}"
        stderr = stderr / (2.0 * root) if root else 0.0
        found.append(RMSE.of(root, stderr, f"{unit} hidden cells"))
    if levels.any():
        wrong = np.where(levels, filled != truth, False)
        unit = f"share of {levels.sum():,} hidden cells"
        found.append(ERROR.of(*ratio(wrong, levels), unit))
    if draws is not None and numbers.any():
        ends = 0.5 - 0.5 * INTERVAL, 0.5 + 0.5 * INTERVAL
        low, high = np.quantile(draws, ends, axis=0)
        inside = numbers & (low <= truth) & (truth <= high)
        unit = f"share inside the middle {INTERVAL:.0%} of {len(draws)} draws of the cell"
        found.append(COVERAGE.of(*ratio(inside, numbers), unit))
    return by_name(*found)


def spread(train: np.ndarray) -> np.ndarray:
    """Standard deviations of what is observed of the columns [N, D]: [D]; 1 of a constant one."""
    found, largest = np.nanstd(train, axis=0), np.nanmax(np.abs(train), axis=0)
    return np.where(found > 1e-9 * largest, found, 1.0)


def ratio(values: np.ndarray, counted: np.ndarray) -> tuple[float, float]:
    """The mean of values [N, D] over the cells that count, and its standard error over rows, whose
    cells are not independent (Cochran 1977, section 6.3)."""
    total, count = values.sum(1).astype(np.float64), counted.sum(1)
    mean = total.sum() / count.sum()
    return float(mean), float(np.sqrt(np.square(total - mean * count).sum()) / count.sum())

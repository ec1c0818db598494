"""Scores of filled cells against closed forms."""

import numpy as np
import pytest

from tests.margins import fixed_rng
from vae.scores import imputation

CODED = np.array([False, False, True])
SPREAD = np.array([2.0, 1.0, 1.0])


def test_errors_are_of_hidden_cells_alone():
    nan = np.nan
    truth = np.array([[1.0, nan, 0.0], [nan, 2.0, nan], [nan, nan, 1.0], [3.0, nan, 2.0]])
    filled = np.array([[3.0, 9.0, 0.0], [9.0, 2.5, 9.0], [9.0, 9.0, 2.0], [3.0, 9.0, 0.0]])
    found = imputation.scores(truth, filled, CODED, SPREAD)
    assert found["imputation_rmse"].value == pytest.approx(np.sqrt((1.0 + 0.25 + 0.0) / 3))
    assert found["imputation_error"].value == pytest.approx(2 / 3)
    assert "imputation_coverage" not in found


def test_an_interval_of_true_draws_covers_its_share():
    rng = fixed_rng(0)
    truth = np.where(rng.random((4000, 3)) < 0.5, rng.standard_normal((4000, 3)), np.nan)
    draws = rng.standard_normal((100, 4000, 3))
    found = imputation.scores(truth, draws.mean(0), CODED, SPREAD, draws)["imputation_coverage"]
    # An order statistic's interval: its expectation is a little below 0.9.
    assert abs(found.value - 0.89) < 5 * found.stderr + 0.005
    wide = imputation.scores(truth, draws.mean(0), CODED, SPREAD, 3 * draws)
    assert wide["imputation_coverage"].value > 0.99


def test_the_standard_error_is_that_of_repeated_samples():
    """Cells of a row share their error: rows count, not cells."""
    values = []
    for seed in range(300):
        rng = fixed_rng(seed)
        shared = np.repeat(rng.standard_normal((50, 1)), 8, axis=1)
        values.append(imputation.ratio(np.square(shared), rng.random((50, 8)) < 0.9))
    means, errors = np.array(values).T
    assert means.std(ddof=1) == pytest.approx(errors.mean(), rel=0.25)

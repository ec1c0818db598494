"""Scores of made tables against closed forms, and against tables that are right or wrong by
construction."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from experiments.baselines import tables as baselines
from tests.margins import fixed_rng
from vae.errors import UserError
from vae.scores import tables

CODED = np.array([False, False, True, True])


def rows(num, seed):
    """Two correlated numbers, a level that follows the first, and one that follows nothing; a tenth
    of the second number is missing."""
    rng = fixed_rng(seed)
    x = rng.standard_normal((num, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    levels = [(x[:, 0] > 0.5) + (x[:, 0] > -0.5) + 0.0, rng.integers(0, 2, num)]
    found = np.column_stack([x, *levels])
    found[rng.random(num) < 0.1, 1] = np.nan
    return found


def test_a_distance_of_columns_is_that_of_what_is_observed():
    made, real = rows(300, 0), rows(400, 1)
    made[:, 2] = 1.0
    found = tables.column_distances(made, real, CODED)
    there = [x[~np.isnan(x[:, 1]), 1] for x in (made, real)]
    assert found[1] == pytest.approx(ks_2samp(*there).statistic)
    assert found[2] == pytest.approx(1.0 - (real[:, 2] == 1).mean())  # all of one level
    assert found[3] == pytest.approx(abs(made[:, 3].mean() - real[:, 3].mean()))


def test_associations_are_those_of_known_pairs():
    rng = fixed_rng(0)
    x = rng.standard_normal(5000)
    level = rng.integers(0, 3, 5000).astype(float)
    table = np.column_stack([x, np.exp(2 * x), -x, level, 2 - level, rng.permutation(level)])
    found = tables.associations(table, np.array([False] * 3 + [True] * 3))
    np.testing.assert_allclose(found[0, 1:3], [1.0, -1.0])  # of ranks, whatever the scale
    assert found[3, 4] == pytest.approx(1.0)  # levels by other names
    assert abs(found[3, 5]) < 0.05 and abs(found[0, 3]) < 0.05
    ranks = np.array([0.0, 1, 2, 3]), np.array([0.0, 0, 1, 1])
    two = tables.associations(np.column_stack(ranks), np.array([False, True]))
    assert two[0, 1] == pytest.approx(np.sqrt(4 / 5))  # 1 of the variance 5 / 4 lies between
    two = tables.associations(np.ones((9, 2)), np.array([False, True]))
    np.testing.assert_array_equal(two, np.eye(2))


def test_rows_of_the_same_distribution_score_as_data_do():
    found = tables.scores(tables.Tables(rows(600, 0), rows(600, 1), rows(1500, 2), CODED))
    for name in ("column_distance", "pair_distance", "use"):
        ours, data = found[name], found[f"{name}_data"]
        assert abs(ours.value - data.value) < 5 * (ours.stderr + data.stderr) + 0.02
        assert ours.stderr > 0
    assert abs(found["told_apart"].value - 0.5) < 5 * found["told_apart"].stderr
    assert found["memorised"].value < 0.05


def test_columns_without_their_pairs_are_told_apart_and_of_less_use():
    train, test = rows(1500, 2), rows(600, 1)
    made = baselines.independent(train, CODED, 600, 0)
    found = tables.scores(tables.Tables(made, test, train, CODED))
    assert found["column_distance"].value < 0.08
    assert found["pair_distance"].value > 5 * found["pair_distance_data"].value
    assert found["told_apart"].value > 0.8
    assert found["use"].value < found["use_data"].value - 0.1


def test_copies_are_memorised():
    train, test = rows(1500, 2), rows(600, 1)
    found = tables.scores(tables.Tables(train[:600], test, train, CODED))
    assert found["memorised"].value == 1.0
    np.testing.assert_allclose(tables.nearest(train[:50], train, CODED), 0.0, atol=1e-9)


def test_distances_count_levels_and_holes_as_one():
    train = np.array([[0.0, 1.0], [2.0, 1.0]])  # of standard deviation 1
    asked = np.array([[0.0, 0.0], [1.5, 1.0], [np.nan, 1.0]])
    coded = np.array([False, True])
    train_two = np.vstack([train, [[0.0, 0.0]]])
    spread = train_two[:, 0].std()
    np.testing.assert_allclose(
        tables.nearest(asked[1:2], train_two, coded), 0.5 / spread, rtol=1e-9
    )
    moved = np.array([[0.0, 2.0]])  # a level that is nowhere: its own place is empty
    assert tables.nearest(moved, train_two, coded)[0] == pytest.approx(np.sqrt(0.5))
    far = tables.nearest(np.array([[2.0, 0.0]]), train_two, coded)[0]
    assert far == pytest.approx(min(1.0, 2.0 / spread))
    hole = tables.nearest(asked[2:], train_two, coded)[0]
    middle = np.abs(train - train_two[:, 0].mean())[:, 0].min() / spread
    assert hole == pytest.approx(np.hypot(1.0, middle))


def test_the_copula_has_a_gaussians_correlation_and_each_columns_values():
    rng = fixed_rng(0)
    x = rng.standard_normal((4000, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    table = np.column_stack([x[:, 0], np.exp(x[:, 1]), (x[:, 0] > 0) + 0.0])
    coded = np.array([False, False, True])
    made = baselines.copula(table, coded, 4000, 1)
    assert np.isin(made, table).all()
    assert np.corrcoef(made[:, 0], np.log(made[:, 1]))[0, 1] == pytest.approx(0.8, abs=0.03)
    assert tables.column_distances(made, table, coded).max() < 0.04
    holes = np.where(rng.random(table.shape) < 0.3, np.nan, table)
    made = baselines.copula(holes, coded, 4000, 1)
    assert np.corrcoef(made[:, 0], np.log(made[:, 1]))[0, 1] == pytest.approx(0.8, abs=0.04)
    assert not np.isnan(made).any()


def test_too_few_rows_are_refused():
    with pytest.raises(UserError, match="one has 99"):
        tables.scores(tables.Tables(rows(99, 0), rows(200, 1), rows(200, 2), CODED))

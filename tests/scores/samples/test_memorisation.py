"""Copies of training examples are told from fresh ones."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from tests.margins import above, below, mean_is, near, within
from vae.errors import UserError
from vae.scores.samples import memorisation, neighbours


def normals(num, seed, size=4):
    return np.random.default_rng(seed).standard_normal((num, size))


def distances(*sets, train):
    return [neighbours.nearest(each, train)[1] for each in sets]


def test_copies_are_flagged_and_fresh_samples_are_not():
    train, held_out = normals(2000, 0), normals(1000, 1)
    copies = train[:600] + 1e-3 * normals(600, 2)
    mixed = np.concatenate([copies[:240], normals(360, 3)])  # 0.6 of them pass by chance in 100
    close, half, fresh, test = distances(copies, mixed, normals(600, 4), held_out, train=train)
    above(memorisation.memorised(close, test).mean(), 0.99)
    near(memorisation.memorised(half, test).mean(), 0.4 + 0.6 * 0.01, 0.03)
    below(memorisation.memorised(fresh, test).mean(), 0.05)
    of = [memorisation.data_copying(samples, test) for samples in (close, half, fresh)]
    assert [null for _, null in of] == [1.0] * 3
    below(of[0][0], -20.0)
    below(of[1][0], -8.0)
    within(of[2][0], 0.0, 1.0)
    above(memorisation.data_copying(test + 0.5, test)[0], 10.0)


def test_exact_copies_are_flagged():
    train, held_out = normals(500, 0), normals(200, 1)
    near, test = distances(train[:50], held_out, train=train)
    assert memorisation.memorised(near, test).all()


def test_copies_in_one_cell_are_not_hidden_by_the_others():
    train, test = normals(4000, 0, 2), normals(2000, 1, 2)
    samples = normals(2000, 2, 2)
    left = samples[:, 0] < -0.5
    samples[left] = train[train[:, 0] < -0.5][: left.sum()]
    samples[~left] *= 1.6  # the rest is too far from the data
    close, held_out = distances(samples, test, train=train)
    cells = [np.where(each[:, 0] < -0.5, 0, 1) for each in (samples, test)]
    value, null = memorisation.data_copying(close, held_out, *cells)
    parts = [
        memorisation.rank_score(close[cells[0] == cell], held_out[cells[1] == cell])
        for cell in (0, 1)
    ]
    weights = np.bincount(cells[1]) / 2000
    np.testing.assert_allclose(value, weights @ parts)
    np.testing.assert_allclose(null, np.sqrt(np.square(weights).sum()))
    below(parts[0], -10.0)
    above(parts[1], 2.0)


def test_data_copying_of_fresh_samples_has_its_standard_deviation():
    def one(seed):
        train, test, samples = (normals(num, [seed, num]) for num in (300, 250, 200))
        near, held_out = distances(samples, test, train=train)
        cells = [np.where(each[:, 0] < 0.3, 0, 1) for each in (samples, test)]
        return memorisation.data_copying(near, held_out, *cells)

    values, nulls = np.array([one(seed) for seed in range(1000)]).T
    scores = values / nulls
    mean_is(scores, 0.0)
    near(scores.std(), 1.0, 0.15)


def test_rank_score_with_and_without_ties():
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 5, 60), rng.integers(1, 6, 80)
    for a, b in ((ours, theirs), (rng.random(30), rng.random(40))):
        test = mannwhitneyu(
            a, b, alternative="two-sided", method="asymptotic", use_continuity=False
        )
        score = memorisation.rank_score(a, b)
        np.testing.assert_allclose(2.0 * norm.sf(abs(score)), test.pvalue, rtol=1e-9)
        np.testing.assert_allclose(memorisation.rank_score(b, a), -score)
    assert memorisation.rank_score(ours, theirs) < 0.0
    assert memorisation.rank_score(np.zeros(20), np.zeros(30)) == 0.0


def test_cells_are_those_of_the_training_set():
    train = np.concatenate([normals(100, seed) + 50.0 * seed for seed in range(3)])
    found, again = (memorisation.cells(train, train, train + 0.1, count=3) for _ in range(2))
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [len(set(found[0][part : part + 100])) for part in (0, 100, 200)] == [1, 1, 1]
    np.testing.assert_array_equal(*found)
    assert len(set(found[0])) == 3


def test_too_few_are_refused():
    with pytest.raises(UserError, match="give 100 or more"):
        memorisation.memorised(np.ones(50), np.ones(99))
    with pytest.raises(UserError, match="20 samples"):
        memorisation.data_copying(np.ones(19), np.ones(99))

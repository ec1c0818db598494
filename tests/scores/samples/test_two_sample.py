"""A classifier is at chance for equal distributions, and near 1 for different ones."""

import numpy as np
import pytest
from scipy.stats import kstest

from tests.margins import above, below, likely, mean_is, near
from vae.errors import UserError
from vae.scores.samples.two_sample import two_sample_test


def normals(num, seed, size=4, mean=0.0, scale=1.0):
    return mean + scale * np.random.default_rng(seed).standard_normal((num, size))


def test_equal_distributions_are_not_told_apart():
    found = [
        two_sample_test(normals(100, [1, seed]), normals(120, [2, seed]), seed, epochs=5)
        for seed in range(100)
    ]
    accuracy = np.array([told.accuracy for told in found])
    error = np.array([told.stderr for told in found])
    mean_is(accuracy, 0.5)
    near(np.sqrt(np.square(error).mean()), accuracy.std(), rel=0.5)
    p = np.array([told.p_value for told in found])
    likely(kstest(p, "uniform").pvalue)
    assert ((p > 0.0) & (p <= 1.0)).all()


def test_a_shift_and_a_scale_are_told_apart():
    told = two_sample_test(normals(400, 0), normals(400, 1, mean=3.0))
    above(told.accuracy, 0.97)
    below(np.log10(told.p_value), -20.0)
    assert told.trained == 200 and told.tested == 200
    # Of one mean: no line tells these apart.
    told = two_sample_test(normals(800, 0, 10), normals(800, 1, 10, scale=2.0), epochs=40)
    above(told.accuracy, 0.75)
    below(np.log10(told.p_value), -20.0)


def test_its_accuracy_and_error_are_those_of_the_held_out():
    told = two_sample_test(normals(100, 0), normals(90, 1, mean=0.7))
    assert (told.trained, told.tested) == (45, 45)
    correct = told.accuracy * 90
    np.testing.assert_allclose(correct, round(correct))
    assert 0.0 < told.stderr <= 0.5 / np.sqrt(90)


def test_it_follows_its_seed_and_takes_features_that_never_vary():
    sets = [np.pad(normals(80, seed, 3), ((0, 0), (0, 2))) for seed in (0, 1)]
    one, again, other = (two_sample_test(*sets, seed=seed, epochs=20) for seed in (3, 3, 4))
    assert one == again != other


def test_too_few_are_refused():
    with pytest.raises(UserError, match="40 examples.*one has 39"):
        two_sample_test(normals(39, 0), normals(100, 1))

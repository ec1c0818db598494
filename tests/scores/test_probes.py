"""Probes of planted codes: separable, of noise, linear, and with known errors."""

import numpy as np
import pytest
from scipy.stats import norm

from tests.margins import above, below, near, within
from vae.errors import UserError
from vae.scores import probes

CLASSIFIERS = {
    "linear_probe": {},
    "knn_probe": {"neighbours": 5},
    "few_label_probe": {"labels": (20,), "draws": 3},
}


def clusters(apart, classes=4, num=200, seed=0):
    """Classes of N(apart * e_c, I): codes and labels to train with and to test."""
    rng = np.random.default_rng(seed)
    y = np.tile(np.arange(classes), 2 * num)
    z = apart * np.eye(classes)[y] + rng.standard_normal((len(y), classes))
    half = classes * num
    return z[:half], y[:half], z[half:], y[half:]


def only(found):
    (entry,) = found.values()
    assert entry.better == "down"
    return entry


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_separable_classes_and_noise(name):
    probe, settings = getattr(probes, name), CLASSIFIERS[name]
    assert only(probe(*clusters(12.0), **settings)).value == 0.0
    near(only(probe(*clusters(0.0), **settings)).value, 0.75, 0.1)
    between = only(probe(*clusters(3.0), **settings)).value
    above(between, 0.0)
    below(between, 0.5)


def test_linear_probe_of_two_gaussians_makes_the_least_error_there_is():
    """N(0, 1) and N(2, 1): the best line errs with the probability of a draw beyond 1."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 4000)
    z = (2.0 * y + rng.standard_normal(8000))[:, None]
    found = only(probes.linear_probe(z[:4000], y[:4000], z[4000:], y[4000:]))
    within(found.value, norm.cdf(-1.0), found.stderr)
    p = found.value
    assert found.stderr == pytest.approx(np.sqrt(p * (1 - p) / 3999))


@pytest.mark.parametrize("name", [*CLASSIFIERS, "ridge_probe"])
def test_scale_of_latents_changes_nothing(name):
    z, y, test_z, test_y = clusters(2.0)
    probe, settings = getattr(probes, name), CLASSIFIERS.get(name, {})
    scale = np.array([-100.0, 1.0, 0.01, 3.0])
    before = only(probe(z, y, test_z, test_y, **settings)).value
    after = only(probe(z * scale + 7.0, y, test_z * scale + 7.0, test_y, **settings)).value
    near(after, before, 1e-2)


def test_ridge_probe_of_linear_targets_and_of_noise():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((16_000, 3))
    y = z @ rng.standard_normal((3, 2)) + [5.0, -1.0]
    noise = rng.standard_normal(16_000)
    half = slice(0, 8000), slice(8000, 16_000)

    def error(target):
        found = probes.ridge_probe(z[half[0]], target[half[0]], z[half[1]], target[half[1]])
        return only(found).value

    assert error(y) < 1e-5
    assert error(y[:, 0]) < 1e-5
    near(error(noise), 1.0, 0.02)
    near(error(z[:, 0] + noise), 0.5, 0.05)  # half of the variance
    constant = np.stack([y[:, 0], np.ones(16_000)], axis=1)
    assert error(constant) == pytest.approx(error(y[:, 0]))


def test_knn_probe_by_hand():
    z, y = np.array([[0.0], [1.0], [10.0]]), np.array([0, 0, 1])
    test_z, test_y = np.array([[0.4], [9.0], [4.0], [6.0]]), np.array([0, 1, 1, 1])
    found = only(probes.knn_probe(z, y, test_z, test_y, neighbours=1))
    assert found.value == 0.25
    assert only(probes.knn_probe(z, y, test_z, test_y, neighbours=3)).value == 0.75


def test_more_labels_make_fewer_errors():
    found = probes.few_label_probe(*clusters(3.0), labels=(1, 4, 100), draws=30)
    names = [f"probe_{num}_labels_error" for num in (1, 4, 100)]
    assert list(found) == names
    errors = [found[name].value for name in names]
    above(-np.diff(errors), 0.0)
    assert found[names[2]].stderr > 0.0
    above(np.log(found[names[0]].stderr / found[names[2]].stderr), 0.0)
    assert "30 draws of 4 of each of 4 classes, seed 0" in found[names[1]].unit


def test_all_labels_are_the_linear_probe():
    data = clusters(2.0, num=50)
    found = only(probes.few_label_probe(*data, labels=(50,), draws=2))
    assert found.value == only(probes.linear_probe(*data)).value
    assert found.stderr == 0.0


def test_draws_are_of_the_seed():
    data = clusters(2.0)
    first, again, other = (
        probes.few_label_probe(*data, labels=(2,), draws=3, seed=seed) for seed in (1, 1, 2)
    )
    assert only(first) == only(again)
    assert only(first).value != only(other).value


def test_labels_that_training_never_showed_and_a_single_class():
    z, y, test_z, test_y = clusters(12.0)
    few = y < 3
    found = only(probes.linear_probe(z[few], y[few], test_z, test_y))
    assert found.value == 0.25
    one = y == 2
    assert only(probes.linear_probe(z[one], y[one], test_z, test_y)).value == 0.75
    z[:, 1] = 4.0  # a latent that never varied
    assert only(probes.linear_probe(z, y, test_z, test_y)).value < 1.0


def nan(z):
    z = z.copy()
    z[2, 1] = np.nan
    return z


Z, Y, TEST_Z, TEST_Y = clusters(2.0, num=5)
REFUSED = {
    "training codes are not finite in 1 of 20": (nan(Z), Y, TEST_Z, TEST_Y),
    "test codes are not finite in 1 of 20": (Z, Y, nan(TEST_Z), TEST_Y),
    "20 training codes and 19 labels": (Z, Y[1:], TEST_Z, TEST_Y),
    "20 test codes and 19 labels": (Z, Y, TEST_Z, TEST_Y[1:]),
    "codes should be": (Z[:, :2], Y, TEST_Z, TEST_Y),
    "0 codes to train with": (Z[:0], Y[:0], TEST_Z, TEST_Y),
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("name", [*CLASSIFIERS, "ridge_probe"])
def test_what_is_refused(name, message):
    with pytest.raises(UserError, match=message):
        getattr(probes, name)(*REFUSED[message])


def test_settings_that_are_refused():
    data = (Z, Y, TEST_Z, TEST_Y)
    with pytest.raises(UserError, match="class 0 has 5 training examples"):
        probes.few_label_probe(*data, labels=(1, 6))
    with pytest.raises(UserError, match="draws=1"):
        probes.few_label_probe(*data, labels=(1,), draws=1)
    with pytest.raises(UserError, match="neighbours=21 should be from 1 to 20"):
        probes.knn_probe(*data, neighbours=21)
    with pytest.raises(UserError, match="labels should be whole numbers"):
        probes.linear_probe(Z, Y + 0.5, TEST_Z, TEST_Y)
    with pytest.raises(UserError, match="1 targets to train with and 2 to test"):
        probes.ridge_probe(Z, Y, TEST_Z, np.stack([TEST_Y, TEST_Y], axis=1))
    with pytest.raises(UserError, match="same value"):
        probes.ridge_probe(Z, Y * 0, TEST_Z, TEST_Y * 0)

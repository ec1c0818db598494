"""What `scores` and the metrics make of odd tables, and what they refuse."""

import numpy as np
import pytest

from tests.margins import near
from tests.scores.disentanglement.shared import QUICK, factors, gaussian, perfect, result
from vae.errors import UserError
from vae.scores import disentanglement

NAMES = list(disentanglement.METRICS)


def short(num=60, seed=0):
    rng = np.random.default_rng(seed)
    v = rng.integers(3, size=(num, 2))
    return v + 0.1 * rng.standard_normal((num, 2)), v


def dead(column=1):
    z, v = short()
    z[:, column] = 7.1
    return z, v


ODD = {
    "a constant latent": dead,
    "all latents constant": lambda: (np.full((60, 2), 0.1), short()[1]),
    "a constant factor": lambda: (short()[0], short()[1] * [1, 0] + [0, 4]),
    "one latent": lambda: (short()[0][:, :1], short()[1]),
    "one factor": lambda: (short()[0], short()[1][:, :1]),
    "one of each": lambda: (short()[0][:, :1], short()[1][:, :1]),
    "ten examples": lambda: short(10),
    "a value seen once": lambda: (short()[0], short()[1] + np.eye(60, 2, dtype=int) * 9),
    "whole numbers as codes": lambda: (short()[1], short()[1]),
    "whole numbers as floats": lambda: (short()[0].astype(np.float32), short()[1] * 1.0),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_tables_have_finite_scores(kind):
    z, v = ODD[kind]()
    for name in NAMES:
        for entry, value in result(name, z, v, np.full(z.shape, 0.2)).items():
            assert np.isfinite(value), (name, entry)
            assert -1.0 <= value <= 1.0 or entry == "infoe", (name, entry)


def test_a_constant_latent_counts_for_nothing():
    z, v = perfect(), factors()
    wide = np.concatenate([z, np.full((len(z), 1), 3.3)], axis=1)
    for name in NAMES:
        std = [np.full(codes.shape, 0.05) for codes in (z, wide)]
        after = result(name, wide, v, std[1])
        for entry, value in result(name, z, v, std[0]).items():
            assert after[entry] == pytest.approx(value, abs=1e-3), entry


def test_a_constant_factor_is_left_out():
    z, v = perfect(), factors()
    wide = np.concatenate([v, np.full((len(v), 1), 5)], axis=1)
    for name in ("mig_histogram", "modularity", "irs"):
        found = disentanglement.METRICS[name](z, wide)[name]
        assert found.value == disentanglement.METRICS[name](z, v)[name].value
        assert "1 more of one value left out" in found.unit


@pytest.mark.parametrize("name", ["factor_vae", "irs", "infomec"])
def test_inactive_latents_are_pruned_by_their_std(name):
    """A latent at its prior, its mean of little variance, as posterior collapse leaves it."""
    z = np.concatenate([perfect(), 0.01 * gaussian(latents=2)], axis=1)
    std = np.concatenate([np.full((len(z), 4), 0.1), np.ones((len(z), 2))], axis=1)
    best = result(name, perfect(), factors(), std[:, :4])
    for entry, value in result(name, z, factors(), std).items():
        near(value, best[entry], 0.01)
    found = disentanglement.METRICS[name](z, factors(), std)
    assert "4 of 6 latents" in next(iter(found.values())).unit
    z, std = z[:, 4:], std[:, 4:]  # none is left
    assert next(iter(result(name, z, factors(), std).values())) == 0.0


def test_scores_are_those_of_the_metrics():
    z, v = short()
    std = np.full(z.shape, 0.2)
    names = ["mig_histogram", "rmig", "factor_vae", "infomec"]
    found = disentanglement.scores(z, v, std, names=names, seed=3, bins=5)
    expected = disentanglement.mig_histogram(z, v, bins=5)
    expected |= disentanglement.rmig(z, v, std, bins=5)
    expected |= disentanglement.factor_vae(z, v, std, seed=3)
    expected |= disentanglement.infomec(z, v, std, seed=3, bins=5)
    assert found == expected
    for entry in found.values():
        assert isinstance(entry.value, float)
        assert entry.stderr is None or isinstance(entry.stderr, float)


def test_scores_without_std_leave_out_those_of_posteriors():
    z, v = short(30)
    found = disentanglement.scores(z, v)
    assert {"mig_histogram", "udr_lasso", "rmig", "mig_sampled"} & set(found) == {"mig_histogram"}
    with pytest.raises(UserError, match="rmig: give the std"):
        disentanglement.scores(z, v, names=["irs", "rmig"])


def test_a_wrong_name_is_met_with_the_right_ones():
    with pytest.raises(UserError, match="names='mig_histogramm' is not one of.*did you mean"):
        disentanglement.scores(*short(), names=["mig_histogramm"])


def spoilt(z, value):
    z = z.copy()
    z[3, 1] = value
    return z


Z, V = short()
REFUSED = {
    "not finite in 1 of 60 examples": (spoilt(Z, np.nan), V, None),
    "not finite in 1 of 60": (spoilt(Z, np.inf), V, None),
    "60 codes and 59 rows": (Z, V[1:], None),
    "too few": (Z[:9], V[:9], None),
    "codes should be": (Z[:, 0], V, None),
    "factors should be whole numbers .N, F.": (Z, V[:, 0], None),
    "number the values of each": (Z, V + 0.5, None),
    "every factor has the same value": (Z, V * 0, None),
    "std is": (Z, V, np.ones((60, 3))),
    "not positive": (Z, V, np.zeros((60, 2))),
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_refused(name, message):
    codes, v, std = REFUSED[message]
    about_std = std is not None
    if about_std and name not in ("factor_vae", "mig_sampled", "rmig", "irs", "infomec"):
        return
    std = std if about_std else np.ones(np.shape(codes))
    with pytest.raises(UserError, match=message):
        result(name, codes, v, std)


@pytest.mark.parametrize("name", ["beta_vae", "factor_vae"])
def test_a_factor_that_is_never_the_same(name):
    v = np.stack([V[:, 0], np.arange(60)], axis=1)
    with pytest.raises(UserError, match="another value in every example"):
        disentanglement.METRICS[name](Z, v, **QUICK[name])

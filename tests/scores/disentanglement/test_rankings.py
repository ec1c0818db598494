"""UDR of models that agree, that agree up to a rotation, and that do not."""

import numpy as np
import pytest

from tests.margins import above, below
from tests.scores.disentanglement.shared import HADAMARD, gaussian, noisy, perfect
from vae.errors import UserError
from vae.scores.disentanglement import rankings, udr


def value(codes, entry, **given):
    return udr(codes, **given)[entry].value


def alike():
    """The same latents in other orders, signs and scales."""
    z = perfect()
    return [z, -z[:, [2, 0, 3, 1]], 5.0 * z[:, ::-1] + 1.0]


def test_models_that_agree_score_the_maximum():
    assert value(alike(), "udr_spearman") == pytest.approx(1.0)
    assert value(alike(), "udr_lasso") == pytest.approx(0.9)  # uncorrelated: weights 1 - penalty
    assert value(alike(), "udr_lasso", penalty=0.3) == pytest.approx(0.7)


@pytest.mark.parametrize("entry", ["udr_spearman", "udr_lasso"])
def test_rotated_models_and_noise_score_less(entry):
    rotated = value([perfect(), perfect() @ HADAMARD], entry)
    apart = value([noisy(1.5), perfect() + 1.5 * gaussian(1)], entry)
    nothing = value([gaussian(0), gaussian(1), gaussian(2)], entry)
    below(nothing, 0.06)
    above(apart - nothing, 0.0)
    below(apart, value(alike(), entry) - 0.3)
    below(rotated, 0.3)


def test_a_model_apart_ranks_last():
    found = udr([*alike(), gaussian(5)])
    for kind in ("udr_spearman", "udr_lasso"):
        each = [found[f"{kind}_{m}"].value for m in range(4)]
        assert np.argmin(each) == 3
        assert found[kind].value == pytest.approx(np.mean(each))


def test_relative_strength():
    assert rankings.relative_strength(np.eye(3)) == 1.0
    assert rankings.relative_strength(np.full((2, 2), 0.5)) == pytest.approx(0.25)
    # A second copy in one model: its columns have 1/2 and the others 1, of 2 + 1 latents.
    assert rankings.relative_strength(np.array([[1.0, 1.0]])) == pytest.approx((0.5 + 1 + 1) / 3)
    assert rankings.relative_strength(np.zeros((2, 3))) == 0.0
    assert rankings.relative_strength(np.zeros((0, 3))) == 0.0


def test_spearman_is_of_ranks():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((50, 2))
    R = rankings.spearman(a, np.exp(3.0 * a[:, ::-1]))
    np.testing.assert_allclose(np.diag(R[:, ::-1]), 1.0)


def test_lasso_has_the_first_models_latents_in_rows():
    z = perfect()
    R = rankings.lasso_weights(2.0 * z[:, :1], z[:, :3], 0.1)  # the other way: (2 - 0.1) / 4
    np.testing.assert_allclose(R, [[1.9, 0.0, 0.0]], atol=1e-9)
    assert rankings.lasso_weights(z[:, :3], z[:, 1:2], 0.1).shape == (3, 1)


def test_inactive_latents_and_other_widths():
    z = np.concatenate([perfect(), 0.01 * gaussian(latents=2)], axis=1)
    std = np.concatenate([np.full((len(z), 4), 0.1), np.ones((len(z), 2))], axis=1)
    codes, stds = [z, perfect(), perfect()], [std, std[:, :4], std[:, :4]]
    assert value(codes, "udr_spearman", stds=stds) == pytest.approx(1.0)
    below(value(codes, "udr_spearman_0"), 0.9)
    none = [np.full((20, 2), 1.0), np.random.default_rng(0).standard_normal((20, 2))]
    assert value(none, "udr_lasso") == value(none, "udr_spearman") == 0.0


@pytest.mark.parametrize(
    "codes, message",
    [
        ([np.zeros((20, 2))], "two models or more: 1 models"),
        ([np.zeros((20, 2)), np.zeros((21, 2))], r"\[20, 21\]"),
        ([np.ones((20, 2)), np.full((20, 2), np.nan)], "not finite"),
    ],
)
def test_what_is_refused(codes, message):
    with pytest.raises(UserError, match=message):
        udr(codes)

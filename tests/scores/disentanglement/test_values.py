"""Single metrics against closed forms and integrals."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tests.margins import above, below, near, within
from tests.scores.disentanglement.shared import factors, gaussian, perfect
from vae.errors import UserError
from vae.scores import disentanglement
from vae.scores.disentanglement import (
    fixed_factors,
    importances,
    information,
    inputs,
    modular,
    usable_information,
)

LOG2 = np.log(2.0)


def signs(num=4):
    """All of {0, 1}^2, each `num` times, [4 num, 2]."""
    return np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (num, 1))


def of(found, entry=None):
    return found[entry or next(iter(found))].value


def test_entropy_and_information_of_a_known_table():
    p = np.array([[1 / 2, 0.0], [1 / 4, 1 / 4]])
    assert information.entropy(p) == pytest.approx(1.5 * LOG2)
    expected = 1.5 * LOG2 - 0.75 * np.log(3.0)  # H(a) + H(b) - H(a, b), with H(b) of (3/4, 1/4)
    assert information.mutual_information(p) == pytest.approx(expected)
    a, b = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
    np.testing.assert_allclose(information.joint(a, b), p)
    np.testing.assert_allclose(information.joint(b, a), p.T)
    np.testing.assert_allclose(information.matrix(a[:, None] * 1.0, b[:, None]), [[expected]])


def test_information_has_latents_in_rows_and_factors_in_columns():
    v = factors()
    I = information.matrix(perfect()[:, [2, 0]], v)  # noqa: E741
    expected = np.zeros((2, 4))
    expected[0, 2] = expected[1, 0] = np.log(3.0)
    np.testing.assert_allclose(I, expected, atol=1e-12)


@pytest.mark.parametrize("bins", [2, 20, "quantile"])
def test_bins(bins):
    z = np.random.default_rng(0).exponential(size=(4000, 1))
    found = np.bincount(information.binned(z, bins)[:, 0])
    assert len(found) == (20 if bins == "quantile" else bins)
    if bins == "quantile":
        np.testing.assert_array_equal(found, 200)
    else:
        np.testing.assert_array_equal(found, np.histogram(z[:, 0], bins)[0])


@pytest.mark.parametrize("bins", [1, 2.5, "equal"])
def test_bins_that_there_are_not(bins):
    with pytest.raises(UserError, match="bins="):
        disentanglement.modularity(perfect(), factors(), bins=bins)


def test_every_binned_metric_says_its_bins():
    z, std = perfect(), np.full(perfect().shape, 0.1)
    for name in ("mig_histogram", "rmig", "modularity", "infomec"):
        given = {"std": std} if name == "rmig" else {}
        for bins, words in ((7, "7 equal-width bins"), ("quantile", "20 equal-mass bins")):
            found = disentanglement.METRICS[name](z, factors(), bins=bins, **given)
            assert any(words in entry.unit for entry in found.values())
            assert of(found) == pytest.approx(1.0, abs=1e-2)


def test_mig_of_a_symmetric_channel():
    """A code that is the factor, flipped in one example of eight: I = log 2 - H(1/8)."""
    v = np.tile(np.repeat([0, 1], 8), 10)
    z = np.where(np.tile(np.arange(8) == 0, 20), 1 - v, v)
    flipped = information.entropy(np.array([1 / 8, 7 / 8]))
    found = disentanglement.mig_histogram(z[:, None] * 1.0, v[:, None])
    assert of(found) == pytest.approx(1.0 - flipped / LOG2)


def test_rmig_of_gaussians_on_either_side_of_the_edge():
    """Two bins: a channel that flips with the probability of a draw beyond the middle."""
    v = signs(4)[:, :1]
    found = disentanglement.rmig(2.0 * v - 1.0, v, np.full(v.shape, 0.7), bins=2)
    flip = norm.cdf(-1 / 0.7)
    channel = information.entropy(np.array([flip, 1.0 - flip]))
    assert of(found) == pytest.approx(1.0 - channel / LOG2)


def test_mig_sampled_against_an_integral():
    """I of a fair bit and N(+-1, s^2), by quadrature."""
    s = 0.8
    v = signs(4)[:, :1]
    found = disentanglement.mig_sampled(2.0 * v - 1.0, v, np.full(v.shape, s), samples=20_000)

    def density(z):
        return 0.5 * (norm.pdf(z, -1, s) + norm.pdf(z, 1, s))

    H = quad(lambda z: -density(z) * np.log(density(z)), -8, 8)[0]
    expected = (H - norm(0, s).entropy()) / LOG2
    entry = found["mig_sampled"]
    assert 0 < entry.stderr
    below(entry.stderr, 0.01)
    within(entry.value, expected, entry.stderr)


def test_mig_sampled_takes_the_second_best_latent():
    """A latent for each of two bits, the second bit in both: its gap is that of two channels."""
    v = signs(50)
    z = (2.0 * v - 1.0)[:, [0, 1, 1]]
    std = np.broadcast_to([0.05, 0.05, 0.8], z.shape)
    alone = disentanglement.mig_sampled(z[:, 2:], v[:, 1:], std[:, 2:], samples=4000)
    found = disentanglement.mig_sampled(z, v, std, samples=4000)
    near(of(found), (1.0 + 1.0 - of(alone)) / 2, 0.05)


def test_dci_of_known_importances():
    assert importances.dci(np.eye(3)) == (1.0, 1.0)
    assert importances.dci(np.ones((3, 2))) == pytest.approx((0.0, 0.0))
    assert importances.dci(np.zeros((3, 2))) == (0.0, 0.0)
    # One latent for both of two factors, one for none: no disentanglement, all completeness.
    assert importances.dci(np.array([[1.0, 1.0], [0.0, 0.0]])) == pytest.approx((0.0, 1.0))
    # Weights are the latents' shares of importance.
    half = 1.0 - information.entropy(np.array([1 / 4, 3 / 4])) / LOG2
    found = importances.dci(np.array([[1.0, 3.0], [0.0, 12.0]]))
    assert found[0] == pytest.approx(0.25 * half + 0.75)


def test_modularity_of_a_latent_of_two_factors_and_one_of_one():
    v = signs(8)
    both = 2.0 * v[:, 0] + v[:, 1]
    assert of(disentanglement.modularity(both[:, None], v)) == pytest.approx(0.0, abs=1e-9)
    z = np.stack([both, v[:, 0]], axis=1)
    assert of(disentanglement.modularity(z, v)) == pytest.approx(0.5)


def test_irs_of_a_sum():
    """z = a + b of two signs: it moves by 1 where one is fixed, and by 2 in all."""
    v = signs(8)
    z = (2.0 * v - 1.0).sum(1, keepdims=True)
    assert of(disentanglement.irs(z, v, quantile=1.0)) == pytest.approx(0.5)


def test_irs_counts_values_alike():
    """Of two values the frequent one moves the code as far as anything, the other not at all."""
    v = np.repeat([0, 0, 1], 8)[:, None]
    z = np.concatenate([np.tile([1.0, -1.0], 8), np.zeros(8)])[:, None]
    assert of(disentanglement.irs(z, v, quantile=1.0)) == pytest.approx(0.5)


def test_pairs_are_of_two_rows_with_the_same_value():
    """Each value is that of two rows 1 apart, or of ten 100 apart: no row is its own pair."""
    v = np.stack([np.repeat(np.arange(10), 2), np.tile(np.arange(2), 10)], axis=1)
    z = 100.0 * v[:, :1] + v[:, 1:]
    table = inputs.read(z, v)
    points, factor = fixed_factors.differences(table, 200, 1, np.random.default_rng(0))
    hundreds = points[:, 0] * z.std() / 100.0
    np.testing.assert_allclose(hundreds[factor == 0], 0.01)
    np.testing.assert_allclose(hundreds[factor == 1], np.round(hundreds[factor == 1]))
    assert hundreds[factor == 1].min() > 0.5


def test_sap_r2_of_sums():
    """The correlation of a + b with a is 1/2 squared; that of a + 2b with a 1/5 and with b 4/5."""
    v = signs(8)
    z = np.stack([v[:, 0] + v[:, 1], v[:, 0] + 2 * v[:, 1]], axis=1)
    expected = ((1 / 2 - 1 / 5) + (4 / 5 - 1 / 2)) / 2
    assert of(disentanglement.sap(z, v), "sap_r2") == pytest.approx(expected)


def test_area_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(5, size=60) * 1.0, rng.random(60) < 0.3
    pairs = scores[positive][:, None] - scores[~positive]
    expected = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    assert modular.area(scores, positive) == pytest.approx(expected)
    assert np.isnan(modular.area(scores, np.ones(60, bool)))


def test_infoe_of_a_symmetric_channel():
    """The best linear classifier of a bit flipped in one example of eight knows that share."""
    v = np.tile(np.repeat([0, 1], 8), 10)
    z = np.where(np.tile(np.arange(8) == 0, 20), 1 - v, v)[:, None] * 1.0
    rows = np.arange(len(z))
    flipped = information.entropy(np.array([1 / 8, 7 / 8]))
    saved = usable_information.saving(z, v, 2, rows, rows, 200)
    assert saved == pytest.approx(1.0 - flipped / LOG2, abs=1e-5)


def test_largest_share():
    assert usable_information.largest_share(np.eye(3)) == 1.0
    assert usable_information.largest_share(np.ones((3, 4))) == pytest.approx(0.0)
    assert usable_information.largest_share(np.array([[3.0, 1.0], [0.0, 0.0]])) == pytest.approx(
        0.5
    )
    assert usable_information.largest_share(np.zeros((2, 2))) == 0.0


@pytest.mark.parametrize("name", ["beta_vae", "factor_vae"])
def test_stderr_is_that_of_a_share(name):
    z = perfect() + 1.5 * gaussian()
    size = {"points": 400, "pairs": 8} if name == "beta_vae" else {"votes": 400, "size": 8}
    (entry,) = disentanglement.METRICS[name](z, factors(), **size).values()
    p = entry.value
    above(p, 0.1)
    below(p, 1.0)
    assert entry.stderr == pytest.approx(np.sqrt(p * (1 - p) / 400))

"""Outlier scores: closed forms on Gaussians, and what each is for."""

import numpy as np
import pytest
from scipy.stats import norm

from tests.margins import above, below, mean_is, near
from vae.errors import UserError
from vae.scores import outliers


def log_normal(x, mean=0.0, std=1.0):
    return norm(mean, std).logpdf(x).sum(-1)


def test_auroc_is_the_probability_of_a_right_order():
    """Two unit normals d apart: Phi(d / sqrt 2); its standard error over repeats is DeLong's."""
    rng = np.random.default_rng(0)
    found = [
        outliers.auroc(rng.normal(size=200), rng.normal(1.0, size=300)) for _ in range(1000)
    ]
    values = np.array([metric.value for metric in found])
    expected = norm.cdf(1 / np.sqrt(2))
    mean_is(values, expected)
    near(np.mean([metric.stderr for metric in found]), values.std(), rel=0.15)


def test_auroc_counts_ties_half_and_knows_its_ends():
    assert outliers.auroc(np.zeros(5), np.zeros(7)).value == 0.5
    assert outliers.auroc(np.zeros(5), np.ones(7)).value == 1.0
    assert outliers.auroc(np.ones(5), np.zeros(7)).value == 0.0
    assert outliers.auroc([0.0, 1.0], [0.5, 1.0]).value == pytest.approx((1 + 0 + 1 + 0.5) / 4)


def test_scores_are_their_formulas():
    log_p = np.array([[-1.0, -5.0], [-3.0, -5.0]])
    np.testing.assert_allclose(outliers.likelihood(log_p[0]), [1.0, 5.0])
    np.testing.assert_allclose(outliers.likelihood_ratio(log_p[0], [-2.0, -2.0]), [-1.0, 3.0])
    np.testing.assert_allclose(outliers.waic(log_p), [1.0 + 2.0, 5.0])
    np.testing.assert_allclose(outliers.typicality(log_p[0], [-2.0, -4.0]), [2.0, 2.0])


def test_typicality_finds_what_is_too_likely():
    """The mode of a wide Gaussian is most likely, and is never seen."""
    rng = np.random.default_rng(0)
    training, inside = rng.normal(size=(2, 500, 100))
    outside = 0.1 * rng.normal(size=(500, 100))
    found = outliers.scores(log_normal(inside), log_normal(outside), log_normal(training))
    below(found["auroc_likelihood"].value, 0.01)
    above(found["auroc_typicality"].value, 0.99)


def test_a_background_model_takes_away_what_is_no_news():
    """Foreground of 5 numbers, background of 500 whose scale changes from set to set."""
    rng = np.random.default_rng(0)
    fore = rng.normal(size=(400, 5)), rng.normal(3.0, size=(400, 5))
    back = rng.normal(size=(400, 500)), 0.8 * rng.normal(size=(400, 500))
    log_back = [log_normal(b) for b in back]
    inside, outside = (log_normal(f) + b for f, b in zip(fore, log_back, strict=True))
    backgrounds = [log_normal(f, 0.0, 3.0) + b for f, b in zip(fore, log_back, strict=True)]
    found = outliers.scores(inside, outside, inside, backgrounds)
    below(found["auroc_likelihood"].value, 0.1)
    above(found["auroc_likelihood_ratio"].value, 0.99)


def test_an_ensemble_disagrees_where_it_was_not_trained():
    """Models whose means differ in 5 of 20 numbers, and rows that are wide there alone: as a whole
    hardly less likely, and the variance of log p grows away from the means."""
    rng = np.random.default_rng(0)
    part = np.repeat([1.0, 0.0], [5, 15])
    means = 0.5 * part * rng.normal(size=(20, 1, 20))
    inside, outside = rng.normal(size=(2, 300, 20))
    outside *= np.where(part, 2.0, 0.7)
    of = [np.stack([log_normal(x, mean) for mean in means]) for x in (inside, outside)]
    found = outliers.scores(*of, of[0][0])
    above(found["auroc_waic"].value - found["auroc_likelihood"].value, 0.0)
    above(found["auroc_likelihood"].value, 0.5)


def test_a_flat_picture_compresses_to_fewer_nats():
    rng = np.random.default_rng(0)
    flat, noisy = np.zeros((3, 28, 28, 1)), rng.random((3, 28, 28, 1))
    assert (outliers.compressed_nats(flat) > outliers.compressed_nats(noisy)).all()
    eight_bits = -outliers.compressed_nats(noisy) / (28 * 28 * np.log(2))
    near(eight_bits, 8.0, 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: outliers.likelihood([np.nan]), "not finite"),
        (lambda: outliers.waic(np.zeros(5)), "several models"),
        (lambda: outliers.likelihood_ratio(np.zeros(3), np.zeros(4)), "one value for each"),
        (lambda: outliers.auroc([1.0], [1.0, 2.0]), "at least 2"),
    ],
)
def test_wrong_arrays_are_refused(call, words):
    with pytest.raises(UserError, match=words):
        call()

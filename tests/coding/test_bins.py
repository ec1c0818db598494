"""Bins of equal mass against the normal distribution they are made of."""

import numpy as np
import pytest
from scipy.stats import norm

from vae.coding.bins import Bins


def masses_of(bins, mean, std):
    """Share of each bin [..., count], as the product of its digits'."""
    number = np.arange(bins.count)
    found = 1.0
    for digit in range(len(bins.digits)):
        before, value = bins.before(number, digit), bins.digit(number, digit)
        shares = bins.masses(mean[..., None], std[..., None], digit, before[None])
        found = found * np.take_along_axis(shares, value[None, :, None], axis=-1)[..., 0]
    return found


@pytest.mark.parametrize("precision", [1, 6, 10, 13])
def test_bins_are_as_likely_under_the_prior(precision):
    bins = Bins(precision)
    assert sum(bins.digits) == precision
    masses = masses_of(bins, np.zeros(3), np.ones(3))
    assert masses.shape == (3, 2**precision)
    np.testing.assert_allclose(masses, 2.0**-precision, rtol=1e-9)


def test_the_decoder_sees_the_median_of_a_bin():
    bins = Bins(6)
    np.testing.assert_allclose(norm.cdf(bins.middles), (np.arange(64) + 0.5) / 64, atol=1e-6)


def test_masses_are_those_of_the_posterior():
    bins, mean, std = Bins(8), np.array([0.3, -5.0, 40.0]), np.array([0.5, 0.01, 1.0])
    masses = masses_of(bins, mean, std)
    np.testing.assert_allclose(masses.sum(-1), 1.0)
    edges = norm.ppf(np.arange(1, 256) / 256)
    np.testing.assert_allclose(masses[0].cumsum()[:-1], norm.cdf(edges, 0.3, 0.5), rtol=1e-9)
    assert masses[1, 0] == 1.0 and masses[2, -1] == 1.0  # far out, one bin has it all

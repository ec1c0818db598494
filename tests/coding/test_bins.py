"""Bins of equal mass against the normal distribution they are made of."""

import numpy as np
import pytest
from scipy.stats import norm

from vae.coding.bins import Bins


@pytest.mark.parametrize("precision", [1, 4, 10])
def test_bins_are_as_likely_under_the_prior(precision):
    bins = Bins(precision)
    masses = bins.masses(np.zeros(3), np.ones(3))
    assert masses.shape == (3, 2**precision)
    np.testing.assert_allclose(masses, 2.0**-precision, rtol=1e-9)


def test_the_decoder_sees_the_median_of_a_bin():
    bins = Bins(6)
    np.testing.assert_allclose(norm.cdf(bins.middles), (np.arange(64) + 0.5) / 64, atol=1e-6)


def test_masses_are_those_of_the_posterior():
    bins, mean, std = Bins(3), np.array([0.3, -2.0, 40.0]), np.array([0.5, 0.01, 1.0])
    masses = bins.masses(mean, std)
    np.testing.assert_allclose(masses.sum(-1), 1.0)
    edges = norm.ppf(np.arange(1, 8) / 8)
    np.testing.assert_allclose(masses[0].cumsum()[:-1], norm.cdf(edges, 0.3, 0.5), rtol=1e-9)
    assert masses[1, 0] == 1.0 and masses[2, -1] == 1.0  # far out, one bin has it all

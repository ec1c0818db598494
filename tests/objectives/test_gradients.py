"""The gradient of every objective that has one is its slope, in float64.

The others give each part of the model the gradient of a loss of its own (piwae, stl, dreg,
factor_vae, sigma_vae, vq): see their own files.
"""

import pytest

from tests.objectives.shared import check_slope
from vae import objectives

OWN = ("dreg", "factor_vae", "piwae", "sigma_vae", "stl", "vq")
SETTINGS = [
    *((name, {}) for name in objectives.__all__ if name not in OWN),
    ("beta_tcvae", {"objective__estimator": "weighted"}),
    ("beta_tcvae", {"objective__estimator": "exact"}),
    ("free_bits", {"objective__group_size": 2}),
    ("info_vae", {"objective__kernel": "rbf"}),
]


FAST = ("elbo", "beta_tcvae", "iwae")


@pytest.mark.parametrize(
    ("name", "changes"),
    [pytest.param(*s, marks=() if s[0] in FAST else pytest.mark.slow) for s in SETTINGS],
)
def test_gradients_are_finite_differences_in_float64(name, changes):
    check_slope(name, **{"objective__samples": 3, "objective__batches": 2, **changes})

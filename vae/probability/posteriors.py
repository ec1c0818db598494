"""Approximate posteriors q(z|x), chosen by name: see `vae.protocols.Posterior`.

Their parameters are the head's `kernel` and `bias`, which give the parameters of the (base)
Gaussian, and what a flow has besides.
"""

from vae.probability.flow_posteriors import (
    iaf,
    planar,
    radial,
    sylvester_householder,
    sylvester_orthogonal,
    sylvester_triangular,
)
from vae.probability.gaussian_posteriors import diagonal, full_covariance
from vae.probability.hyperspherical import von_mises_fisher

__all__ = [
    "diagonal",
    "full_covariance",
    "iaf",
    "planar",
    "radial",
    "sylvester_householder",
    "sylvester_orthogonal",
    "sylvester_triangular",
    "von_mises_fisher",
]

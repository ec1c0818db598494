"""Approximate posteriors q(z|x), chosen by name: what the encoder's features become.

Each is a Flax module, whose fields are set from the config keys `model.*` of the same names. Called
with features [B, F] it gives a distribution of type `distribution` (see `distributions.py`). Its
parameters are the head's `kernel` and `bias`, which give the parameters of the (base) Gaussian, and
what a flow has besides. `maskable`: each latent has its own features, so some can be left out (see
VAE); their distributions have `masked`.
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

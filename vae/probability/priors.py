"""Priors p(z), chosen by name: see `vae.protocols.Prior`."""

from vae.probability.flow_priors import autoregressive, realnvp, spline
from vae.probability.gaussian_priors import conditional, mixture, normal, vamp
from vae.probability.hyperspherical import sphere

__all__ = [
    "autoregressive",
    "conditional",
    "mixture",
    "normal",
    "realnvp",
    "sphere",
    "spline",
    "vamp",
]

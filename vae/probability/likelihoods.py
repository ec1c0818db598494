"""Likelihoods p(x|z), chosen by name; their parameters are the decoder's outputs.

See `vae.protocols.Likelihood`.
"""

from vae.probability.categories import bernoulli, categorical, categorical_tokens
from vae.probability.columns import columns
from vae.probability.counts import (
    multinomial,
    negative_binomial,
    zero_inflated_negative_binomial,
)
from vae.probability.densities import (
    continuous_bernoulli,
    gaussian_fixed,
    gaussian_learned,
    gaussian_per_pixel,
    laplace,
)
from vae.probability.discretized import discretized_logistic, discretized_logistic_mixture

__all__ = [
    "bernoulli",
    "categorical",
    "categorical_tokens",
    "columns",
    "continuous_bernoulli",
    "discretized_logistic",
    "discretized_logistic_mixture",
    "gaussian_fixed",
    "gaussian_learned",
    "gaussian_per_pixel",
    "laplace",
    "multinomial",
    "negative_binomial",
    "zero_inflated_negative_binomial",
]

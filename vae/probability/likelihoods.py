"""Likelihoods p(x|z): what the decoder's outputs are the parameters of, chosen by name.

Each is a small frozen dataclass, whose fields are set from the config keys `model.*` of the same
names; `levels` is the data set's. x is [B, H, W, C], and [B, D, 1] for vectors; the decoder's
outputs are theta [..., H, W, channels(C)], the parameters in blocks one after the other. It has

- `kinds`: the data it is for: binary, grey, real, counts, tokens; `vectors` = True: only [B, D];
- `discrete`: x takes one of a fixed number of values and log_prob is a log probability, so that
  bits per dimension are legal. Not of densities; nor of counts, which no number of levels bounds;
- `channels(C)`: decoder outputs a pixel; `num_scalars` learned numbers, which `initial_scalars()`
  starts, are appended to them by the model as further blocks;
- `encoder_input(x)`: what the encoder sees of x [B, *shape];
- `output_bias(mean)`: decoder outputs [H, W, channels] whose mean is the data's, to start at;
- `log_prob(theta, x)`: [..., B] nats, constants included, computed in float32; finite with its
  gradient for any outputs, but where a Gaussian's or a Laplace's own log scale, which nothing
  bounds, leaves float32. The others' log scales pass `elementwise.bounded`, and only there;
- `mean(theta)`, `sample(key, theta)`: [..., H, W, C], in the space of x.
"""

from vae.probability.categories import bernoulli, categorical, categorical_tokens
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

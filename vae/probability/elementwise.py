"""Element-wise numerics that likelihoods share: stable in float32, with their gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

BOUND = 15.0  # of a log scale, log mean or log dispersion: factors of 3e-7 to 3e6
HALF_LOG_2PI = 0.9189385332046727


def flat(values: jax.Array, x: jax.Array) -> jax.Array:
    """values [..., *event] with the event axes of x [B, *event] made one: [..., D].

    Element-wise work and sums over several axes, the last of size 1, are 10 times slower on CPUs.
    """
    return values.reshape(*values.shape[: values.ndim - x.ndim + 1], -1)


# log(1 + e) / e on [0, 1] to 1e-8 as a polynomial in e, highest power first.
_FIT = np.polynomial.Chebyshev.interpolate(lambda e: np.log1p(e) / e, 9, domain=[0.0, 1.0])
_LOG1P = _FIT.convert(kind=np.polynomial.Polynomial).coef[::-1].tolist()


def _log1p(e: jax.Array) -> jax.Array:
    """log(1 + e) for e in [0, 1], to float32's rounding: where there is a gradient, a CPU takes a
    third of the time of jnp.log1p. Where there is none, YNNPACK has the whole decoder in one kernel
    call, and is faster with log1p."""
    return e * functools.reduce(lambda total, coefficient: total * e + coefficient, _LOG1P)


@jax.custom_jvp
def softplus(logits: jax.Array) -> jax.Array:
    """log(1 + exp(l)) without overflow. The derivative is written as the sigmoid, so value and
    gradient share one exponential: together they are the dearest element-wise work of a step."""
    return jnp.maximum(logits, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))


@softplus.defjvp
def _softplus_jvp(primals, tangents):
    (logits,), (tangent,) = primals, tangents
    decay = jnp.exp(-jnp.abs(logits))
    sigmoid = jnp.where(logits >= 0, 1.0, decay) / (1.0 + decay)
    return jnp.maximum(logits, 0.0) + _log1p(decay), sigmoid * tangent


def bounded(raw: jax.Array) -> jax.Array:
    """A decoder output as the logarithm of a scale: 15 tanh(raw / 15).

    The one bound there is on such outputs. It is smooth, nearly the identity where models live
    (-2.96 for -3), and applied alike by log_prob, mean and sample.
    """
    return BOUND * jnp.tanh(raw / BOUND)


def unbounded(log_scale: np.ndarray) -> np.ndarray:
    """The inverse of `bounded`, for |log_scale| < 15."""
    return BOUND * np.arctanh(np.asarray(log_scale) / BOUND)


def log_ratio(above: jax.Array, below: jax.Array, difference: jax.Array) -> jax.Array:
    """log(above / below), both positive, where `difference` is above - below without rounding:
    precise to that difference where the two are nearly equal."""
    close = jnp.abs(difference) < 0.5 * below
    near = jnp.log1p(jnp.where(close, difference, 0.0) / below)
    return jnp.where(close, near, jnp.log(jnp.where(close, 1.0, above / below)))


def stirling_error(z: jax.Array) -> jax.Array:
    """log Gamma(z + 1) less Stirling's (z + 1/2) log z - z + log(2 pi) / 2, for z > 0.

    At most 0.082 from z = 1 on. Probabilities of counts are made of this and of logarithms of
    ratios. Differences of log Gamma would lose all digits at large counts in float32 (Loader 2000,
    "Fast and accurate computation of binomial probabilities").
    """
    small = z < 8.0
    low, high = jnp.where(small, z, 1.0), jnp.where(small, 8.0, z)
    exact = jax.lax.lgamma(low + 1.0) - (low + 0.5) * jnp.log(low) + low - HALF_LOG_2PI
    inverse = 1.0 / high
    square = jnp.square(inverse)
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    return jnp.where(small, exact, series)


def tilted_mean(tilt: np.ndarray) -> np.ndarray:
    """Mean on [0, 1] of the density proportional to exp(tilt x), in float64 on the host."""
    tilt = np.asarray(tilt, np.float64)
    safe = np.where(np.abs(tilt) < 1e-2, 1.0, tilt)
    return np.where(
        np.abs(tilt) < 1e-2, 0.5 + tilt / 12, 0.5 + 0.5 / np.tanh(0.5 * safe) - 1 / safe
    )


def solve(function, target: np.ndarray, reach: float) -> np.ndarray:
    """Where an increasing function of [-reach, reach] takes the values `target`: by bisection."""
    low, high = np.full_like(target, -reach), np.full_like(target, reach)
    for _ in range(50):
        middle = 0.5 * (low + high)
        under = function(middle) < target
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return 0.5 * (low + high)

"""Monotone rational-quadratic splines (Gregory & Delbourgo 1982; Durkan et al. 2019, section 3.1).

They map [-BOUND, BOUND] onto itself, and are the identity outside.
"""

import jax
import jax.numpy as jnp

BOUND = 5.0
LEAST = 1e-3  # share of a bin in the width, and slope at a knot, so that nothing is ever singular
LOG_E_MINUS_1 = 0.541324854612918


def numbers(bins: int) -> int:
    """Parameters of one spline: widths and heights of its bins, slopes at the inner knots."""
    return 3 * bins - 1


def _knots(raw: jax.Array) -> jax.Array:
    """Raw sizes of bins [..., K] -> where they begin and end [..., K + 1], from -BOUND to BOUND."""
    share = LEAST + (1.0 - LEAST * raw.shape[-1]) * jax.nn.softmax(raw, axis=-1)
    inner = 2.0 * BOUND * jnp.cumsum(share, axis=-1)[..., :-1] - BOUND
    edge = jnp.full((*raw.shape[:-1], 1), BOUND, raw.dtype)
    return jnp.concatenate([-edge, inner, edge], axis=-1)


def _at(values: jax.Array, chosen: jax.Array) -> jax.Array:
    """The one of values [..., K] that a mask [..., K] chooses: by a sum, as a gather's gradient is
    slow."""
    return jnp.where(chosen, values, 0.0).sum(-1)


def transform(x: jax.Array, raw: jax.Array, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
    """The spline, or its inverse, and the logarithm of its slope there.

    Args:
      x: [...].
      raw: [..., 3 K - 1]; zeros give the identity.

    Returns:
      Two arrays [...].
    """
    bins = (raw.shape[-1] + 1) // 3
    left, bottom = _knots(raw[..., :bins]), _knots(raw[..., bins : 2 * bins])  # [..., K + 1]
    slopes = LEAST + (1.0 - LEAST) * jax.nn.softplus(raw[..., 2 * bins :] + LOG_E_MINUS_1)
    one = jnp.ones((*slopes.shape[:-1], 1), slopes.dtype)
    slopes = jnp.concatenate([one, slopes, one], axis=-1)  # at the K + 1 knots
    inside = jnp.abs(x) < BOUND
    at = jnp.where(inside, x, 0.0)  # the other branch must have a finite gradient too

    knots = bottom if inverse else left
    number = (at[..., None] >= knots[..., 1:-1]).sum(-1, keepdims=True)
    chosen = number == jnp.arange(bins)
    x0, width = _at(left[..., :-1], chosen), _at(jnp.diff(left), chosen)
    y0, height = _at(bottom[..., :-1], chosen), _at(jnp.diff(bottom), chosen)
    d0, d1 = _at(slopes[..., :-1], chosen), _at(slopes[..., 1:], chosen)
    s = height / width
    bend = d0 + d1 - 2.0 * s
    if inverse:  # eq. 6 to 8: the root that is in the bin, in the form that does not cancel
        above = at - y0
        a = height * (s - d0) + above * bend
        b = height * d0 - above * bend
        c = -s * above
        t = 2.0 * c / (-b - jnp.sqrt(jnp.maximum(jnp.square(b) - 4.0 * a * c, 0.0)))
    else:
        t = (at - x0) / width
    t = jnp.clip(t, 0.0, 1.0)  # rounding alone leaves it
    mixed = t * (1.0 - t)
    below = s + bend * mixed
    result = t * width + x0 if inverse else y0 + height * (s * t * t + d0 * mixed) / below
    log_slope = 2.0 * jnp.log(s) - 2.0 * jnp.log(below)
    log_slope += jnp.log(d1 * t * t + 2.0 * s * mixed + d0 * jnp.square(1.0 - t))
    log_slope = -log_slope if inverse else log_slope
    return jnp.where(inside, result, x), jnp.where(inside, log_slope, 0.0)

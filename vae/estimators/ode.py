"""Ordinary differential equations dx/dt = v(x, t) by Heun's method, and the traces of their
Jacobians."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Slope = Callable[[jax.Array, jax.Array], jax.Array]  # of one state x [L] at t []: [L]


def heun(
    slope: Callable[[Any, jax.Array], Any],
    state: Any,
    steps: int,
    begin: float = 0.0,
    end: float = 1.0,
) -> Any:
    """The state at t = `end` of what is `state` at t = `begin`, where dstate/dt = slope(state, t).

    Heun's method of second order in `steps` equal steps: the mean of the slopes at a step's two
    ends, the second by a step of Euler's (Heun 1900). `end` may lie before `begin`.

    Args:
      slope: (state, t []) -> a pytree like `state`; asked 2 * `steps` times.
    """
    width = (end - begin) / steps

    def step(number: jax.Array, state: Any) -> Any:
        t = begin + width * number
        first = slope(state, t)
        there = jax.tree.map(lambda x, v: x + width * v, state, first)
        second = slope(there, t + width)
        return jax.tree.map(lambda x, v, w: x + 0.5 * width * (v + w), state, first, second)

    return jax.lax.fori_loop(0, steps, step, state)


def exact_trace(slope: Slope, x: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """v(x, t) [L] and the trace of dv/dx at x [L]: L products with the Jacobian."""
    value, pull = jax.vjp(lambda x: slope(x, t), x)
    (rows,) = jax.vmap(pull)(jnp.eye(len(x), dtype=x.dtype))
    return value, jnp.trace(rows)


def estimated_trace(
    slope: Slope, x: jax.Array, t: jax.Array, probes: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """As `exact_trace`, the trace by the mean of e^T (dv/dx) e over probes e [K, L] with E[e e^T] =
    I: unbiased (Hutchinson 1990; Grathwohl et al. 2019, eq. 7)."""
    value, pull = jax.vjp(lambda x: slope(x, t), x)
    (products,) = jax.vmap(pull)(probes)
    return value, (probes * products).sum(-1).mean()

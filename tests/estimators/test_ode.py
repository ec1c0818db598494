"""Heun's method and traces, on equations with known solutions."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.margins import mean_is, near
from vae.estimators import ode


def test_heun_is_of_second_order():
    """dx/dt = x cos t, whose solution is x exp(sin t): half the step, a quarter of the error."""
    start, end = jnp.array([1.0, -2.0]), 2.0
    exact = np.array([1.0, -2.0]) * np.exp(np.sin(end))
    with jax.enable_x64(True):
        errors = [
            np.abs(ode.heun(lambda x, t: x * jnp.cos(t), start.astype(float), n, 0.0, end) - exact)
            for n in (20, 40, 80)
        ]
    for wide, narrow in zip(errors, errors[1:], strict=False):
        near(np.log2(wide / narrow), 2.0, 0.1)


def test_heun_goes_back_the_way_it_came():
    def slope(state, t):
        return {"x": jnp.sin(state["x"]) + t, "y": state["x"]}

    start = {"x": jnp.linspace(-1.0, 1.0, 5), "y": jnp.zeros(5)}
    there = ode.heun(slope, start, 200)
    back = ode.heun(slope, there, 200, 1.0, 0.0)
    assert not np.allclose(there["x"], start["x"], atol=0.1)
    for name in start:
        np.testing.assert_allclose(back[name], start[name], atol=1e-4)


def field(x, t):
    """[L] -> [L], with a Jacobian that is neither diagonal nor symmetric."""
    return jnp.tanh(jnp.roll(x, 1) * x * (1.0 + t)) + x**2


def test_the_exact_trace_is_that_of_the_jacobian():
    x, t = jnp.linspace(-1.0, 2.0, 6), jnp.array(0.3)
    values, trace = ode.exact_trace(field, x, t)
    np.testing.assert_allclose(values, field(x, t), rtol=1e-6)
    np.testing.assert_allclose(trace, jnp.trace(jax.jacobian(field)(x, t)), rtol=1e-5)


def test_the_estimated_trace_has_that_mean():
    x, t = jnp.linspace(-1.0, 2.0, 6), jnp.array(0.3)
    exact = float(ode.exact_trace(field, x, t)[1])
    signs = jax.random.rademacher(jax.random.key(0), (2000, 1, 6), jnp.float32)
    found = jax.vmap(lambda probes: ode.estimated_trace(field, x, t, probes)[1])(signs)
    mean_is(found, exact)
    values, of_one = ode.estimated_trace(field, x, t, jnp.eye(6) * np.sqrt(6.0))
    np.testing.assert_allclose(values, field(x, t), rtol=1e-6)
    np.testing.assert_allclose(of_one, exact, rtol=1e-5)  # probes that span: no error

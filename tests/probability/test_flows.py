"""Steps of flows, by themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from tests.probability.latents import bound, keys_for, together
from vae.probability import flow_steps, made, splines

SIZE = 3
RNG = np.random.default_rng(0)


def random(*shape, scale=1.0):
    return jnp.asarray(scale * RNG.standard_normal(shape), jnp.float32)


def sylvester(q):
    columns = q.shape[-1]
    r, r2 = (
        flow_steps.upper(random(1, columns, columns), random(1, columns)) for _ in range(2)
    )
    return flow_steps.Sylvester(q, r, r2, random(1, columns)).forward


@functools.cache
def maps():
    """Every kind of step, as z [..., 1, 3] -> (z', log |det dz'/dz|), with strong parameters."""
    weights = [
        {"kernel": random(SIZE, 5), "bias": random(5), "context": random(4, 5)},
        {"kernel": random(5, 2 * SIZE), "bias": random(2 * SIZE)},
    ]
    iaf, context = made.Step(weights), random(1, 4)
    names = ("realnvp", "spline")  # at weights of a size at which float32 can go back
    priors = {name: bound("diagonal", name, 0.25, SIZE).prior for name in names}
    return {
        "planar": flow_steps.Planar(random(1, 3, scale=3), random(1, 3), random(1)).forward,
        "radial": flow_steps.Radial(random(1, 3), random(1), random(1, scale=3)).forward,
        "orthogonal": sylvester(flow_steps.orthonormal(random(1, 3, 2))),
        "householder": sylvester(flow_steps.reflections(random(1, 4, 3))),
        "triangular": sylvester(jnp.eye(3)[None, ::-1]),
        "iaf": lambda z: iaf.forward(z, context),
        **{name: prior.flow for name, prior in priors.items()},
        **{
            f"{name} inverse": functools.partial(prior.flow, inverse=True)
            for name, prior in priors.items()
        },
    }


def test_log_determinants_are_those_of_the_jacobian():
    z = random(40, SIZE, scale=1.5)

    def both(step):
        jacobian = jax.vmap(jax.jacfwd(lambda z: step(z[None])[0][0]))(z)
        return jacobian, step(z[:, None])[1][:, 0]

    for name, (jacobian, log_det) in together(
        {name: functools.partial(both, step) for name, step in maps().items()}
    ).items():
        sign, expected = np.linalg.slogdet(jacobian)
        assert (sign > 0).all() or name == "triangular" and abs(sign).all(), name
        np.testing.assert_allclose(log_det, expected, rtol=1e-3, atol=2e-4, err_msg=name)
        assert np.abs(expected).max() > 0.1, name


def test_inverses():
    z = random(200, SIZE, scale=3)
    prior = bound("diagonal", "autoregressive", latent_size=SIZE).prior
    found = {
        name: functools.partial(
            lambda name: maps()[f"{name} inverse"](maps()[name](z)[0])[0], name
        )
        for name in ("realnvp", "spline")
    }

    def whitened():  # the noise of an autoregressive draw, from the draw
        draws = prior.sample(keys_for(200))
        m, logvar = prior.conditionals(draws)
        return (draws - m) * jnp.exp(-0.5 * logvar)

    got = together(found | {"autoregressive": whitened})
    expected = jax.vmap(lambda key: jax.random.normal(key, (SIZE,)))(keys_for(200))
    np.testing.assert_allclose(got.pop("autoregressive"), expected, atol=1e-4)
    for name, back in got.items():
        np.testing.assert_allclose(back, z, atol=1e-4, err_msg=name)


def test_q_is_orthonormal_even_where_the_encoder_says_nothing():
    for raw in (random(5, 4, 3), jnp.zeros((5, 4, 3))):
        for q in (flow_steps.orthonormal(raw), flow_steps.reflections(raw.swapaxes(1, 2))):
            eye = np.broadcast_to(np.eye(q.shape[-1]), (5, q.shape[-1], q.shape[-1]))
            np.testing.assert_allclose(q.swapaxes(1, 2) @ q, eye, atol=1e-5)


def test_a_masked_network_sees_what_comes_before_alone():
    for size, hidden in ((1, (3,)), (4, (7,)), (5, (6, 9))):
        widths = (size, *hidden, 2 * size)
        weights = [
            {"kernel": random(*shape), "bias": random(shape[1])}
            for shape in zip(widths[:-1], widths[1:], strict=True)
        ]
        jacobian = jax.jacfwd(lambda z: made.network(weights, z))(random(size))  # noqa: B023
        np.testing.assert_array_equal(np.triu(jacobian[:, 0]), 0.0)
        below = np.tril_indices(size, -1)
        assert (np.asarray(jacobian[:, 1])[below] != 0).all()


def test_splines_are_the_identity_outside_and_where_nothing_is_said():
    x = jnp.linspace(-8.0, 8.0, 401)
    same, slope = splines.transform(x, jnp.zeros((401, splines.numbers(5))))
    np.testing.assert_allclose(same, x, atol=1e-5)
    np.testing.assert_allclose(slope, 0.0, atol=1e-5)
    bent, slope = splines.transform(x, jnp.broadcast_to(random(14, scale=3), (401, 14)))
    assert (np.diff(bent) > 0).all() and np.abs(slope).max() > 1
    outside = np.abs(x) >= splines.BOUND
    np.testing.assert_array_equal(bent[outside], x[outside])
    assert not slope[outside].any()

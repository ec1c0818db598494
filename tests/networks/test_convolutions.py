"""The CPU's slices and products against `lax`: the same function, the same derivatives."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import with_random_parameters
from tests.margins import near
from vae.networks import convolutions
from vae.networks.layers import Conv, ConvTranspose

# Height, width, channels in and out, kernel, stride. Even and odd sizes, a single pixel, and more
# than twice as many channels on one side as on the other: each is a branch.
CASES = [
    (28, 28, 1, 8, 4, 2),
    (9, 13, 3, 5, 4, 2),
    (1, 1, 2, 3, 4, 2),
    (6, 6, 40, 4, 4, 2),
    (7, 5, 8, 20, 4, 2),
    (7, 6, 33, 34, 3, 1),
    (5, 4, 12, 2, 3, 1),
]


@pytest.fixture(params=CASES, ids=str)
def case(request, monkeypatch):
    """(x, y, kernel, stride, reference): `reference(f)` calls f as another platform would."""
    height, width, channels, features, size, stride = request.param
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, height, width, channels), np.float32)
    coarse = (-(-height // stride), -(-width // stride))
    y = rng.standard_normal((2, *coarse, features), np.float32)
    kernel = rng.standard_normal((size, size, channels, features), np.float32)
    kernel /= np.float32(size * np.sqrt(channels))

    def reference(function):
        with monkeypatch.context() as patch:
            patch.setattr(jax, "default_backend", lambda: "gpu")
            return function()

    return x, y, kernel, stride, reference


def value_and_gradients(function, *arguments):
    """The function's value, and the gradients of a sum that weighs every output differently."""

    def total(*arguments):
        value = function(*arguments)
        return jnp.sum(jnp.sin(value)), value

    gradient = jax.jit(jax.grad(total, tuple(range(len(arguments))), has_aux=True))
    gradients, value = gradient(*arguments)
    return value, *gradients


def assert_close(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        scale = np.abs(b).max()
        np.testing.assert_allclose(a / scale, b / scale, atol=1e-5)


def test_convolve_is_lax_convolution(case):
    x, _, kernel, stride, reference = case

    def run():
        return value_and_gradients(
            lambda x, kernel: convolutions.convolve(x, kernel, stride), x, kernel
        )

    assert_close(run(), reference(run))


def test_convolve_transpose_is_lax_transposed_convolution(case):
    x, y, kernel, stride, reference = case
    size = x.shape[1:3]

    def run():
        return value_and_gradients(
            lambda y, kernel: convolutions.convolve_transpose(y, kernel, stride, size), y, kernel
        )

    assert_close(run(), reference(run))


def test_convolve_transpose_is_the_adjoint(case):
    x, y, kernel, stride, _ = case

    @jax.jit
    def products(x, y, kernel):
        forward = jnp.vdot(convolutions.convolve(x, kernel, stride), y)
        back = convolutions.convolve_transpose(y, kernel, stride, x.shape[1:3])
        return forward, jnp.vdot(x, back)

    forward, backward = products(x, y, kernel)
    np.testing.assert_allclose(forward, backward, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [CASES[1], CASES[-1]], indirect=True, ids=str)
def test_second_derivatives(case):
    x, _, kernel, stride, reference = case

    def squared_gradient(kernel):
        return jnp.sum(
            jax.grad(lambda x: jnp.sum(convolutions.convolve(x, kernel, stride) ** 3))(x) ** 2
        )

    def run():
        return (jax.jit(jax.grad(squared_gradient))(kernel),)

    assert_close(run(), reference(run))


def test_maps_over_kernels():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 6, 3), np.float32)
    kernels = rng.standard_normal((4, 4, 4, 3, 5), np.float32)

    def gradient(kernel):
        return jax.grad(lambda k: jnp.sum(jnp.sin(convolutions.convolve(x, k, 2))))(kernel)

    one_by_one = np.stack([jax.jit(gradient)(kernel) for kernel in kernels])
    np.testing.assert_allclose(jax.jit(jax.vmap(gradient))(kernels), one_by_one, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 6), (7, 5)], ids=str)
def test_modules_compute_what_flax_does(shape):
    """With equal parameters; Flax's transposed module always doubles, so compare its corner."""
    x = np.random.default_rng(0).standard_normal((2, *shape, 3), np.float32)
    params, ours = with_random_parameters(Conv(5), x)
    theirs = jax.jit(nn.Conv(5, (4, 4), (2, 2)).apply)
    y = ours(params, x)
    np.testing.assert_allclose(y, theirs(params, x), atol=1e-5)

    params, ours = with_random_parameters(ConvTranspose(3, shape), y)
    theirs = jax.jit(nn.ConvTranspose(3, (4, 4), (2, 2), transpose_kernel=True).apply)
    expected = theirs(params, y)[:, : shape[0], : shape[1]]
    np.testing.assert_allclose(ours(params, y), expected, atol=1e-5)


def test_initial_weights_keep_the_variance():
    x = np.random.default_rng(0).standard_normal((4, 32, 32, 16), np.float32)
    y, _ = jax.jit(Conv(64).init_with_output)(jax.random.key(1), x)
    near(np.var(y[:, 2:-2, 2:-2]), 1.0, 0.2)
    x, _ = jax.jit(ConvTranspose(64, (32, 32)).init_with_output)(jax.random.key(2), y)
    near(np.var(x[:, 2:-2, 2:-2]), 1.0, 0.2)


def test_bfloat16_keeps_its_type_and_stays_close():
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 3), np.float32)
    params, apply = with_random_parameters(Conv(8, dtype=jnp.bfloat16), x)
    y = apply(params, x)
    assert y.dtype == jnp.bfloat16
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))
    exact = jax.jit(Conv(8).apply)(params, x)
    near(y.astype(np.float32) / np.abs(exact).max(), exact / np.abs(exact).max(), 0.05)

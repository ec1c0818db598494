"""Every encoder and decoder, over shapes of data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import with_random_parameters
from tests.margins import near, within
from vae.errors import UserError
from vae.networks import decoders, encoders, layers

# Of any shape; those along sequences are in test_recurrent.
NAMES = ["attention_resnet", "conv", "gated_mlp", "mlp", "resnet"]
SHAPES = [(28, 28, 1), (9, 13, 3), (1, 1, 2)]
SHAPE, LATENTS = (5, 6, 2), 3


def small(module, **options):
    """The class with few, narrow layers, given those of `options` that it has."""
    options = {"hidden": (9, 7), "filters": (4, 6), "dense": 5, **options}
    return module(**{k: v for k, v in options.items() if k in module.__dataclass_fields__})


def encoder(name, **options):
    return small(getattr(encoders, name), **options)


def decoder(name, shape=SHAPE, channels=2, **options):
    return small(getattr(decoders, name), shape=shape, channels=channels, **options)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def both(name, **options):
    """The encoder and the decoder of that name, each with a batch of 4 inputs."""
    yield encoder(name, **options), normal(4, *SHAPE)
    yield decoder(name, **options), normal(4, LATENTS)


def traced(module, x):
    """Shapes and types of (outputs, parameters); nothing is compiled."""
    return jax.eval_shape(module.init_with_output, jax.random.key(0), jnp.zeros(x))


def test_names():
    assert sorted(encoders.__all__) == sorted(decoders.__all__) == sorted([*NAMES, "gru"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(name, shape):
    features, params = traced(encoder(name), (4, *shape))
    assert features.ndim == 2 and features.shape[0] == 4
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))
    theta, _ = traced(decoder(name, shape), (4, LATENTS))
    assert theta.shape == (4, *shape[:2], 2) and theta.dtype == jnp.float32


def test_mlp_takes_vectors():
    assert traced(encoder("mlp"), (4, 6))[0].shape == (4, 7)
    assert traced(decoder("mlp", (6,)), (4, LATENTS))[0].shape == (4, 6, 2)


@pytest.mark.parametrize("name", ["conv", "resnet"])
def test_convolutions_refuse_vectors(name):
    with pytest.raises(UserError, match=rf"{name} network needs images.*\(6,\).*mlp"):
        traced(encoder(name), (4, 6))
    with pytest.raises(UserError, match=f"{name} network needs images"):
        traced(decoder(name, (6,)), (4, LATENTS))


@pytest.mark.parametrize("name", ["conv", "resnet"])
def test_no_dense_layer(name):
    assert traced(encoder(name, dense=0), (4, 9, 13, 3))[0].shape == (4, 3 * 4 * 6)
    params = traced(decoder(name, dense=0), (4, LATENTS))[1]["params"]
    assert params["Dense_0"]["kernel"].shape == (LATENTS, 2 * 2 * 6) and "Dense_1" not in params


def test_a_gated_layer_is_one_half_times_the_sigmoid_of_the_other():
    module, x = encoder("gated_mlp", hidden=(3,)), normal(4, *SHAPE)
    variables, function = with_random_parameters(module, x)
    kernel, bias = (np.asarray(variables["params"]["Dense_0"][k]) for k in ("kernel", "bias"))
    both = x.reshape(4, -1) @ kernel + bias
    expected = both[:, :3] / (1 + np.exp(-both[:, 3:]))
    np.testing.assert_allclose(function(variables, x), expected, rtol=1e-4, atol=1e-5)


def test_sizes_of_the_decoder_are_the_encoder_s():
    sizes = decoder("conv", (28, 21, 1), filters=(2, 2, 2)).sizes()
    assert sizes == [(28, 21), (14, 11), (7, 6), (4, 3)]


@pytest.mark.parametrize("name", NAMES)
def test_unknown_activation_is_refused(name):
    with pytest.raises(UserError, match="model.activation='rleu'.*relu"):
        traced(encoder(name, activation="rleu"), (4, *SHAPE))


def test_activations_are_finite():
    @jax.jit
    def evaluate(x):
        functions = [layers.activation(name) for name in layers.ACTIVATIONS]
        return [jax.vmap(jax.value_and_grad(function))(x) for function in functions]

    assert all(np.isfinite(a).all() for a in jax.tree.leaves(evaluate(np.linspace(-99.0, 99.0, 7))))


@pytest.mark.parametrize("name", NAMES)
def test_last_bias_is_the_initialiser_s(name):
    """One number an output where the last layer is dense, one a channel where it is not.

    At z = 0 nothing else is left: every other bias starts at 0, and relu(0) is 0.
    """
    expected = (*SHAPE[:2], 2) if "mlp" in name else (2,)

    def bias_init(key, shape, dtype=jnp.float32):
        assert tuple(shape) == expected
        return jnp.arange(np.prod(shape), dtype=dtype).reshape(shape)

    theta, _ = jax.jit(decoder(name, activation="relu", bias_init=bias_init).init_with_output)(
        jax.random.key(1), np.zeros((3, LATENTS), np.float32)
    )
    bias = np.arange(np.prod(expected)).reshape(expected)
    np.testing.assert_allclose(theta, np.broadcast_to(bias, theta.shape), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_examples_do_not_meet(name):
    for module, batch in both(name):
        params, apply = with_random_parameters(module, batch)
        other = np.concatenate([batch[:1], normal(3, *batch.shape[1:]) + 1.0])
        np.testing.assert_allclose(apply(params, other)[0], apply(params, batch)[0], atol=1e-5)


def test_residual_blocks_start_as_the_identity():
    x = normal(2, 8, 8, 4)
    block = layers.Residual("relu", 0.0, jnp.float32)
    y, _ = jax.jit(lambda x: block.init_with_output(jax.random.key(1), x, None, 0))(x)
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_follows_the_example(name):
    keys = jax.random.split(jax.random.key(7), 4)
    order = np.array([2, 0, 3, 1])
    for module, batch in both(name, dropout=0.5):
        params, apply = with_random_parameters(module, batch)
        noisy = apply(params, batch, keys)
        assert not np.allclose(noisy, apply(params, batch))
        shuffled = apply(params, batch[order], keys[order])
        np.testing.assert_allclose(shuffled, noisy[order], atol=1e-5)


def test_dropout_keeps_the_mean_and_differs_by_layer():
    @jax.jit
    def drop(x):
        keys = jax.random.split(jax.random.key(7), 4)
        return [layers.dropout(x, keys, 0.25, layer) for layer in (0, 1)]

    x = np.ones((4, 10_000), np.float32)
    first, second = (np.asarray(values) for values in drop(x))
    np.testing.assert_allclose(np.unique(first), [0.0, 1 / 0.75], rtol=1e-6)
    within(first.mean(1), 1.0, np.sqrt(0.25 / 0.75 / 10_000))
    equal = 0.75**2 + 0.25**2  # if they are independent
    within((first == second).mean(), equal, np.sqrt(equal * (1 - equal) / 40_000))
    assert layers.dropout(x, None, 0.25, 0) is x


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_compute_is_close_to_float32(name):
    pairs = zip(both(name), both(name, dtype=jnp.bfloat16), strict=True)
    for (module, batch), (low, _) in pairs:
        params, apply = with_random_parameters(module, batch)
        low = np.asarray(jax.jit(low.apply)(params, batch), np.float32)
        exact = np.asarray(apply(params, batch))
        scale = np.abs(exact).max()  # bfloat16 has 8 bits
        near(low / scale, exact / scale, 0.05)


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_gets_a_gradient(name):
    for module, batch in both(name, activation="tanh"):
        params, _ = with_random_parameters(module, batch)

        def loss(params, batch, module=module):
            return jnp.sum(module.apply(params, batch) ** 2)

        gradient = jax.jit(jax.grad(loss))(params, batch)
        assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(gradient))

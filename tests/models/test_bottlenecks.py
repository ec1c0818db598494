"""Bottlenecks: codes against their definitions, gradients against closed forms, and the bound."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import small_config
from tests.margins import fixed_rng
from tests.objectives.shared import hyper, keys_for, traced
from vae import models
from vae.errors import UserError
from vae.models import bottlenecks
from vae.objectives.quantised import penalised
from vae.training import chosen_objective

SHAPE = (8, 8, 1)
POSITIONS, SIZE = 4, 3
MAKE = {
    "vq": lambda **k: bottlenecks.vq(SIZE, num_codes=7, **k),
    "residual": lambda **k: bottlenecks.residual(SIZE, num_codes=5, code_depth=3, **k),
    "fsq": lambda: bottlenecks.fsq(SIZE, code_levels=(4, 5, 3)),
    "lfq": lambda: bottlenecks.lfq(SIZE),
    "bsq": lambda: bottlenecks.bsq(SIZE),
}
CODES = {"vq": 7, "residual": 15, "fsq": 60, "lfq": 8, "bsq": 8}


def raw(count=5, scale=1.5):
    return scale * fixed_rng(1).standard_normal((count, POSITIONS, SIZE)).astype(np.float32)


def bound(name, **settings):
    module = MAKE[name](**settings)
    return module.bind(module.init(jax.random.key(0), raw()))


@pytest.mark.parametrize("name", MAKE)
def test_a_code_is_what_its_index_says(name):
    module, x = bound(name), raw()
    q = module(x)
    indices = q.indices.reshape(5, POSITIONS, module.streams)
    np.testing.assert_allclose(module.embed(indices), q.quantised, atol=1e-6)
    if name != "residual":  # of which several sums may be next to each other
        np.testing.assert_array_equal(module.nearest(q.quantised), indices)
    assert module.codes == CODES[name] and 0 <= indices.min() and indices.max() < CODES[name]
    np.testing.assert_array_equal(q.sample_and_log_prob(None)[0][0], q.mean)


@pytest.mark.parametrize("name", ["fsq", "lfq", "bsq"])
def test_every_index_has_a_code_of_its_own(name):
    module = bound(name)
    codes = np.asarray(module.embed(np.arange(module.codes)[:, None]))
    assert len(np.unique(codes, axis=0)) == module.codes
    np.testing.assert_array_equal(module.nearest(codes)[..., 0], np.arange(module.codes))


def test_fsq_takes_each_of_its_levels():
    """A number far to either side is the outermost level; in between each level is met, evenly
    spaced, an odd number of them with 0 in the middle."""
    module = bottlenecks.fsq(1, code_levels=(5,)).bind({})
    x = np.linspace(-9, 9, 4001, dtype=np.float32)[None, :, None]
    codes = np.unique(np.asarray(module(x).quantised))
    np.testing.assert_allclose(codes, [-1.0, -0.5, 0.0, 0.5, 1.0])
    even = bottlenecks.fsq(1, code_levels=(4,)).bind({})
    np.testing.assert_allclose(np.unique(np.asarray(even(x).quantised)), [-1, -0.5, 0, 0.5])


def test_signs_are_the_codes_and_lie_on_the_sphere_in_bsq():
    x = raw()
    np.testing.assert_array_equal(bound("lfq")(x).quantised, np.sign(x))
    np.testing.assert_allclose(
        np.square(bound("bsq")(x).quantised).sum(-1), np.ones((5, POSITIONS)), rtol=1e-5
    )


@pytest.mark.parametrize("name", ["vq", "residual"])
def test_codes_are_the_nearest_one_after_the_other(name):
    module, x = bound(name), raw()
    q = module(x)
    tables = [module.table_of()] if name == "vq" else [each() for each in module.tables]
    left, whole = x.copy(), np.zeros_like(x)
    for stream, table in enumerate(np.asarray(table) for table in tables):
        picked = np.square(left[..., None, :] - table).sum(-1).argmin(-1)
        own = q.indices.reshape(5, POSITIONS, -1)[..., stream] - 5 * stream
        np.testing.assert_array_equal(own, picked)
        left, whole = left - table[picked], whole + table[picked]
    np.testing.assert_allclose(q.quantised, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x - q.quantised, left, rtol=1e-4, atol=1e-5)


def test_more_codebooks_leave_less():
    """Of random codebooks with the zero vector among them, no step can add to what is left."""
    module, x = MAKE["residual"](), raw()
    params = module.init(jax.random.key(0), x)
    params = jax.tree.map(lambda table: table.at[0].set(0.0), params)
    q = module.bind(params)(x)
    left = [np.square(x).sum()]
    for depth in (1, 2, 3):
        fewer = bottlenecks.residual(SIZE, num_codes=5, code_depth=depth)
        kept = {"params": {k: v for k, v in params["params"].items() if int(k[-1]) < depth}}
        left.append(float(np.square(x - fewer.bind(kept)(x).quantised).sum()))
    assert left == sorted(left, reverse=True)
    np.testing.assert_allclose(left[-1], np.square(x - q.quantised).sum(), rtol=1e-6)


def test_the_straight_through_gradient_is_that_of_the_code():
    """d f(q(e)) / d e is f'(q)."""
    module, x = bound("vq"), raw()
    weight = fixed_rng(2).standard_normal(x.shape).astype(np.float32)
    found = jax.grad(lambda x: (weight * jnp.square(module(x).through)).sum())(x)
    np.testing.assert_allclose(found, 2 * weight * module(x).quantised, rtol=1e-4, atol=1e-5)


def test_the_rotation_trick_turns_and_stretches_the_gradient():
    """The map is linear in e with the code as its value: e -> |q| / |e| R e, R the rotation of e
    onto q in their plane; its transpose is what the gradient goes through."""
    module, x = bound("vq", rotation=True), raw(1)
    q = np.asarray(module(x).quantised)
    jacobian = jax.jacobian(lambda x: module(x).through)(x)[0, :, :, 0]  # [P, D, P, D]
    for position in range(POSITIONS):
        e, code = x[0, position].astype(np.float64), q[0, position].astype(np.float64)
        a, b = e / np.linalg.norm(e), code / np.linalg.norm(code)
        # Rodrigues' formula: the rotation of a onto b.
        v, c = np.cross(a, b), a @ b
        cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
        rotation = np.eye(3) + cross + cross @ cross / (1 + c)
        expected = np.linalg.norm(code) / np.linalg.norm(e) * rotation
        np.testing.assert_allclose(expected @ e, code, atol=1e-5)
        np.testing.assert_allclose(jacobian[position, :, position], expected, atol=2e-4)


def test_fixed_vectors_do_not_learn_and_their_map_does():
    module, x = MAKE["vq"](simvq=True), raw()
    params = module.init(jax.random.key(0), x)
    found = jax.grad(lambda p: module.apply(p, x).pull.sum())(params)["params"]["table_of"]
    assert not np.any(found["codebook_0"]["codes"]) and np.any(found["way"])


def test_the_entropy_penalty_is_that_of_the_soft_codes():
    """Of all 2^D corners, by their squared distances, and the bits' shares over the batch."""
    module, x = bound("lfq"), raw(3, scale=0.2)
    corners = np.asarray(module.embed(np.arange(8)[:, None]))
    squared = np.square(x[..., None, :] - corners).sum(-1).astype(np.float64)
    soft = np.exp(-SIZE * squared)
    soft /= soft.sum(-1, keepdims=True)
    each = -(soft * np.log(soft)).sum(-1)
    ones = (soft @ (corners > 0)).mean((0, 1))
    shared = -(ones * np.log(ones) + (1 - ones) * np.log(1 - ones)).sum()
    found = penalised(module(x), np.zeros(3), hyper(commitment=0.0, code_entropy=1.0), None)
    np.testing.assert_allclose(found, (each - shared).sum(-1), rtol=1e-3)


@pytest.mark.parametrize("name", ["lfq", "bsq"])
def test_bits_shares_are_those_of_the_batch_on_four_devices(name):
    """Of batches whose own shares differ: loss and gradient equal those of one device."""
    module = bound(name)
    x = raw(8, scale=0.3) + np.linspace(-0.5, 0.5, 8, dtype=np.float32)[:, None, None]
    values = hyper(commitment=0.2, code_entropy=0.7)

    def loss(shift, x, axis):
        return penalised(module(x + shift), jnp.zeros(len(x)), values, axis).mean()

    def on(axis, shift, x):
        if axis:
            shift = jax.lax.pcast(shift, axis, to="varying")
        found = jax.value_and_grad(loss)(shift, x, axis)
        return jax.lax.pmean(found, axis) if axis else found

    shift = np.array([0.1, -0.2, 0.3], np.float32)
    one = jax.jit(functools.partial(on, None))(shift, x)
    four = jax.pmap(
        functools.partial(on, "device"), "device", in_axes=(None, 0), out_axes=None
    )(shift, x.reshape(4, 2, POSITIONS, SIZE))
    for got, expected in zip(four, one, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@functools.cache
def model_of(bottleneck):
    config = small_config(
        model__name="autoencoder_kl", model__bottleneck=bottleneck, model__filters=(4, 4),
        model__encoder="attention_resnet", model__decoder="attention_resnet", model__codes=6,
        model__code_levels=(4, 3), objective__name="elbo" if bottleneck == "kl" else "vq",
    )  # fmt: skip
    model = models.from_config(config.model, SHAPE)
    params = models.initialise(model, SHAPE)
    return config, model, params


@pytest.mark.parametrize("bottleneck", bottlenecks.__all__)
def test_the_rate_is_the_kl_or_the_length_of_the_codes(bottleneck):
    config, model, params = model_of(bottleneck)
    x, keys = fixed_rng(3).integers(0, 2, (5, *SHAPE)).astype(np.float32), keys_for(5)
    values = traced() | hyper(beta=1.0, commitment=0.25, code_entropy=0.1)
    bound = model.bind({"params": params})
    terms = chosen_objective.build(config)(bound, x, keys, values)
    assert all(np.isfinite(term).all() for term in terms.values())
    if bottleneck == "kl":
        q = bound.encode(x)
        mu, logvar = (np.asarray(a, np.float64) for a in (q.mu, q.logvar))
        expected = 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar).sum(-1)
    else:
        streams = config.model.code_depth if bottleneck == "residual" else 1
        expected = np.full(5, 4 * streams * math.log(model.codes // streams))
    np.testing.assert_allclose(terms["rate"], expected, rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -terms["distortion"] - terms["rate"], rtol=1e-5)


def test_latents_are_a_map_row_by_row():
    """As `encode` lays positions out: what the sampler's networks take for neighbours."""
    _, model, params = model_of("kl")
    assert model.latent_shape == (2, 2, 3) and model.latent_size == 12
    q = model.bind({"params": params}).encode(np.ones((1, *SHAPE), np.float32))
    assert q.mean.reshape(1, *model.latent_shape).shape == (1, 2, 2, 3)


@pytest.mark.parametrize("bottleneck", bottlenecks.__all__)
def test_draws_of_the_prior_are_latents(bottleneck):
    _, model, params = model_of(bottleneck)
    bound = model.bind({"params": params})
    z = bound.sample_prior(keys_for(6))
    assert z.shape == (6, model.latent_size) and np.isfinite(bound.log_prior(z)).all()
    if bottleneck != "kl":
        again = bound.embed(bound.indices_of(z))
        assert bottleneck == "residual" or np.allclose(again, z, atol=1e-5)


@pytest.mark.parametrize("bottleneck", bottlenecks.__all__)
def test_every_weight_learns_and_none_of_what_is_fixed(bottleneck):
    config, model, params = model_of(bottleneck)
    x, keys = fixed_rng(3).integers(0, 2, (5, *SHAPE)).astype(np.float32), keys_for(5)
    values = traced() | hyper(beta=1.0, commitment=0.25, code_entropy=0.1)
    moved = jax.tree.map(lambda p: p + 0.1 * fixed_rng(4).standard_normal(p.shape), params)

    def loss(params):
        return chosen_objective.build(config)(
            model.bind({"params": params}), x, keys, values
        )["loss"].mean()

    found = jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(moved))
    still = [jax.tree_util.keystr(path) for path, leaf in found if not np.any(leaf)]
    assert still == []


def test_networks_without_a_map_are_refused():
    config = small_config(model__name="autoencoder_kl")
    with pytest.raises(UserError, match="model.encoder='mlp' has no map: set it to attention_re"):
        models.from_config(config.model, SHAPE)


@pytest.mark.parametrize("bottleneck, objective", [("kl", "vq"), ("fsq", "elbo")])
def test_codes_and_objectives_of_codes_go_together(bottleneck, objective):
    config = model_of(bottleneck)[0].copy_and_resolve_references()
    config.objective.name = objective
    with pytest.raises(UserError, match=f"with model.bottleneck='{bottleneck}' do not go together"):
        chosen_objective.check(config, 1000)


@pytest.mark.parametrize("channels, groups", [(256, 32), (64, 16), (24, 2), (4, 1), (3, 1)])
def test_group_norm_is_that_of_its_definition(channels, groups):
    from vae.networks.attention_resnet import Norm

    x = fixed_rng(5).standard_normal((3, 4, 5, channels)).astype(np.float32) * 3 + 1
    params = {"scale": jnp.ones(channels), "bias": jnp.zeros(channels)}
    ours = Norm().apply({"params": params}, x)
    groups = x.reshape(3, 20, groups, -1)
    mean = groups.mean((1, 3), keepdims=True)
    std = np.sqrt(groups.var((1, 3), keepdims=True) + 1e-6)
    np.testing.assert_allclose(ours, ((groups - mean) / std).reshape(x.shape), atol=1e-5)

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import build, grey_dataset, single, small_config
from tests.objectives.shared import NEEDS
from vae import objectives
from vae.data import context
from vae.models import initialise
from vae.probability import noise
from vae.training import setup, sharding, step
from vae.training.feed import Feed
from vae.training.population import group_key

DEVICES = 4


BUILT = {}


def built(config, parallel="jit", streamed=False, cut=1):
    """Program, hyperparameters, first state and engine of a config; a program is compiled once."""
    key = group_key(config), parallel, streamed, cut
    if key not in BUILT:
        dataset = grey_dataset()
        program, _, first = build(config, dataset)
        BUILT[key] = program, first, single(program, dataset, parallel, streamed, cut)
    program, first, engine = BUILT[key]
    return program, setup.hyperparameters(config), first, engine


@pytest.fixture(scope="module")
def run():
    yield built(small_config())[:3]
    BUILT.clear()


def spread(array):
    return array.reshape(DEVICES, -1, *array.shape[1:])


def leaves_close(left, right, rtol):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.linalg.norm(a - b) <= rtol * np.linalg.norm(b) + 1e-12


def gradients_on_one_and_four(names):
    """The gradient and the terms of objectives: of a batch on one device, on four, and over a mesh
    of four."""
    dataset = context.attach(grey_dataset(), "labels", labelled=90, share=0.5)
    batch = {k: jnp.asarray(v[-40:]) for k, v in dataset.splits["train"].arrays().items()}
    keys = noise.example_keys(jax.random.key(7), jnp.arange(40))
    rng = np.random.default_rng(0)
    parts = {}
    for name in names:
        config = small_config(
            objective__name=name,
            objective__samples=3,
            objective__batches=2,
            objective__critic_hidden=(4,),
            model__hidden=(8,),
            **NEEDS.get(name, {}),
        )
        program = setup.program(config, dataset if config.data.context else grey_dataset())
        hyper = setup.hyperparameters(config) | {"capacity": jnp.float32(2.0)}
        shapes = jax.eval_shape(lambda program=program: initialise(program.model, (4, 4, 1)))
        params = jax.tree.map(lambda p: np.float32(0.3 * rng.normal(size=p.shape)), shapes)
        parts[name] = (params, program, hyper | {"num_examples": jnp.float32(120)})

    def on(axis):  # compiled together: what the objectives share is compiled once
        return lambda batch, keys: {
            name: step.gradients(*part, batch, keys, axis) for name, part in parts.items()
        }

    one = jax.jit(on(None))(batch, keys)
    mapped = jax.pmap(on("device"), axis_name="device", out_axes=None)
    mesh = sharding.mesh_of(1)
    over = jax.jit(lambda *given: on(None)(*sharding.rows(mesh, given)))
    return one, mapped(jax.tree.map(spread, batch), spread(keys)), over(batch, keys)


def test_gradients_of_coupled_examples_on_four_devices_equal_one():
    """Of two objectives whose terms need the whole batch: all that they gather, and means."""
    one, four, over = gradients_on_one_and_four(["beta_tcvae", "dip_ii"])
    for name in one:
        leaves_close(four[name], one[name], 1e-5)
        leaves_close(over[name], one[name], 1e-5)


@pytest.mark.slow
def test_gradient_on_four_devices_equals_one(record_property):
    """Of every objective; the gradient and not Adam's losses, which hide a wrong scale."""
    one, four, over = gradients_on_one_and_four(objectives.__all__)
    for name in one:
        leaves_close(four[name], one[name], 1e-5)
        leaves_close(over[name], one[name], 1e-5)
        record_property("combination", f"{name}|jit|ran")
        record_property("combination", f"{name}|4 devices|ran")


def test_noise_differs_across_devices_and_equals_the_one_device_noise():
    key = jax.random.key(3)

    def draw(index):
        keys = noise.example_keys(key, index)
        return jax.random.key_data(keys), noise.normal(keys, (5,))

    def of_a_device(unused):
        return draw(jnp.arange(2) + 2 * jax.lax.axis_index("device"))

    spread = jax.pmap(of_a_device, axis_name="device")(jnp.arange(DEVICES))
    words, four = (values.reshape(8, -1) for values in spread)
    one_words, one = draw(jnp.arange(8))
    np.testing.assert_array_equal(words, one_words)
    np.testing.assert_array_max_ulp(four, one, 8)  # rounded as each program is compiled
    assert len(np.unique(words, axis=0)) == len(np.unique(four, axis=0)) == 8


def leaves_equal(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(a, b)


def run_steps(parallel, config, count=5, streamed=False, cut=1):
    _, hyper, first, engine = built(config, parallel, streamed, cut)
    feed = Feed(grey_dataset().splits["train"], 0, config.train.batch_size, streamed)
    engine.put(0, jax.device_get(first), hyper)
    engine.run({0: feed.take(0, count)})
    return engine.get(0)


def test_many_steps_on_four_devices_equal_one():
    config = small_config(optimizer__name="sgd", optimizer__learning_rate=1e-3)
    one, four = run_steps("jit", config), run_steps("pmap", config)
    leaves_close(four.params, one.params, 1e-5)
    leaves_close(four.sums, one.sums, 1e-5)
    assert int(one.step) == int(four.step) == 5


@pytest.mark.slow
def test_streamed_batches_train_the_same_weights():
    config = small_config()
    streamed, held = run_steps("jit", config, streamed=True), run_steps("jit", config)
    leaves_close(streamed.params, held.params, 1e-6)  # two programs, rounded each in its way
    leaves_close(streamed.sums, held.sums, 1e-6)


@pytest.mark.slow
def test_cutting_the_steps_into_calls_changes_no_bit():
    _, hyper, first, engine = built(small_config(train__ema=0.9))
    feed = Feed(grey_dataset().splits["train"], 0, 40)
    ends = []
    for calls in ((6,), (1, 3, 2)):
        engine.put(0, jax.device_get(first), hyper)
        at = 0
        for count in calls:
            engine.run({0: feed.take(at, count)})
            at += count
        ends.append(engine.get(0))
    leaves_equal(*ends)


def test_a_new_value_of_a_hyperparameter_compiles_nothing(run):
    program, hyper, first = run
    feed, engine = Feed(grey_dataset().splits["train"], 0, 40), single(program, grey_dataset())
    for beta in (0.5, 1.0, 4.0):
        changed = hyper | {"beta": np.float32(beta), "learning_rate": np.float32(beta * 1e-3)}
        engine.put(0, jax.device_get(first), changed)
        engine.run({0: feed.take(0, 2)})
    assert engine.compiled.jitted()._cache_size() == 1


def test_ema_follows_its_recurrence():
    config = small_config(train__ema=0.15)
    first = built(config)[2]
    average = jax.tree.leaves(first.ema)[0]
    for count, decay in ((1, 0.1), (2, 0.15), (3, 0.15)):  # 1/10, then 2/11 and 3/12 are above
        done = run_steps("jit", config, count)
        average = decay * average + (1.0 - decay) * np.asarray(jax.tree.leaves(done.params)[0])
    np.testing.assert_allclose(jax.tree.leaves(done.ema)[0], average, rtol=1e-5, atol=1e-7)
    assert done.eval_params is done.ema


def test_the_weight_of_a_step_is_that_of_its_number(run):
    """Also of steps after a log line or a resume, where all else that is counted starts anew."""
    dataset = grey_dataset()
    program = dataclasses.replace(run[0], beta_schedule="linear")
    hyper = run[1] | {"beta": np.float32(4.0), "beta_epochs": np.float32(10.0)}
    feed, engine = Feed(dataset.splits["train"], 0, 40), single(program, dataset)
    for number in (0, 12):  # 3 steps an epoch
        engine.put(0, run[2].replace(step=np.int32(number)), hyper)
        engine.run({0: feed.take(number, 1)})
        sums = engine.get(0).sums
        np.testing.assert_allclose(
            sums["loss"], sums["distortion"] + 4.0 * number / 30 * sums["rate"], rtol=1e-6
        )


def poisoned(config, bad_steps, parallel="jit"):
    """Five steps in which the learning of `bad_steps` meets an infinite beta."""
    dataset = grey_dataset()
    program, hyper, first = build(config, dataset)
    real = program.objective

    def objective(model, x, keys, hyper, axis=None):
        terms = real(model, x, keys, hyper, axis)
        return terms | {"loss": terms["loss"] + hyper["poison"]}

    parts = program.parts()._replace(objective=objective)
    program = dataclasses.replace(program, parts=lambda: parts)
    feed, engine = Feed(dataset.splits["train"], 0, 40), single(program, dataset, parallel)
    state = jax.device_get(first)
    for number in range(5):
        poison = np.float32(np.nan if number in bad_steps else 0.0)
        engine.put(0, state, hyper | {"poison": poison})
        engine.run({0: feed.take(number, 1)})
        state = engine.get(0)
    return state


@pytest.mark.parametrize("parallel", ["jit", "shard"])
def test_skipped_steps_are_skipped_and_counted(parallel):
    state = poisoned(small_config(train__skip_steps=2), (1, 2), parallel)
    assert int(state.bad_total) == 2 and int(state.bad_in_row) == 0
    assert float(state.sums["steps"]) == 3
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


def test_a_nonfinite_step_halts_the_compiled_loop_and_is_blamed_on_its_term(run):
    state = poisoned(small_config(), bad_steps=(3,))
    assert int(state.step) == 4  # step 3 was tried, step 4 never was
    assert run[0].terms[int(state.blamed)] == "loss"


@pytest.mark.slow
def test_kl_weight_zero_leaves_the_rate_out_of_the_loss(run):
    program, hyper, first = run
    batch = {"x": jnp.asarray(grey_dataset().splits["train"].x[:40])}
    keys = noise.example_keys(jax.random.key(7), jnp.arange(40))
    values = hyper | {"beta": jnp.float32(0.0)}
    _, means = step.batch_loss(first.params, program, values, batch, keys, None)
    np.testing.assert_allclose(means["loss"], means["distortion"], rtol=1e-6)
    np.testing.assert_allclose(means["elbo"], -means["distortion"] - means["rate"], rtol=1e-6)


def test_a_gradient_above_its_bound_is_skipped_counted_and_given_up():
    for most, steps in ((3, 4), (9, 8)):  # gives up after more than `most` in a row; or goes on
        config = small_config(optimizer__skip_norm=1e-3, train__skip_steps=most)
        program, hyper, first, engine = built(config)
        feed = Feed(grey_dataset().splits["train"], 0, 40)
        engine.put(0, jax.device_get(first), hyper)
        engine.run({0: feed.take(0, 8)})
        state = engine.get(0)
        assert int(state.step) == int(state.bad_total) == int(state.bad_in_row) == steps
        assert program.terms[int(state.blamed)] == "gradient_norm"
        leaves_equal(state.params, jax.device_get(first.params))
        assert float(state.sums["steps"]) == 0
    wide, none = (small_config(optimizer__skip_norm=n, train__skip_steps=3) for n in (1e6, 0.0))
    bounded, free = run_steps("jit", wide), run_steps("jit", none)
    leaves_equal(bounded.params, free.params)  # one program, in which the bound is traced
    plain = run_steps("jit", small_config())
    leaves_close(bounded.params, plain.params, 1e-6)  # two programs, rounded each in its way
    assert int(bounded.bad_total) == int(plain.bad_total) == 0

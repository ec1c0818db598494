"""A run over a mesh of devices is the run of one device, whatever its arrays are cut along."""

import dataclasses
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import build, grey_dataset, single, small_config
from tests.training.test_step import leaves_close, leaves_equal
from vae.checkpoint import Checkpoints
from vae.errors import UserError
from vae.probability import noise
from vae.training import places, setup, sharding
from vae.training.engine import padded
from vae.training.feed import Feed
from vae.training.population import Group
from vae.training.state import Creator

WIDE = {"model__hidden": (1024,), "train__ema": 0.9}  # 16 x 1024 numbers: large enough to be cut
SGD = {"optimizer__name": "sgd", "optimizer__learning_rate": 1e-3}
DATASET = grey_dataset()


def feed(batch_size=40, streamed=False):
    return Feed(DATASET.splits["train"], 0, batch_size, streamed)


def run(config, parallel, cut=1, streamed=False, change=lambda program, hyper: (program, hyper)):
    """The state after five steps in two calls."""
    program, hyper, first = build(config, DATASET)
    program, hyper = change(program, hyper)
    engine = single(program, DATASET, parallel, streamed, cut)
    engine.put(0, first, hyper)
    fed = feed(config.train.batch_size, streamed)
    for at, count in ((0, 3), (3, 2)):
        engine.run({0: fed.take(at, count)})
    return engine.get(0)


def trained(state):
    """All that steps change."""
    return state.params, state.opt_state, state.ema, state.sums


@pytest.mark.parametrize(
    ("shape", "ways", "spec"),
    [
        ((16, 1024), 2, (None, "model")),  # the largest dimension
        ((1024, 16), 4, ("model", None)),
        ((256, 256), 2, (None, "model")),  # the last of equal ones
        ((129, 250), 2, (None, "model")),
        ((250, 1025), 2, ("model", None)),  # the largest that divides
        ((3, 3, 64, 128), 8, (None, None, None, "model")),
        ((2**14,), 2, ("model",)),
        ((2**14 - 2,), 2, ()),  # too small
        ((129, 255), 2, ()),  # none divides
        ((1024, 1024), 1, ()),
        ((), 2, ()),
    ],
)
def test_an_array_is_cut_along_the_largest_dimension_that_divides(shape, ways, spec):
    assert sharding.rule(shape, ways) == jax.P(*spec)


def probe(program, hyper):
    """Terms that tell the noise and the binary pixels of every example, as whole numbers small
    enough that their means over 32 examples and sums over steps are exact."""
    real = program.objective

    def objective(model, x, keys, hyper, axis=None):
        terms = real(model, x, keys, hyper, axis)
        bits = jax.vmap(lambda key: jax.random.bits(key, (), jnp.uint32) >> 22)(keys)  # 10 bits
        drawn = jax.lax.bitcast_convert_type(noise.normal(noise.fold(keys, 9), (2,)), jnp.uint32)
        ones = x.reshape(len(x), -1)
        place = jnp.arange(1, 1 + ones.shape[1])
        return terms | {
            "distortion": bits * ones.sum(1),
            "rate": ones @ place.astype(jnp.float32),
            "elbo": (drawn & 0x3FF).sum(1).astype(jnp.float32),
        }

    parts = program.parts()._replace(objective=objective)
    return dataclasses.replace(program, parts=lambda: parts), hyper


@pytest.mark.parametrize(
    ("parallel", "cut", "parts"),
    [("shard", 1, 1), ("shard", 2, 1), ("shard", 2, 4), ("pmap", 1, 2)],
)
def test_the_noise_of_an_example_is_that_of_one_device_bit_for_bit(parallel, cut, parts):
    settings = {"train__batch_size": 32, **WIDE}
    one = run(small_config(**settings), "jit", change=probe).sums
    other = run(small_config(train__accumulate=parts, **settings), parallel, cut, change=probe).sums
    for name in ("distortion", "rate", "elbo"):
        assert float(one[name]) > 100 and one[name] == other[name]


@pytest.mark.parametrize(("cut", "streamed"), [(1, True), (2, False), (4, False)])
def test_many_steps_over_a_mesh_equal_one_device(cut, streamed):
    config = small_config(**WIDE, **SGD)
    one, mesh = run(config, "jit"), run(config, "shard", cut, streamed)
    assert int(mesh.step) == int(one.step) == 5
    leaves_close(trained(mesh), trained(one), 1e-5)


def test_a_critic_is_trained_over_a_mesh_as_on_one_device():
    """Its permutation is of the global batch, and its weights are cut too."""
    config = small_config(
        objective__name="factor_vae", objective__critic_hidden=(128, 128), **SGD
    )
    one, mesh = run(config, "jit"), run(config, "shard", 2)
    leaves_close(trained(mesh), trained(one), 1e-5)


def test_a_critic_of_patches_is_trained_over_a_mesh_as_on_one_device():
    """Its game, its penalty and the weight that follows two gradients are of the global batch."""
    config = small_config(
        objective__name="perceptual", objective__feature=0.0, objective__adversarial=0.5,
        objective__critic_start=0.0, objective__r1=0.1,
        objective__critic_filters=(3,), **SGD,
    )  # fmt: skip
    one, mesh = run(config, "jit"), run(config, "shard", 2)
    assert float(one.sums["critic_loss"]) != 0.0
    leaves_close(trained(mesh), trained(one), 1e-5)


def test_masked_latents_over_a_mesh_are_those_of_one_device():
    def masked(program, hyper):
        return dataclasses.replace(program, masked=True), hyper | {"latent_size": np.float32(2.0)}

    config = small_config(objective__name="beta_tcvae", **SGD)
    one, mesh = run(config, "jit", change=masked), run(config, "shard", change=masked)
    leaves_close(trained(mesh), trained(one), 1e-5)


def test_no_device_holds_all_of_a_cut_weight_or_works_on_others_rows():
    """Of weights, moments and averages; from the first state on."""
    config = small_config(**WIDE)
    program, hyper, _ = build(config, DATASET)
    creator = Creator(program, DATASET.shape, model_axis=2)
    engine = single(program, DATASET, "shard", cut=2)
    engine.put(0, creator(hyper), hyper)
    engine.run({0: feed().take(0, 2)})
    for state in (creator._first(hyper), engine.state):
        for branch in (state.params, state.ema, *state.opt_state["model"].values()):
            for leaf in jax.tree.leaves(branch):
                cut = 2 if leaf.size >= sharding.LEAST else 1
                assert {cut * s.data.size for s in leaf.addressable_shards} == {leaf.size}
    fed = engine.place.fed(padded(feed().take(0, 2), engine.most))
    lowered = engine.compiled.jitted().lower(
        engine.state, hyper, engine.examples, fed, np.int32(2)
    )
    found = set(re.findall(r"f32\[(\d+),(\d+)\]", lowered.compile().as_text()))
    assert ("20", "512") in found  # activations: half of the rows, half of the width
    assert not {("40", "512"), ("40", "1024"), ("20", "1024"), ("16", "1024")} & found


def test_the_first_state_is_the_same_whether_it_is_cut_or_not():
    program, hyper, first = build(small_config(**WIDE), DATASET)
    cut = Creator(program, DATASET.shape, model_axis=2)(hyper)
    leaves_close(trained(cut), trained(first), 1e-6)


def test_the_loop_over_a_mesh_is_compiled_once():
    program, hyper, first = build(small_config(**WIDE), DATASET)
    engine = single(program, DATASET, "shard", cut=2)
    engine.put(0, first, hyper)
    for at in range(3):
        engine.run({0: feed().take(at, 1)})
        engine.edit(0, best_elbo=np.float32(at), waited=np.int32(0))
    assert engine.compiled.jitted()._cache_size() == 1


def test_a_checkpoint_goes_from_each_place_to_the_next(tmp_path):
    """Two steps in each, through the disk: the end is that of ten steps on one device."""
    config = small_config(**WIDE, **SGD)
    program, hyper, first = build(config, DATASET)
    whole = single(program, DATASET)
    whole.put(0, first, hyper)
    for at in (0, 5):
        whole.run({0: feed().take(at, 5)})
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, first, None)
        ways = [("shard", 2), ("jit", 1), ("shard", 4), ("pmap", 1), ("shard", 1)]
        for at, (parallel, cut) in zip(range(0, 10, 2), ways, strict=True):
            checkpoints.wait()
            step, state = checkpoints.restore(first)
            assert step == int(state.step) == at
            engine = single(program, DATASET, parallel, cut=cut)
            engine.put(0, state, hyper)
            engine.run({0: feed().take(at, 2)})
            checkpoints.save(at + 2, engine.get(0), None)
    assert int(engine.get(0).step) == 10
    leaves_close(trained(engine.get(0)), trained(whole.get(0)), 1e-5)


def test_a_mesh_gives_the_same_bits_twice_and_through_the_host():
    config = small_config(**WIDE)
    leaves_equal(run(config, "shard", 2), run(config, "shard", 2))
    program, hyper, first = build(config, DATASET)
    engine = single(program, DATASET, "shard", cut=2)
    engine.put(0, first, hyper)
    for at, count in ((0, 1), (1, 4)):  # anew from the host between, as a resumed run
        engine.run({0: feed().take(at, count)})
        engine.put(0, engine.get(0), hyper)
    leaves_equal(engine.get(0), run(config, "shard", 2))


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({}, "pmap"),
        ({"parallel": "shard"}, "shard"),
        ({"model_axis": 2}, "shard"),
        ({"model_axis": 4, "batch_size": 7}, "shard"),  # one share of the batch
        ({"model_axis": 2, "batch_size": 12, "accumulate": 6}, "shard"),
        ({"parallel": "jit", "batch_size": 7}, "jit"),
    ],
)
def test_what_parallel_means_on_four_devices(settings, chosen):
    changes = {"parallel": "auto", **settings}
    config = small_config(**{f"train__{name}": value for name, value in changes.items()})
    assert places.resolve(config) == chosen


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"parallel": "shard", "batch_size": 30}, "over 4 devices: take a multiple of 4"),
        ({"parallel": "shard", "model_axis": 2, "batch_size": 31}, "take a multiple of 2"),
        ({"parallel": "shard", "model_axis": 3}, "model_axis=3 does not divide 4 devices"),
        ({"parallel": "shard", "model_axis": 8}, "model_axis=8 does not divide 4 devices"),
        ({"parallel": "pmap", "model_axis": 2}, "is of train.parallel=shard, and this is pmap"),
        ({"parallel": "jit", "model_axis": 2}, "is of train.parallel=shard, and this is jit"),
        ({"parallel": "shard", "accumulate": 4}, "in train.accumulate=4 parts: take a multiple of"),
    ],
)
def test_what_does_not_divide_is_refused_with_the_remedy(settings, words):
    config = small_config(**{f"train__{name}": value for name, value in settings.items()})
    with pytest.raises(UserError, match=words) as said:
        places.resolve(config)
    assert len(str(said.value).splitlines()) == 1


def test_an_axis_that_cuts_nothing_is_refused():
    with pytest.raises(UserError, match="train.model_axis=2 cuts none of the weights"):
        setup.program(small_config(train__model_axis=2), DATASET)
    setup.program(small_config(train__model_axis=2, **WIDE), DATASET)


def test_trials_of_one_device_each_are_not_cut():
    with pytest.raises(UserError, match="train.model_axis=2 is of a run over several devices"):
        Group([small_config(train__model_axis=2, **WIDE)])


@pytest.mark.parametrize(
    ("local", "cut", "shares"),
    [(1, 1, [(0, 4), (1, 4), (2, 4), (3, 4)]), (1, 2, [(0, 2), (0, 2), (1, 2), (1, 2)]),
     (2, 2, [(0, 4), (1, 4), (2, 4), (3, 4)]), (2, 8, [(0, 1)] * 4)],
)  # fmt: skip
def test_processes_that_share_weights_feed_the_same_rows(monkeypatch, local, cut, shares):
    found = []
    for number in range(4):
        counts = {"local_device_count": local, "process_index": number, "process_count": 4}
        fake = SimpleNamespace(**{name: lambda n=n: n for name, n in counts.items()})
        monkeypatch.setattr(sharding, "jax", fake)
        found.append(sharding.shares(cut))
    assert found == shares

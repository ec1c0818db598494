"""A population's trials are the same trials trained alone."""

import functools
import re

import jax
import numpy as np
import pytest

import vae
from tests.helpers import last_state, small_config
from tests.margins import above, near
from vae import models, runs
from vae.estimators.compiled import Compiled
from vae.evaluation.evaluate import evaluate, evaluate_run
from vae.evaluation.trained import load
from vae.training import engine, population, step
from vae.training.population import Group

SGD = {"optimizer__name": "sgd", "optimizer__learning_rate": 1e-3, "train__epochs": 2}


def members(folder, changes, **shared):
    """Configs and run directories, one for each of `changes`."""
    return [
        (small_config(**shared, **change), folder / str(number))
        for number, change in enumerate(changes)
    ]


def close(left, right, rtol=1e-5):
    assert set(left) == set(right)
    for name in right:
        a, b = np.asarray(left[name], np.float64), np.asarray(right[name], np.float64)
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= rtol * np.linalg.norm(b) + 1e-7, name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Four latent sizes as one program, and each alone: 64 steps of SGD with momentum."""
    changes = [
        {"model__latent_size": 2, "objective__beta": 0.5, "seed": 3},
        {"model__latent_size": 5, "objective__beta": 4.0, "optimizer__learning_rate": 3e-4},
        {"model__latent_size": 1, "optimizer__clip_norm": 20.0},
        {"model__latent_size": 8, "optimizer__weight_decay": 0.1, "train__ema": 0.9},
        {"model__latent_size": 3, "objective__beta_schedule": "constant"},
    ]
    for change in changes:
        change |= {key: value for key, value in SGD.items() if key not in change}
        change.setdefault("train__ema", 0.5)
    together = members(tmp_path_factory.mktemp("together"), changes)
    alone = members(tmp_path_factory.mktemp("alone"), changes)
    group = Group([config for config, _ in together])
    assert not any(trial.failure for trial in group.train(together))
    for config, path in alone:
        vae.train(config, str(path))
    return group, [path for _, path in together], [path for _, path in alone]


def test_a_trial_equals_the_same_trial_alone(trained):
    _, together, alone = trained
    for one, other in zip(together, alone, strict=True):
        assert int(last_state(one)["step"]) == 64
        close(last_state(one), last_state(other))


@pytest.mark.slow
def test_a_masked_trial_is_evaluated_as_the_model_of_its_size(trained):
    group, together, alone = trained
    for one, other in zip(together, alone, strict=True):
        shared, own = evaluate_run(load(one, compiled=group.compiled)), evaluate(other)
        assert shared["metrics"].keys() == own["metrics"].keys()
        for name, metric in own["metrics"].items():
            assert shared["metrics"][name]["unit"] == metric["unit"]
            np.testing.assert_allclose(
                shared["metrics"][name]["value"], metric["value"], rtol=2e-4
            )
        for name, array in own["arrays"].items():
            assert len(array) == len(shared["arrays"][name])


def test_a_trained_masked_model_gives_arrays_of_its_own_size(trained):
    group, together, _ = trained
    shared, own = load(together[0], compiled=group.compiled), load(together[0])
    x = own.examples("test", 20)
    for left, right in zip(shared.encode(x), own.encode(x), strict=True):
        assert left.shape == (20, 2)
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(shared.sample(7), own.sample(7), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(shared.reconstruct(x), own.reconstruct(x), rtol=1e-4, atol=1e-6)


def test_every_run_directory_is_an_ordinary_one(trained):
    _, together, alone = trained
    for one, other in zip(together, alone, strict=True):
        left, right = runs.read_metrics(one), runs.read_metrics(other)
        assert [(r["step"], r["split"]) for r in left] == [(r["step"], r["split"]) for r in right]
        for a, b in zip(left, right, strict=True):
            np.testing.assert_allclose(a["elbo"], b["elbo"], rtol=1e-4)
        assert vae.train(runs.read_config(one), str(one)) == str(one)  # nothing left to do


def test_the_mask_is_exact_in_function_loss_and_gradient():
    """A model of 8 latents with 3 of them unmasked against the model of 3: to rounding."""
    configs = [small_config(model__latent_size=size) for size in (3, 8)]
    group = Group(configs)
    small, large = group.programs[3], group.program
    assert large.masked
    hyper = {**population.setup.hyperparameters(configs[0]), "beta": np.float32(2.0)}
    params = jax.jit(lambda: models.initialise(small.model, group.dataset.shape, 5))()
    shapes = jax.eval_shape(lambda: models.initialise(large.model, group.dataset.shape))
    batch = {"x": group.dataset.splits["train"].x[:40]}
    keys = jax.random.split(jax.random.key(1), 40)

    def gradient(program, weights):
        return jax.jit(lambda w: step.gradients(w, program, hyper, batch, keys, None))(weights)

    (small_gradient, small_terms) = gradient(small, params)
    (large_gradient, large_terms) = gradient(large, models.fit(params, shapes))
    for name, value in small_terms.items():
        np.testing.assert_allclose(large_terms[name], value, rtol=1e-6)
    cut = models.fit(large_gradient, small_gradient)
    for a, b in zip(jax.tree.leaves(cut), jax.tree.leaves(small_gradient), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    outside = jax.tree.map(np.subtract, large_gradient, models.fit(cut, large_gradient))
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(outside))  # dead means dead


def test_initial_weights_are_those_of_the_model_built_at_that_size():
    group = Group([small_config(model__latent_size=size) for size in (2, 50)])
    hyper = population.setup.hyperparameters(small_config(model__latent_size=2, seed=9))
    first = group._create[2](hyper).params
    model = group.programs[2].model
    expected = jax.jit(lambda: models.initialise(model, group.dataset.shape, 9))()
    close_to = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7)
    jax.tree.map(close_to, first, expected)
    kernel = np.asarray(first["decoder"]["Dense_0"]["kernel"])
    # He's scale for a fan-in of 2, not 50, and not half way there.
    near(np.log(kernel.std() / np.sqrt(2.0 / 2)), 0.0, 0.5 * np.log(np.sqrt(50 / 2)))


@pytest.mark.slow
def test_one_compilation_serves_the_group(tmp_path, caplog):
    """Seven trials of four latent sizes take turns on four devices: one program, compiled once."""
    runs_ = members(tmp_path, [{"seed": n, "model__latent_size": 1 + n % 4} for n in range(7)])
    group = Group([config for config, _ in runs_])
    with jax.log_compiles(), caplog.at_level("WARNING"):
        group.train(runs_)
    compiled = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Compiling")]
    loops = [text for text in compiled if "jit(_fun)" in text and "int32[4,1,32,40]" in text]
    assert len(loops) == 1, compiled
    assert all(int(last_state(path)["step"]) == 4 * 32 for _, path in runs_)


@pytest.mark.slow
@pytest.mark.parametrize("per_device", [1, 2])
def test_trials_spread_over_the_devices_with_no_collective(tmp_path, per_device):
    group = Group([small_config(model__latent_size=size) for size in (2, 3)])
    hyper = population.setup.hyperparameters(small_config())
    slots = population.Population(
        group.program, group.dataset.splits["train"].arrays(), 4, per_device, 8
    )
    text = slots.lower(hyper, 40).compile().as_text()
    kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    assert not re.findall(rf" ({kinds})(-start)?\(", text)
    first = jax.device_get(group._create[3](hyper))
    for slot in range(slots.size):
        slots.put(slot, first, hyper)
    slots.run({slot: np.zeros((2, 40), np.int32) for slot in range(slots.size)})
    leaf = jax.tree.leaves(slots.state.params)[0]
    assert len(leaf.sharding.device_set) == 4
    assert {shard.data.shape[:2] for shard in leaf.addressable_shards} == {(1, per_device)}


@pytest.mark.slow
def test_a_group_larger_than_the_memory_is_cut(tmp_path, monkeypatch):
    """Eight trials on one device whose memory is short: fewer slots, the same trials."""
    eight = members(tmp_path, [{"seed": n} for n in range(8)], train__epochs=1)
    group = Group([config for config, _ in eight])
    monkeypatch.setattr(population, "layout", lambda runs, at_once=0: (1, runs))
    hyper = population.setup.hyperparameters(eight[0][0])
    examples = group.dataset.splits["train"].arrays()
    used = population.Population(group.program, examples, 1, 2, 32).lower(hyper, 40).compile()
    used = used.memory_analysis()
    needed = used.argument_size_in_bytes + used.temp_size_in_bytes + used.output_size_in_bytes
    limit = (needed - used.alias_size_in_bytes) / 0.9 + 1
    monkeypatch.setattr(engine, "memory_limit", lambda: limit)
    assert [trial.failure for trial in group.train(eight)] == [""] * 8
    assert group._engine.per_device == 2
    assert all(int(last_state(path)["step"]) == 32 for _, path in eight)


@pytest.mark.slow
def test_vmap_inside_a_device_trains_the_same_and_gives_up_empty_slots(
    tmp_path, trained, monkeypatch
):
    """The accelerators' layout, on CPU: early ends let it shrink, and no trial notices."""
    _, _, alone = trained
    configs = [runs.read_config(path) for path in alone]
    monkeypatch.setattr(population, "layout", lambda runs, at_once=0: (1, runs))
    group = Group(configs)
    engines = []
    halved = population.Population.halved
    monkeypatch.setattr(
        population.Population, "halved", lambda self: engines.append(self) or halved(self)
    )
    together = [(config, tmp_path / str(n)) for n, config in enumerate(configs)]
    group.train(together[:2] + together[3:], until=1.0)  # the third is behind the others
    group.train(together)
    assert engines[0].per_device == 5
    for (_, one), other in zip(together, alone, strict=True):
        close(last_state(one), last_state(other))


@pytest.mark.slow
def test_a_diverging_trial_fails_alone(tmp_path):
    changes = [{"optimizer__learning_rate": rate} for rate in (1e-3, 1e9, 2e-3, 3e-3)]
    eight = members(tmp_path / "eight", changes + [{"seed": n} for n in range(1, 5)])
    seven = [(config, tmp_path / "seven" / path.name) for config, path in eight if path.name != "1"]
    group = Group([config for config, _ in eight])
    trials = group.train(eight)
    assert [bool(trial.failure) for trial in trials] == [False, True] + 6 * [False]
    assert "not finite" in runs.read_json(tmp_path / "eight" / "1" / "failure.json")["reason"]
    group.train(seven)
    for _, path in seven:
        left, right = last_state(tmp_path / "eight" / path.name), last_state(path)
        for name in right:
            np.testing.assert_array_equal(left[name], right[name])


@pytest.mark.slow
def test_trials_stop_early_each_on_its_own(tmp_path):
    changes = [{"optimizer__learning_rate": rate} for rate in (0.05, 1e-4)]
    both = members(tmp_path, changes, train__patience=2, train__epochs=30)
    Group([config for config, _ in both]).train(both)
    steps = [int(last_state(path)["step"]) for _, path in both]
    above(steps[1] - steps[0], 0)


@pytest.mark.slow
def test_a_paused_group_goes_on_to_the_same_end(tmp_path):
    changes = [{"seed": 0}, {"seed": 1}]
    paused, whole = members(tmp_path / "paused", changes), members(tmp_path / "whole", changes)
    group = Group([config for config, _ in paused])
    group.train(paused, until=1.5)
    assert int(last_state(paused[0][1])["step"]) == 48
    group.train(paused)
    group.train(whole)
    for (_, one), (_, other) in zip(paused, whole, strict=True):
        left, right = last_state(one), last_state(other)
        assert all(np.array_equal(left[name], right[name]) for name in right)


@pytest.mark.parametrize(
    ("change", "together"),
    [
        ({"objective__beta": 4.0}, True),
        ({"optimizer__learning_rate": 0.1, "optimizer__clip_norm": 1.0}, True),
        ({"model__latent_size": 30, "seed": 4}, True),
        ({"objective__capacity": 3.0, "optimizer__weight_decay": 0.0}, True),
        ({"eval__iwae_samples": (5,), "train__patience": 3}, True),
        ({"train__ema": 0.9}, False),
        ({"model__hidden": (8,)}, False),
        ({"train__batch_size": 20}, False),
        ({"objective__name": "capacity"}, False),
        ({"data__binarization": "static"}, False),
        ({"train__epochs": 5}, False),
    ],
)
def test_what_differs_in_traced_numbers_alone_is_one_group(change, together):
    keys = [population.group_key(small_config(**values)) for values in ({}, change)]
    assert (keys[0] == keys[1]) == together


def test_compiled_functions_are_shared_and_cut_to_size():
    config = small_config(model__latent_size=3)
    group = Group([config, small_config(model__latent_size=6)])
    assert isinstance(group.compiled, Compiled) and group.compiled.model.latent_size == 6
    z = group.compiled.latents(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(z, [[1, 1, 1, 0, 0, 0]] * 2)

"""`plan`: what it says against the engine's own program, closed forms, and the compiler of TPUs."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from vae import automatic
from vae.configs import digits
from vae.errors import UserError
from vae.hardware import plan as planning
from vae.hardware.plan import plan
from vae.training.engine import needed_bytes
from vae.training.population import Group

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config():
    config = digits.get_config()
    config.train.epochs = 2
    return config


def test_products_of_a_step_are_those_of_its_layers(config, tmp_path):
    """Each weight of a dense layer takes part in three products of two operations for every
    example: forth, and for the gradients of the weight and of its input; the first layer's input
    needs none."""
    (row,) = plan(config, [], "cpu:1", output=str(tmp_path / "plan.json"))
    found = json.loads((tmp_path / "plan.json").read_text())
    assert found["programs"] == [row]
    hidden, latents, batch = config.model.hidden, config.model.latent_size, row["batch_size"]
    widths = [64, *hidden, 2 * latents], [latents, *reversed(hidden), 64]
    weights = sum(a * b for side in widths for a, b in zip(side, side[1:], strict=False))
    assert row["flops"] == 2 * batch * (3 * weights - 64 * hidden[0])
    assert row["collectives"] == {} and row["compiled"]
    assert found["target"]["name"] == "cpu:1" and found["git_revision"]


def test_a_population_needs_what_the_engines_program_needs(config):
    """To the byte: it is the same program."""
    grid = [{"model.latent_size": size, "seed": seed} for size in (2, 8) for seed in (0, 1)]
    (row,) = plan(config, grid, "cpu:1")
    from vae.sweeps.plan import plan as trials

    members = trials(automatic.resolved(config), grid)
    group = Group([trial.config for trial in members])
    from vae.training.trial import intervals

    class Fake:
        feed = type("Feed", (), {"batch_size": config.train.batch_size})
        log_steps = intervals(config, group.program.steps_per_epoch)[1]

    engine = group.engine([Fake], at_once=1)
    from vae.training import setup

    hyper = setup.hyperparameters(members[-1].config)
    used = engine.lower(hyper, config.train.batch_size).compile().memory_analysis()
    assert row["needed_bytes"] == needed_bytes(used)
    assert row["argument_bytes"] == used.argument_size_in_bytes
    assert row["trials"] == 4 and row["rounds"] == 4 and row["collectives"] == {}


def test_what_is_wrong_is_said_before_anything_is_compiled(config):
    with pytest.raises(UserError, match="--output=plan.txt is no .json"):
        plan(config, [], "cpu:1", output="plan.txt")
    with pytest.raises(UserError, match="does not divide over 3 devices"):
        plan(config, [], "cpu:3")


def test_the_roofline_is_the_slower_of_products_and_memory_and_then_the_links(config):
    from vae.hardware import ahead, targets

    target = targets.parse("v5e:2x2")
    needs = ahead.Needs(1.0, 0, 0, 0, 0, 0, 10**9, 10**8, 197 * 10**9, 10**6, {"all-reduce": 1}, 0)
    row = {"devices": 4, "trials_a_device": 1, "steps": 3600, "rounds": 1}
    found = planning.judged(needs, row, config, target)
    assert found["roofline_seconds"]["step"] == pytest.approx(1e-3)
    assert found["bound_by"] == "products" and found["fits"]
    assert found["roofline_hours"] == pytest.approx(1e-3)
    assert found["trials_that_fit"] == int((0.9 * 16 * 2**30 - 1e8) / 9e8)


TPU = """
import dataclasses, json, sys
from vae.hardware import targets
target = targets.parse("v5e:2x2")
targets.prepare(target)
import jax
from experiments.benchmarks.step_speed import images
from vae.models import initialise
from vae.configs import mnist
from vae.hardware import ahead
from vae.hardware.plan import shapes_of
from vae.training import setup
config, dataset = mnist.get_config(), images()
config.model.likelihood, config.data.binarization = "bernoulli", "dynamic"
program = setup.program(config, dataset)
there, shapes = targets.devices(target), shapes_of(dataset)
found = (ahead.run(config, program, shapes, there, target, "pmap"),
         ahead.population(config, program, shapes, there, target, 2))
params = initialise(program.model, dataset.shape)
weights = sum(leaf.size for leaf in jax.tree.leaves(params))
print(json.dumps([*map(dataclasses.asdict, found), weights]))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None,
    reason="libtpu, the compiler of TPUs, is not installed: pip install 'vae[plan-tpu]'",
)
def test_mnist_compiles_for_four_chips_of_a_tpu():
    """One sum over the chips a step of a run: of its gradient and the few terms that are logged;
    none of a population."""
    done = subprocess.run(
        [sys.executable, "-c", TPU], cwd=ROOT, env=os.environ,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    run, population, weights = json.loads(done.stdout.splitlines()[-1])
    assert sum(run["collectives"].values()) == 1 and run["collectives"]["all-reduce"] == 1
    assert 0 < run["collective_bytes"] - 4 * weights < 4 * 10
    assert population["collectives"] == {} and population["collective_bytes"] == 0
    assert population["flops"] == 2 * 4 * run["flops"]  # two trials, of the whole batch each


def test_the_platform_that_is_traced_for_is_this_ones_again_afterwards():
    from vae.traced_for import platform, tracing_for

    here = jax.default_backend()
    with tracing_for("tpu"):
        assert platform() == "tpu"
    assert platform() == here

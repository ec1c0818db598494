"""Killed, interrupted and resumed runs, through the command line, end where whole ones end."""

import json
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import finish, last_state, start_training
from vae.__main__ import main
from vae.checkpoint import Checkpoints

FLAGS = [
    f"--config={Path(__file__).resolve().parents[1]}/configs/digits.py",
    "--config.model.hidden=(64,)",
    "--config.train.epochs=600",
    "--config.train.eval_epochs=20.0",
    "--config.train.ema=0.99",
    "--config.objective.beta_schedule=linear",
    "--config.objective.beta_epochs=400.0",
    "--config.optimizer.warmup_epochs=100.0",
]


def start(workdir):
    return start_training(workdir, *FLAGS)


def best_step(workdir):
    with Checkpoints(workdir, read_only=True) as checkpoints:
        return checkpoints.best_step()


def metrics(workdir):
    """Every line of metrics.jsonl but for the clock's readings."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "examples_per_second"} for line in lines]


def wait_for_validations(workdir, number, process):
    path = workdir / "metrics.jsonl"
    while process.poll() is None:
        if path.exists() and path.read_text().count('"validation"') >= number:
            return
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    finish(start(workdir))
    return workdir


def assert_same_run(workdir, whole):
    state, expected = last_state(workdir), last_state(whole)
    assert best_step(workdir) == best_step(whole)
    assert set(state) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(state[name], value, err_msg=name)
    assert metrics(workdir) == metrics(whole)


@pytest.mark.slow
def test_killed_at_random_moments_ends_with_the_same_bits(tmp_path, whole):
    """Weights, optimiser, EMA, schedules, data position, early-stopping state and metrics."""
    workdir, generator = tmp_path / "run", random.Random(0)
    for kill in range(3):
        process = start(workdir)
        wait_for_validations(workdir, 1 + 8 * kill, process)
        time.sleep(generator.uniform(0.0, 0.5))
        process.kill()
        process.communicate()
    finish(start(workdir))
    assert_same_run(workdir, whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, whole, number):
    workdir = tmp_path / "run"
    process = start(workdir)
    wait_for_validations(workdir, 3, process)
    began = time.time()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number and time.time() - began < 10
    assert err.startswith("interrupted and saved at step") and "same command" in err
    assert len(err.strip().splitlines()) == 1
    assert "resuming at step" in finish(start(workdir))[0]
    assert_same_run(workdir, whole)


def train_here(workdir):
    """A tenth of the run, in this process."""
    short = ["train.epochs=60", "objective.beta_epochs=40.0", "optimizer.warmup_epochs=10.0"]
    changes = [f"--config.{change}" for change in (*short, "train.parallel=jit")]
    return main(["train", *FLAGS, *changes, f"--workdir={workdir}"])


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("short") / "run"
    assert train_here(workdir) == 0
    return workdir


def test_a_finished_run_is_left_alone(short, capsys):
    before = {p: p.stat().st_mtime_ns for p in (short / "checkpoints").rglob("*")}
    assert train_here(short) == 0
    assert "already finished" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (short / "checkpoints").rglob("*")} == before


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, short, capsys):
    """One file of the last checkpoint cut short: the run resumes one save earlier and says so."""
    workdir = tmp_path / "run"
    shutil.copytree(short, workdir)
    last = int(last_state(workdir)["step"])
    for path in (workdir / "checkpoints" / str(last)).rglob("d/*"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert train_here(workdir) == 0
    out, err = capsys.readouterr()
    assert f"checkpoint {last}" in err and "the one before" in err
    assert "resuming at step" in out
    assert_same_run(workdir, short)

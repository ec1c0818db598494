"""One device, four, and two processes, from the command line: the same run."""

import socket

import numpy as np
import pytest

from tests.helpers import finish, last_state, start_training

FLAGS = [
    "--config=configs/digits.py",
    "--config.model.hidden=(32,)",
    "--config.train.epochs=30",
    "--config.train.eval_epochs=1.0",
    "--config.optimizer.name=sgd",  # Adam would hide a gradient of the wrong scale
    "--config.optimizer.learning_rate=0.001",
]


def start(workdir, devices, *more):
    return start_training(workdir, *FLAGS, *more, devices=devices)


def assert_close(left, right, rtol=1e-5):
    assert set(left) == set(right)
    for name in right:
        a, b = np.asarray(left[name], np.float64), np.asarray(right[name], np.float64)
        assert np.linalg.norm(a - b) <= rtol * np.linalg.norm(b) + 1e-9, name


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("one") / "run"
    finish(start(workdir, 1, "--config.train.parallel=jit"))
    return workdir


@pytest.mark.slow
def test_four_devices_equal_one(tmp_path, one):
    finish(start(tmp_path / "run", 4, "--config.train.parallel=pmap"))
    assert_close(last_state(tmp_path / "run"), last_state(one))


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(4, 1), (1, 4)])
def test_a_checkpoint_of_four_devices_restores_on_one_and_back(tmp_path, one, first, second):
    """The first run is stopped early on and saves, the second goes on to the same end."""
    workdir = tmp_path / "run"
    process = start(workdir, first)
    while "epoch 1 " not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.terminate()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 143 and "interrupted and saved" in err
    [out] = finish(start(workdir, second))
    assert "resuming at step" in out
    assert_close(last_state(workdir), last_state(one))


@pytest.mark.slow
def test_two_processes_train_one_run(tmp_path, one):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    flags = [f"--coordinator=localhost:{port}", "--num_processes=2"]
    both = [start(tmp_path / "run", 1, *flags, f"--process_id={n}") for n in (0, 1)]
    outs = finish(*both)
    assert "epoch 30" in outs[0] and "epoch" not in outs[1]  # one of them reports
    assert_close(last_state(tmp_path / "run"), last_state(one))


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    process = start(tmp_path / "run", 4, "--config.train.batch_size=30")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2 and "multiple of 4" in err
    assert not (tmp_path / "run").exists()

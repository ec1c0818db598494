"""One device, four, and two processes, from the command line: the same run."""

import re

import numpy as np
import pytest

from tests.helpers import finish, free_port, last_state, start_training

FLAGS = [
    "--config=configs/digits.py",
    "--config.model.hidden=(32,)",
    "--config.train.epochs=30",
    "--config.train.eval_epochs=1.0",
    "--config.optimizer.name=sgd",  # Adam would hide a gradient of the wrong scale
    "--config.optimizer.learning_rate=0.001",
]


def start(workdir, devices, *more):
    given = [flag for flag in FLAGS if not any(flag.split("=")[0] + "=" in own for own in more)]
    return start_training(workdir, *given, *more, devices=devices)


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
@pytest.mark.parametrize("flags", [(), ("--config.train.accumulate=5",)])
def test_a_mesh_of_four_devices_equals_one(tmp_path, one, flags):
    finish(start(tmp_path / "run", 4, "--config.train.parallel=shard", *flags))
    assert_close(last_state(tmp_path / "run"), last_state(one))


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [(4, 1), (1, 4)])
def test_a_checkpoint_of_four_devices_restores_on_one_and_back(tmp_path, one, first, second):
    """The first run is stopped early on and saves, the second goes on to the same end."""
    workdir = tmp_path / "run"
    stop_early(start(workdir, first))
    [out] = finish(start(workdir, second))
    assert "resuming at step" in out
    assert_close(last_state(workdir), last_state(one))


def stop_early(process):
    """Interrupts a run after an epoch of its own; it saves."""
    while not re.search(r"epoch \d+ ", line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.terminate()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 143 and "interrupted and saved" in err


WIDE = ("--config.model.hidden=(256,)",)  # with weights that can be cut
CUT = ("--config.train.parallel=shard", "--config.train.model_axis=2", *WIDE)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("wide") / "run"
    finish(start(workdir, 1, "--config.train.parallel=jit", *WIDE))
    return workdir


@pytest.mark.slow
def test_a_run_moves_between_places_and_numbers_of_devices(tmp_path, wide):
    workdir = tmp_path / "run"
    stop_early(start(workdir, 4, *CUT))
    stop_early(start(workdir, 1, "--config.train.parallel=jit", *WIDE))
    stop_early(start(workdir, 2, *CUT, "--config.train.accumulate=4"))
    stop_early(start(workdir, 4, "--config.train.parallel=pmap", *WIDE))
    [out] = finish(start(workdir, 2, "--config.train.parallel=shard", *WIDE))
    assert "resuming at step" in out
    assert_close(last_state(workdir), last_state(wide))


@pytest.mark.slow
def test_a_mesh_is_killed_and_ends_with_the_same_bits(tmp_path):
    finish(start(tmp_path / "whole", 4, *CUT))
    workdir = tmp_path / "killed"
    for _ in range(2):
        process = start(workdir, 4, *CUT)
        while not re.search(r"epoch \d+ ", line := process.stdout.readline()):
            assert line, process.stderr.read()
        process.kill()
        process.communicate()
    finish(start(workdir, 4, *CUT))
    killed, whole = last_state(workdir), last_state(tmp_path / "whole")
    assert set(killed) == set(whole)
    for name, value in whole.items():
        np.testing.assert_array_equal(killed[name], value, err_msg=name)


def two_processes(workdir, *more, devices=1):
    flags = [f"--coordinator=localhost:{free_port()}", "--num_processes=2", *more]
    both = [start(workdir, devices, *flags, f"--process_id={n}") for n in (0, 1)]
    return finish(*both)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["pmap", "shard"])
@pytest.mark.parametrize("streamed", [False, True])
def test_two_processes_train_one_run(tmp_path, one, parallel, streamed):
    flags = (f"--config.train.parallel={parallel}", f"--config.data.stream={streamed}")
    outs = two_processes(tmp_path / "run", *flags)
    assert "epoch 30" in outs[0] and "epoch" not in outs[1]  # one of them reports
    assert_close(last_state(tmp_path / "run"), last_state(one))


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("streamed", [False, True])
def test_two_processes_that_cut_the_weights_train_one_run(tmp_path, wide, devices, streamed):
    """Between them, where each has one device: then both feed the same rows."""
    flags = (*CUT, f"--config.data.stream={streamed}")
    two_processes(tmp_path / "run", *flags, devices=devices)
    assert_close(last_state(tmp_path / "run"), last_state(wide))


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    process = start(tmp_path / "run", 4, "--config.train.batch_size=30")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2 and "multiple of 4" in err
    assert not (tmp_path / "run").exists()

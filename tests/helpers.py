"""Small configs, data, models and commands that tests build on."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from vae.checkpoint import Checkpoints
from vae.configs import base
from vae.data.dataset import Dataset, Split
from vae.tied import tied
from vae.training import setup, state
from vae.training.engine import Single
from vae.training.program import Program


def original(folder: str) -> Path:
    """The folder of a data set's original files; who names their place wants them tested."""
    named = os.environ.get("VAE_TEST_DATA")
    path = Path(named or Path(__file__).parents[2] / "shared" / "data") / folder
    if not path.is_dir():
        absent = pytest.fail if named else pytest.skip
        absent(f"no {path}: the original files are not here; VAE_TEST_DATA names their place")
    return path


def small_config(**changes: Any):
    """The base config at a size that trains in a second; keys as in `objective__beta=2.0`."""
    config = base.get_config()
    config.model.hidden = (16,)
    config.model.latent_size = 3
    config.train.epochs = 4
    config.train.batch_size = 40
    config.train.eval_epochs = 1.0
    config.train.parallel = "jit"  # many devices have tests of their own
    config.data.binarization, config.data.standardize = "dynamic", False  # of the digits
    config.data.id, config.model.likelihood = "none", "bernoulli"
    config.eval.iwae_samples = (10,)
    for key, value in changes.items():
        group, _, name = key.rpartition("__")
        (config[group] if group else config)[name] = value
    return config


def grey_dataset(num: int = 120, shape: tuple[int, ...] = (4, 4, 1), levels: int = 17) -> Dataset:
    """Random grey images, as digits are."""
    rng = np.random.default_rng(0)

    def split(size: int, binarized: bool) -> Split:
        high = 2 if binarized else levels
        x = rng.integers(0, high, (size, *shape)).astype(np.uint8)
        return Split(x, np.arange(size, dtype=np.int32) % 3, binarized=binarized)

    splits = {
        "train": split(num, False),
        "validation": split(30, True),
        "test": split(30, True),
    }
    return Dataset("grey", "1", "grey", levels, splits)


def build(config: Any, dataset: Dataset) -> tuple[Program, dict, state.State]:
    """Program, hyperparameters and first state of a config on a data set."""
    program = setup.program(config, dataset)
    hyper = setup.hyperparameters(config)
    return program, hyper, state.Creator(program, dataset.shape)(hyper)


def single(
    program: Program, dataset: Dataset, parallel: str = "jit", streamed: bool = False, cut: int = 1
):
    """An engine for one run, fed up to 8 steps a call."""
    examples = None if streamed else dataset.splits["train"].arrays()
    return Single(program, examples, parallel, 8, model_axis=cut)


def with_random_parameters(module: Any, x: Any) -> tuple[Any, Any]:
    """Random parameters for a Flax module, and its compiled function.

    Not the module's own initial values: to compile those takes longer than all else here.
    """
    rng = np.random.default_rng(1)
    params = jax.eval_shape(module.init, jax.random.key(1), x)
    params = jax.tree.map(lambda p: 0.3 * rng.standard_normal(p.shape, np.float32), params)
    return params, jax.jit(module.apply)


def start_training(workdir: Path, *flags: str, devices: int = 1) -> subprocess.Popen:
    """`vae train` in a process of its own, on so many simulated devices."""
    return start_verb("train", workdir, *flags, JAX_NUM_CPU_DEVICES=str(devices))


def start_verb(
    verb: str, workdir: Path, *flags: str, before: Sequence[str] = (), **environment: str
) -> subprocess.Popen:
    """A verb in a process of its own.

    Args:
      before: words in front of the command.
      environment: variables beside this process's own.
    """
    root = Path(__file__).resolve().parent.parent
    env = {**os.environ, "PYTHONPATH": str(root), **environment}
    if "TF_CPP_MIN_LOG_LEVEL" not in environment:  # JAX sets it where it is imported, as here
        env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    command = [*before, sys.executable, "-P", "-m", "vae", verb, *flags, f"--workdir={workdir}"]
    pipe = subprocess.PIPE
    return subprocess.Popen(tied(command), cwd=root, env=env, stdout=pipe, stderr=pipe, text=True)


def finish(*processes: subprocess.Popen) -> list[str]:
    """Waits for all, which must succeed; what each printed."""
    ends = [process.communicate(timeout=300) for process in processes]
    for process, (_, err) in zip(processes, ends, strict=True):
        assert process.returncode == 0, err
    return [out for out, _ in ends]


def last_state(workdir: Path) -> dict[str, np.ndarray]:
    """Every array of the last checkpoint, by path."""
    with Checkpoints(workdir, read_only=True) as checkpoints:
        return checkpoints.load(checkpoints.steps()[-1])


def free_port(first: int = 0, last: int = 0) -> int:
    """A port that nobody listens at, in a range where one is given."""
    for port in range(first, last + 1):  # 0: of the system's choice
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("localhost", port))
            return probe.getsockname()[1]
    raise OSError("no free port")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int], seconds: float) -> None:
    """Waits for processes to end, so many seconds at most."""
    until = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        assert time.monotonic() < until, [pid for pid in pids if is_alive(pid)]
        time.sleep(0.02)

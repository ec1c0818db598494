"""Wall time of one sweep: as one program, as runs one after the other, and as a PyTorch loop.

    python -m experiments.benchmarks.sweep_time --data_dir=D [--epochs=N]

24 trials of `configs/mnist.py`: 4 latent sizes x 3 betas x 2 seeds, a few epochs each, on MNIST
prepared in D. All is counted from the start of a process to its end: imports, data, compilation
(each contender begins with an empty cache), training, a validation and a checkpoint an epoch. The
PyTorch loop of contestants.py does neither validation nor checkpoints. Evaluation and report are
left out: they are the same work for all. Needs `pip install -e '.[bench]'`; writes
results/sweep_benchmark.json.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import result_files
from experiments.benchmarks.throughput import images, processor
from experiments.result_files import ROOT
from vae import runs
from vae.reports.tables import format_table
from vae.sweeps.grid import product, sweep
from vae.sweeps.plan import Trial, plan
from vae.tied import tied

SIZES, BETAS, SEEDS = (2, 8, 32, 50), (0.5, 1.0, 4.0), 2
TARGETS = {"train, one after the other": 0.5, "PyTorch loop, one after the other": 0.4}


def trials(data_dir: str, epochs: int) -> list[Trial]:
    """The 24 configs."""
    from vae.configs import mnist

    config = mnist.get_config()
    config.data.dir, config.train.epochs = data_dir, epochs
    grid = product([sweep("model.latent_size", SIZES), sweep("objective.beta", BETAS)])
    return plan(config, grid, SEEDS)


def population(data_dir: str, epochs: int, folder: Path) -> None:
    """Trains all of them as `sweep` does; in the process that --worker starts."""
    from vae.sweeps.grouped import use_cores
    from vae.training.population import Group

    planned = trials(data_dir, epochs)
    use_cores(len(planned))
    group = Group([trial.config for trial in planned])
    ended = group.train([(trial.config, folder / trial.name) for trial in planned])
    assert not any(trial.failure for trial in ended)


def command(*arguments: str, folder: Path) -> None:
    """One process, with compilations kept in `folder`."""
    cache = str(folder / "cache")
    env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
    env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    quiet = subprocess.DEVNULL
    begun = tied([sys.executable, *arguments])
    subprocess.run(begun, cwd=ROOT, env=env, stdin=quiet, stdout=quiet, check=True)


def one_program(planned: list[Trial], data_dir: str, epochs: int, folder: Path) -> None:
    """Trains all trials as one population, in one process."""
    worker = ["-m", "experiments.benchmarks.sweep_time", f"--worker={folder / 'runs'}"]
    command(*worker, f"--data_dir={data_dir}", f"--epochs={epochs}", folder=folder)


def one_by_one(planned: list[Trial], data_dir: str, epochs: int, folder: Path) -> None:
    """Trains each trial by `vae train`, in a process of its own."""
    for trial in planned:
        flags_ = [f"--config.{key}={value}" for key, value in trial.values.items()]
        flags_ += [f"--config.data.dir={data_dir}", f"--config.train.epochs={epochs}"]
        workdir = f"--workdir={folder / trial.name}"
        command("-m", "vae", "train", "--config=configs/mnist.py", *flags_, workdir, folder=folder)


def torch_loop(planned: list[Trial], data_dir: str, epochs: int, folder: Path) -> None:
    """Trains each trial by the eager PyTorch loop, in a process of its own."""
    raw = images(data_dir)
    np.save(folder / "images.npy", raw)
    steps = str(epochs * (len(raw) // 100))
    for trial in planned:
        size = str(trial.values["model.latent_size"])
        arguments = ["torch-mlp", steps, str(folder / "images.npy"), size]
        command("-m", "experiments.benchmarks.contestants", *arguments, folder=folder)


CONTENDERS: dict[str, Callable[..., None]] = {
    "sweep, as one program": one_program,
    "train, one after the other": one_by_one,
    "PyTorch loop, one after the other": torch_loop,
}


def measure(data_dir: str, epochs: int) -> list[dict[str, Any]]:
    """Rows of the table: seconds of each contender, and the sweep's share of them."""
    planned, rows = trials(data_dir, epochs), []
    for name, run in CONTENDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            run(planned, data_dir, epochs, Path(folder))
            seconds = time.perf_counter() - began
        print(f"{name}: {seconds:.1f} s", file=sys.stderr)
        ours = rows[0]["seconds"] if rows else seconds
        rows.append(
            {
                "24 MNIST trials": name,
                "seconds": round(seconds, 1),
                "the sweep takes": round(ours / seconds, 2),
                "at most": TARGETS.get(name),
            }
        )
    return rows


def main(arguments: list[str]) -> int:
    """Times the contenders, prints the table and writes the result; returns the exit code."""
    values = flags.FlagValues()
    flags.DEFINE_string("data_dir", None, "TFDS directory with MNIST", flag_values=values)
    flags.DEFINE_integer("epochs", 3, "of each trial", flag_values=values)
    flags.DEFINE_string("worker", "", "train the population in this folder", flag_values=values)
    values(["sweep_benchmark", *arguments])
    if values.worker:
        population(values.data_dir, values.epochs, Path(values.worker))
        return 0
    if not values.data_dir or importlib.util.find_spec("torch") is None:
        print("error: needs --data_dir, and pip install -e '.[bench]'", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    rows = measure(str(Path(values.data_dir).resolve()), values.epochs)
    print(format_table(rows))
    command_line = "python -m experiments.benchmarks.sweep_time"
    result = {
        "command": f"{command_line} {' '.join(arguments)}".replace(values.data_dir, "DATA"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git_revision": runs.git_revision(),
        "versions": {name: metadata.version(name) for name in ("jax", "flax", "optax", "torch")},
        "machine": {"processor": processor(), "load_before": round(load, 2)},
        "trials": {"latent_size": SIZES, "beta": BETAS, "seeds": SEEDS, "epochs": values.epochs},
        "rows": rows,
    }
    result_files.write("sweep_benchmark", result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

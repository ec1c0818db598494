"""Time of a training step of every trial of a study, side by side.

    python -m experiments.benchmarks.step_speed STUDY [--rounds=N]

STUDY is a file of configs/ with a `get_sweep`: objectives, models. All are compiled in one process
for one device and take turns of a tenth of a second, so that whatever else the machine does falls
on all alike; the median of the ratios to the study's plain ELBO over the rounds counts. Random
images of MNIST's shape; writes results/STUDY_speed.json here.
"""

import dataclasses
import functools
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments import result_files
from experiments.benchmarks.throughput import processor
from vae import runs
from vae.data import context
from vae.data.dataset import Dataset, Split
from vae.keys import AUTO
from vae.reports.tables import format_table
from vae.sweeps.plan import plan
from vae.training import setup
from vae.training.state import Creator
from vae.training.step import compile_loop

MOST = 64  # steps of a turn
TURN = 0.15  # seconds of a turn, roughly
EXAMPLES = 55_000  # a training set
PLAIN = {"objectives": "name=elbo", "models": "prior=normal"}  # the trial that others are held to


def images() -> Dataset:
    """Random grey images [N, 28, 28, 1], the same at every call."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (EXAMPLES, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(EXAMPLES, dtype=np.int32) % 10
    held_out = Split(grey[:10] // 128, labels[:10], binarized=True)
    splits = {"train": Split(grey, labels), "validation": held_out, "test": held_out}
    return Dataset("random", "1", "grey", 256, splits)


def suited(dataset: Dataset, settings: ConfigDict) -> Dataset:
    """The images as a trial's config wants them: grey, or with a label each."""
    splits = dataset.splits
    if settings.binarization == "none":
        held_out = Split(splits["test"].x, splits["test"].labels)
        splits = splits | {"validation": held_out, "test": held_out}
    dataset = dataclasses.replace(dataset, splits=splits)
    return context.attach(dataset, settings.context) if settings.context else dataset


def contestant(config: ConfigDict, dataset: Dataset) -> Callable[[int], float]:
    """A function that takes so many steps and gives the seconds of one."""
    if config.model.likelihood == AUTO:  # as it is for MNIST
        config.model.likelihood, config.data.binarization = "bernoulli", "dynamic"
    program = setup.program(config, dataset)
    hyper = setup.hyperparameters(config)
    loop = compile_loop(program, "jit")
    examples = jax.device_put(dataset.splits["train"].arrays())
    state = jax.device_get(Creator(program, dataset.shape)(hyper))
    rows = np.random.default_rng(1).integers(0, EXAMPLES, (MOST, config.train.batch_size))

    def turn(steps: int) -> float:
        nonlocal state
        began = time.perf_counter()
        state = jax.block_until_ready(loop(state, hyper, examples, rows, steps))
        return (time.perf_counter() - began) / steps

    turn(1)  # compiles
    return functools.partial(turn, max(1, min(MOST, round(TURN / turn(2)))))


def main(arguments: list[str]) -> int:
    """Times every trial's steps in turns, prints the table and writes the result."""
    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 9, "turns of each objective", flag_values=values)
    try:
        names = values(["step_speed", *arguments])[1:]
    except flags.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if len(names) != 1 or names[0] not in PLAIN:
        print(f"error: give one study of: {', '.join(PLAIN)}", file=sys.stderr)
        return 2
    study = importlib.import_module(f"vae.configs.{names[0]}")
    dataset = images()
    turns = {
        trial.name: contestant(trial.config, suited(dataset, trial.config.data))
        for trial in plan(study.get_config(), study.get_sweep())
    }
    plain = PLAIN[names[0]]
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(values.rounds):
        for name, turn in turns.items():
            seconds[name].append(turn())
    steps = EXAMPLES // study.get_config().train.batch_size
    rows = []
    for name, measured in seconds.items():
        ratios = [mine / theirs for mine, theirs in zip(measured, seconds[plain], strict=True)]
        median = statistics.median(measured)
        rows.append(
            {
                "trial": name.removeprefix("name="),
                "ms a step": round(1e3 * median, 2),
                "seconds an epoch": round(median * steps, 1),
                "times the plain one": round(statistics.median(ratios), 2),
            }
        )
    print(format_table(rows))
    result = {
        "command": f"python -m experiments.benchmarks.step_speed {' '.join(arguments)}".strip(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git_revision": runs.git_revision(),
        "versions": {name: metadata.version(name) for name in ("jax", "flax", "optax")},
        "machine": processor(),
        "batch_size": study.get_config().train.batch_size,
        "rows": rows,
        "seconds_a_step": seconds,
    }
    result_files.write(f"{names[0]}_speed", result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

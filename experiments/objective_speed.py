"""Time of a training step of every objective in configs/objectives.py, side by side.

    python -m experiments.objective_speed [--rounds=N]

All are compiled in one process for one device and take turns of a tenth of a second, so that
whatever else the machine does falls on all alike; the median of the ratios to the ELBO over the
rounds counts. Random images of MNIST's shape; writes results/objective_speed.json here.
"""

import dataclasses
import functools
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np
from absl import flags

from configs import objectives as study
from experiments.benchmark import ROOT, processor
from vae import runs
from vae.data.dataset import Dataset, Split
from vae.reports.tables import format_table
from vae.sweeps.plan import plan
from vae.training import setup
from vae.training.state import Creator
from vae.training.step import compile_loop

MOST = 64  # steps of a turn
TURN = 0.15  # seconds of a turn, roughly
EXAMPLES = 55_000  # a training set


def images() -> Dataset:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (EXAMPLES, 28, 28, 1), dtype=np.uint8)
    held_out = Split(grey[:10] // 128, binarized=True)
    splits = {"train": Split(grey), "validation": held_out, "test": held_out}
    return Dataset("random", "1", "grey", 256, splits)


def contestant(
    config, dataset: Dataset, examples: dict[str, jax.Array]
) -> Callable[[int], float]:
    """A function that takes so many steps and gives the seconds of one."""
    program = setup.program(config, dataset)
    hyper = setup.hyperparameters(config)
    loop = compile_loop(program, "jit")
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
    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 9, "turns of each objective", flag_values=values)
    try:
        values(["objective_speed", *arguments])
    except flags.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    dataset = images()
    examples = jax.device_put(dataset.splits["train"].arrays())
    trials = plan(study.get_config(), study.get_sweep())
    turns: dict[str, Callable[[], float]] = {}
    for trial in trials:
        data = dataset
        if trial.config.data.binarization == "none":
            held_out = Split(dataset.splits["test"].x)
            data = dataclasses.replace(
                dataset, splits=dataset.splits | {"validation": held_out, "test": held_out}
            )
        turns[trial.name] = contestant(trial.config, data, examples)
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(values.rounds):
        for name, turn in turns.items():
            seconds[name].append(turn())
    steps = EXAMPLES // study.get_config().train.batch_size
    rows = []
    for name, measured in seconds.items():
        ratios = [mine / plain for mine, plain in zip(measured, seconds["name=elbo"], strict=True)]
        median = statistics.median(measured)
        rows.append(
            {
                "objective": name.removeprefix("name="),
                "ms a step": round(1e3 * median, 2),
                "seconds an epoch": round(median * steps, 1),
                "times the ELBO": round(statistics.median(ratios), 2),
            }
        )
    print(format_table(rows))
    result = {
        "command": f"python -m experiments.objective_speed {' '.join(arguments)}".strip(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git_revision": runs.git_revision(),
        "versions": {name: metadata.version(name) for name in ("jax", "flax", "optax")},
        "machine": processor(),
        "batch_size": study.get_config().train.batch_size,
        "rows": rows,
        "seconds_a_step": seconds,
    }
    runs.write_json(ROOT / "experiments" / "results" / "objective_speed.json", result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

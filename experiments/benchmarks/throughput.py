"""Throughput side by side: this project, a hand-written PyTorch loop, pythae's trainer.

    python -m experiments.benchmarks.throughput [--rounds=N] [--steps=N] [--data_dir=D] [--models=M]

Each contestant is a process of its own; they take turns, so that whatever else the machine does
falls on all alike, and the median over the rounds counts. The same model, batch and Adam for all;
dynamic binarisation for all but pythae, which has none. mlp and conv train by the ELBO; iwae is mlp
by the importance-weighted bound of 50 draws. bound evaluates mlp: a step is the bound of 5,000
draws of one image, 100 images at a time; torch decodes as many draws a call as ours, tuned 20, in a
process whose allocator is told to keep what it has (glibc's MALLOC_ variables). images is the
autoencoder of cifar10_kl by its bound, on random images of CIFAR-10's shape, and beside it the
matrix products of such a step alone; a turn is a fiftieth of the steps. Beside them the machine's
ceiling for float32 matrix products. Needs `pip install -e '.[bench]'`; writes
results/benchmark.json here.
"""

import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import result_files
from experiments.benchmarks import contestants
from experiments.result_files import ROOT
from vae import runs
from vae.reports.tables import format_table
from vae.tied import tied

NAMES = (
    *("ours-mlp", "torch-mlp", "pythae-mlp"),
    *("ours-iwae", "torch-iwae"),
    *("ours-conv", "torch-conv"),
    *("ours-images", "torch-images", "products-images"),
    *("ours-bound", "torch-bound", "tuned-bound"),
)
CEILINGS = ("ceiling-jax", "ceiling-torch")
CEILING_GFLOP = 10 * 2 * 1024**3 / 1e9
# For glibc's allocator to keep what it has.
KEEPS = {
    "MALLOC_TOP_PAD_": str(2**28),
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
}
# Ours over theirs, at least.
TARGETS = {
    "torch-mlp": 1.3,
    "pythae-mlp": 1.5,
    "torch-iwae": 2.2,
    "torch-conv": 1.0,
    "torch-images": 1.0,
    "products-images": 1 / 3,
    "torch-bound": 2.0,
}


class Contestant:
    """A running worker."""

    def __init__(self, name: str, steps: int, folder: Path):
        images = str(folder / "images.npy")
        self.process = subprocess.Popen(
            tied([sys.executable, "-m", contestants.__name__, name, str(steps), images]),
            cwd=ROOT,
            env={
                **os.environ,
                "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                **(KEEPS if name.startswith("tuned") else {}),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds: list[float] = []
        if self._line() != "ready":
            raise SystemExit(f"error: {name} did not start; see above")

    def _line(self) -> str:
        return self.process.stdout.readline().strip()

    def turn(self) -> None:
        """One timed call."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.seconds.append(float(self._line()))

    def finish(self) -> float:
        """Ends the worker; returns its peak memory in MiB."""
        self.process.stdin.close()
        return round(float(self._line()), 1)


def images(data_dir: str) -> np.ndarray:
    """MNIST's training images, or random ones of that shape: uint8 [N, 28, 28, 1]."""
    if not data_dir:
        generator = np.random.default_rng(0)
        return generator.integers(0, 256, (50_000, 28, 28, 1), dtype=np.uint8)
    from vae import data
    from vae.configs import mnist

    config = mnist.get_config()
    config.data.dir = data_dir
    return np.asarray(data.load(config.data).splits["train"].x)


def measure(names: tuple[str, ...], rounds: int, steps: int, folder: Path) -> dict[str, Any]:
    """Seconds of every turn and peak memory of each contestant, on the images in `folder`."""
    first = {name: Contestant(name, steps, folder).finish() for name in names if "ours" in name}
    workers = {name: Contestant(name, steps, folder) for name in names}
    for number in range(rounds):
        for contestant in workers.values():
            contestant.turn()
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return {
        name: {
            "seconds": contestant.seconds,
            "peak_mib": (peak := contestant.finish()),
            "peak_mib_first_start": first.get(name, peak),
        }
        for name, contestant in workers.items()
    }


def summarise(measured: dict[str, Any], steps: int) -> tuple[list[dict], dict[str, float]]:
    """Rows of the table, and the ceilings in GFLOP/s."""
    median = {name: statistics.median(value["seconds"]) for name, value in measured.items()}
    rows = []
    for name in measured:
        if name in CEILINGS:
            continue
        kind, _, model = name.partition("-")
        ratios = [
            theirs / mine
            for theirs, mine in zip(
                measured[name]["seconds"], measured[f"ours-{model}"]["seconds"], strict=True
            )
        ]
        rows.append(
            {
                "model": model,
                "trainer": kind,
                "batch": contestants.config(model).train.batch_size,
                "ms a step": round(1e3 * median[name] / contestants.counted(model, steps), 2),
                "ours is faster by": round(statistics.median(ratios), 2),
                "at least": round(TARGETS[name], 2) if name in TARGETS else None,
                "peak MiB": measured[name]["peak_mib"],
                "first start": measured[name]["peak_mib_first_start"],
            }
        )
    ceilings = {name: round(CEILING_GFLOP / median[name], 1) for name in CEILINGS}
    return rows, ceilings


def main(arguments: list[str]) -> int:
    """Times the contestants in turns, prints the table and writes the result."""
    values = flags.FlagValues()
    flags.DEFINE_integer("rounds", 7, "turns of each contestant", flag_values=values)
    flags.DEFINE_integer("steps", 300, "training steps a turn", flag_values=values)
    flags.DEFINE_list("models", [], "of these models alone; the result is not kept",
                      flag_values=values)  # fmt: skip
    flags.DEFINE_string("data_dir", "", "TFDS directory with MNIST", flag_values=values)
    try:
        values(["benchmark", *arguments])
    except flags.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    names = tuple(
        name for name in (*NAMES, *CEILINGS)
        if not values.models or name in CEILINGS or name.partition("-")[2] in values.models
    )  # fmt: skip
    missing = [name for name in ("torch", "pythae")
               if any(name in each for each in names) and not importlib.util.find_spec(name)]
    if missing:
        print(f"error: {' and '.join(missing)} missing: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", images(values.data_dir))
        load = os.getloadavg()[0]
        measured = measure(names, values.rounds, values.steps, Path(folder))
    rows, ceilings = summarise(measured, values.steps)
    print(format_table(rows))
    for name, rate in ceilings.items():
        print(f"float32 matrix products, {name.partition('-')[2]}: {rate} GFLOP/s")
    if values.models:
        return 0
    command = f"python -m experiments.benchmarks.throughput {' '.join(arguments)}".strip()
    result = {
        "command": command.replace(values.data_dir or "DATA", "DATA"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git_revision": runs.git_revision(),
        "versions": {
            name: metadata.version(name) for name in ("jax", "flax", "optax", "torch", "pythae")
        },
        "machine": {
            "platform": platform.platform(),
            "processor": processor(),
            "load_before": round(load, 2),
        },
        "data": "mnist" if values.data_dir else "random images of MNIST's shape",
        "steps_a_turn": values.steps,
        "rows": rows,
        "gflops": ceilings,
        "turns": measured,
    }
    result_files.write("benchmark", result)
    return 0


def processor() -> str:
    """The processor's name and how many of its cores there are."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

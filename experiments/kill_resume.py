"""A run killed with SIGKILL at random moments ends with the bits of one that never was.

    python -m experiments.kill_resume [--kills=N] [--seed=S] [--data_dir=D] [--epochs=N]

trains `configs/mnist.py` (without --data_dir: `configs/digits.py`) twice: once whole; once killed N
times, at moments drawn uniformly over the time that the whole run took, divided by N, each time
relaunched with the same command. Compares every array of the last checkpoint, and writes
experiments/results/kill_resume.json. Exit 1 where they differ.
"""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

from vae import runs
from vae.checkpoint import Checkpoints

ROOT = Path(__file__).resolve().parent.parent


def launch(workdir: Path, data_dir: str, epochs: int) -> subprocess.Popen:
    name = "mnist" if data_dir else "digits"
    command = [
        sys.executable, "-m", "vae", "train", f"--config=configs/{name}.py",
        f"--config.train.epochs={epochs}", "--config.train.eval_epochs=0.25",
        f"--workdir={workdir}",
    ]
    command += [f"--config.data.dir={data_dir}"] if data_dir else []
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def last_state(workdir: Path) -> dict[str, np.ndarray]:
    with Checkpoints(workdir, read_only=True) as checkpoints:
        return checkpoints.load(checkpoints.steps()[-1])


def saved_step(workdir: Path) -> int:
    """The newest finished checkpoint's step, 0 where there is none."""
    names = [p.name for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()]
    return max(map(int, names), default=0)


def main(arguments: list[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_integer("kills", 10, "how often it is killed", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the moments", flag_values=values)
    flags.DEFINE_integer("epochs", 8, "of training", flag_values=values)
    flags.DEFINE_string("data_dir", "", "TFDS directory with MNIST", flag_values=values)
    values(["kill_resume", *arguments])
    generator, kills = random.Random(values.seed), []
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        began = time.perf_counter()
        if launch(whole, values.data_dir, values.epochs).wait() != 0:
            return 1
        length = time.perf_counter() - began
        while len(kills) < values.kills:
            process = launch(killed, values.data_dir, values.epochs)
            after = generator.uniform(0.0, 2.0 * length / values.kills) + 5.0  # 5 s: starting up
            try:
                process.wait(after)
                break  # it finished first
            except subprocess.TimeoutExpired:
                saving = any((killed / "checkpoints").glob("*tmp*"))
                process.kill()
                process.wait()
            kills.append({"after_seconds": round(after, 2), "during_a_save": saving,
                          "saved_step": saved_step(killed)})
        if launch(killed, values.data_dir, values.epochs).wait() != 0:
            return 1
        expected, got = last_state(whole), last_state(killed)
        different = [name for name in expected if not np.array_equal(expected[name], got[name])]
    result = {
        "command": f"python -m experiments.kill_resume {' '.join(arguments)}".strip(),
        **{k: v for k, v in runs.environment().items() if k != "command"},
        "whole_run_seconds": round(length, 1),
        "kills": kills,
        "arrays_compared": len(expected),
        "arrays_that_differ": different,
    }
    runs.write_json(ROOT / "experiments" / "results" / "kill_resume.json", result)
    print(f"{len(kills)} kills, {len(expected)} arrays, {len(different)} differ")
    return 1 if different or set(expected) != set(got) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

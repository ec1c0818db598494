"""How long a warm command takes from its start to its end: train, evaluate, report, --help.

    python -m experiments.benchmarks.start_time [--against=REVISION] [--rounds=N]

One epoch of `configs/digits.py`, where everything that a machine keeps between commands is there:
each is run twice before it is timed. This checkout and, with --against, another revision of it (a
git worktree in a temporary folder) take turns, each with a cache of its own, so that whatever else
the machine does falls on both alike; the medians count. Seconds are of the clock, CPU seconds of
all threads. A stand-in package called torch on the path tells when it is imported; the real one
takes seconds and hundreds of MiB. Writes results/start_time.json.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from absl import flags

from experiments import result_files
from experiments.benchmarks.throughput import processor
from experiments.result_files import ROOT
from vae import runs
from vae.reports.tables import format_table

TARGET = 1.5  # seconds, at most
WARMING = 2  # runs that are not timed: the first compiles, the second may still write
TORCH = """import os

open(os.environ["TORCH_IMPORTED"], "w").close()
raise ImportError("not the real one")
"""


class Checkout:
    """One revision's source, its cache and its run."""

    def __init__(self, source: Path, folder: Path):
        self.source, self.folder = source, folder
        self.torch = folder / "torch_imported"
        standing = folder / "path" / "torch"
        standing.mkdir(parents=True)
        (standing / "__init__.py").write_text(TORCH)
        self.timed: dict[str, list[tuple[float, float, float]]] = {}
        self.imports: dict[str, bool] = {}

    def command(self, verb: str, turn: int) -> list[str]:
        """What the shell would be given; every training is of a new run."""
        workdir = f"--workdir={self.folder / 'run'}"
        if verb == "train":
            workdir = f"--workdir={self.folder / 'trained' / str(turn)}"
        config = ["--config=configs/digits.py", "--config.train.epochs=1"]
        given = {"train": ["train", *config, workdir], "--help": ["--help"]}
        return [sys.executable, "-P", "-m", "vae", *given.get(verb, [verb, workdir])]

    def run(self, command: list[str]) -> tuple[float, float, float]:
        """Seconds, CPU seconds and peak MiB of one process."""
        path = os.pathsep.join([str(self.source), str(self.folder / "path")])
        env = os.environ | {
            "PYTHONPATH": path,
            "JAX_COMPILATION_CACHE_DIR": str(self.folder / "cache"),
            "TORCH_IMPORTED": str(self.torch),
        }
        began = time.perf_counter()
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            command, cwd=self.source, env=env, stdin=quiet, stdout=quiet
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"error: {' '.join(command)} failed in {self.source}; see above")
        return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024

    def prepare(self) -> None:
        """Trains and evaluates the run that is evaluated and reported again, and warms all."""
        train = [*self.command("train", 0)[:-1], f"--workdir={self.folder / 'run'}"]
        for command in (train, self.command("evaluate", 0), self.command("report", 0)):
            self.run(command)

    def turn(self, verb: str, number: int) -> None:
        """Runs a command once and keeps its time, unless it is one of the warming rounds."""
        self.torch.unlink(missing_ok=True)
        found = self.run(self.command(verb, number))
        if number >= WARMING:
            self.timed.setdefault(verb, []).append(found)
        self.imports[verb] = self.torch.exists()

    def medians(self, verb: str) -> dict[str, Any]:
        """Medians over the timed runs: seconds, CPU seconds, peak MiB; and whether torch came."""
        seconds, cpu, peak = map(statistics.median, zip(*self.timed[verb], strict=True))
        torch = "imported" if self.imports[verb] else "–"
        return {
            "s": round(seconds, 2), "CPU s": round(cpu, 2), "peak MiB": round(peak), "torch": torch
        }  # fmt: skip


VERBS = ("train", "evaluate", "report", "--help")


@contextlib.contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """That revision's files, as long as they are needed."""
    path = folder / "worktree"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(path), revision], check=True)
    try:
        yield path
    finally:
        subprocess.run([*git, "remove", "--force", str(path)], check=True)


def measure(checkouts: dict[str, Checkout], rounds: int) -> list[dict[str, Any]]:
    """Rows of the table: a verb each, this checkout's numbers beside the other's."""
    for checkout in checkouts.values():
        checkout.prepare()
    for number in range(WARMING + rounds):
        for verb in VERBS:
            for checkout in checkouts.values():
                checkout.turn(verb, number)
        print(f"round {number + 1} of {WARMING + rounds}", file=sys.stderr)
    rows = []
    for verb in VERBS:
        row: dict[str, Any] = {"command": f"`{verb}`"}
        for name, checkout in checkouts.items():
            row |= {f"{key}{name}": value for key, value in checkout.medians(verb).items()}
        if len(checkouts) > 1:
            ours, theirs = (checkout.timed[verb] for checkout in checkouts.values())
            ratios = [theirs[i][0] / ours[i][0] for i in range(rounds)]
            row["faster by"] = round(statistics.median(ratios), 2)
        rows.append(row | {"at most": TARGET})
    return rows


def main(arguments: list[str]) -> int:
    """Measures all commands, prints the table and writes the result; returns the exit code."""
    values = flags.FlagValues()
    flags.DEFINE_string("against", "", "revision to compare with", flag_values=values)
    flags.DEFINE_integer("rounds", 9, "timed runs of each command", 1, flag_values=values)
    try:
        values(["start_time", *arguments])
    except flags.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        checkouts = {"": Checkout(ROOT, folder / "ours")}
        if values.against:
            source = stack.enter_context(worktree(values.against, folder))
            checkouts[" before"] = Checkout(source, folder / "before")
        rows = measure(checkouts, values.rounds)
    print(format_table(rows))
    result = {
        "command": f"python -m experiments.benchmarks.start_time {' '.join(arguments)}".strip(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git_revision": runs.git_revision(),
        "against": values.against,
        "versions": {name: metadata.version(name) for name in ("jax", "flax", "orbax-checkpoint")},
        "machine": {"processor": processor(), "load_before": round(load, 2)},
        "rounds": values.rounds,
        "rows": rows,
        "runs": {name.strip() or "ours": checkout.timed for name, checkout in checkouts.items()},
    }
    result_files.write("start_time", result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

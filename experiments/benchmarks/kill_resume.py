"""Whatever SIGKILL ends, the same command ends as if nothing had happened.

    python -m experiments.benchmarks.kill_resume [--kills=100] [--seed=S]
        [--works=run,population,...]

Works (a run that is trained, evaluated and reported; a sweep as a population; a sweep of processes;
`prepare` from original files) are each done once undisturbed. Then each is done again in rounds. At
every moment of its list (starting, training, while a checkpoint is being saved, between the files
of an evaluation, among the figures of a report, while a data set is written) it is killed and
launched again. Every other time it is launched at once, while processes of the killed command may
still be ending. At the end of a round everything is compared: the arrays of the last checkpoints
bit for bit, metrics.jsonl but for the speeds, what was evaluated, the files of the data set; and
nothing may be left over, no process and no temporary file. Writes
experiments/results/kill_resume.json; exit 1 where something differs. 100 kills take a quarter of an
hour on two cores.
"""

import csv
import dataclasses
import hashlib
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import result_files
from experiments.result_files import ROOT
from vae import config as configs
from vae import data, runs
from vae.checkpoint import Checkpoints
from vae.tied import tied

SMALL = (
    "--config=configs/digits.py", "--config.model.hidden=(64,)", "--config.train.eval_epochs=20.0",
    "--config.eval.iwae_samples=(20,)",
)  # fmt: skip
SWEEP = ("sweep", *SMALL, "--config.train.epochs=200", "--sweep=model.latent_size=2,5", "--seeds=2")
IMAGES = {"train": 60_000, "t10k": 10_000}
GONE = 90.0  # seconds that what a killed command had started gets to save and end

# The files whose change marks a moment, and the most seconds from then to the kill.
MOMENTS = {
    "starting": ("", 3.0),
    "training": ("metrics.jsonl", 1.0),
    "saving": ("checkpoints/*tmp*", 0.02),
    "evaluating": ("per_example.npz", 0.0),
    "reporting": ("figures/*.png", 0.5),
    "collecting": ("results.csv", 0.1),
    "writing": ("kmnist/incomplete*/*", 2.0),
}
TRAINING = ("starting", "training", "saving", "training", "saving")


@dataclasses.dataclass(frozen=True)
class Work:
    """Commands one after the other, the moments at which each is killed, and what they leave."""

    steps: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    outcome: Callable[[Path], dict[str, Any]]
    where: str = "--workdir"


def works(originals: Path) -> dict[str, Work]:
    """The four works by name: a run, two kinds of sweep, and `prepare` from original files."""
    train = ("train", *SMALL, "--config.train.epochs=400")
    steps = (
        (train, TRAINING),
        (("evaluate",), ("starting", "evaluating")),
        (("report",), ("starting", "reporting")),
    )
    ending = (*TRAINING, "evaluating", "reporting", "collecting")
    prepare = ("prepare", "kmnist", f"--from={originals}")
    return {
        "run": Work(steps, of_run),
        "population": Work(((SWEEP, ending),), of_sweep),
        "processes": Work((((*SWEEP, "--launcher=processes"), ending),), of_sweep),
        "prepare": Work(((prepare, ("starting", *("writing",) * 3)),), of_data, "--data_dir"),
    }


def write_originals(folder: Path) -> None:
    """IDX files as large as KMNIST's, of grey squares."""
    folder.mkdir()
    for part, count in IMAGES.items():
        numbers = np.arange(count)
        images = np.repeat((numbers % 256).astype(np.uint8), 28 * 28)
        for name, array, shape in (
            (f"{part}-images-idx3-ubyte", images, (count, 28, 28)),
            (f"{part}-labels-idx1-ubyte", (numbers % 10).astype(np.uint8), (count,)),
        ):
            head = struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape), *shape)
            (folder / name).write_bytes(head + array.tobytes())


def of_run(workdir: Path) -> dict[str, Any]:
    """What a finished run is, by name: arrays, lines and numbers."""
    with Checkpoints(workdir, read_only=True) as checkpoints:
        found: dict[str, Any] = {"best step": checkpoints.best_step()}
        last = checkpoints.load(checkpoints.steps()[-1])
    found |= {f"array {name}": array for name, array in last.items()}
    with np.load(workdir / "per_example.npz") as bounds:
        found |= {f"bounds {name}": bounds[name] for name in bounds.files}
    found["metrics.jsonl"] = [
        {k: v for k, v in record.items() if k != "examples_per_second"}
        for record in runs.read_metrics(workdir)
    ]
    evaluation = runs.read_json(workdir / "evaluation.json")
    found |= {k: v for k, v in evaluation.items() if k != "environment"}
    found["files"] = sorted(p.name for p in (workdir / "figures").iterdir())
    found["report"] = (workdir / "report.html").exists()
    return found


def of_sweep(directory: Path) -> dict[str, Any]:
    """What a finished sweep is, by name: what `of_run` gives of each trial, and the table."""
    with open(directory / "results.csv") as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    trials = [
        {f"{trial.name} {name}": value for name, value in of_run(trial).items()}
        for trial in sorted((directory / "trials").iterdir())
    ]
    found = {name: value for trial in trials for name, value in trial.items()}
    return found | {"results.csv": rows, "report": (directory / "report.html").exists()}


def of_data(folder: Path) -> dict[str, Any]:
    """The examples, and a hash of every file but those that hold them. These never agree to the
    byte: the features of an example are ordered by a hash that differs between processes.
    """
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "lock"]
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if "array_record" not in path.name
        else path.stat().st_size
        for path in files
    }
    config = configs.default()
    config.data.name, config.data.dir = "kmnist", str(folder)
    for name, split in data.load(config.data).splits.items():
        found |= {f"{name} x": np.asarray(split.x[:]), f"{name} labels": np.asarray(split.labels)}
    return found


def differences(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Names of what is not the same; arrays bit for bit."""
    names = {**expected, **found}
    return [
        name for name in names
        if name not in expected or name not in found
        or not np.array_equal(np.asarray(expected[name]), np.asarray(found[name]))
    ]  # fmt: skip


def leftovers(folder: Path) -> list[str]:
    """Temporary files, and what was not finished."""
    names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    signs = (".orbax-checkpoint-tmp", "incomplete.")
    return [n for n in names if Path(n).name.startswith(".") or any(s in n for s in signs)]


def processes_of(folder: Path) -> list[int]:
    """Processes with the folder in their command."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdecimal() else b""
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.name))
    return found


def seconds_until_gone(folder: Path) -> float:
    """How long processes with the folder in their command live on, GONE at most."""
    began = time.monotonic()
    while processes_of(folder) and time.monotonic() - began < GONE:
        time.sleep(0.05)
    return time.monotonic() - began


def launch(command: tuple[str, ...], where: str, folder: Path) -> subprocess.Popen:
    """Starts a command of `vae` that writes to the folder and logs beside it."""
    full = tied([sys.executable, "-P", "-m", "vae", *command, f"{where}={folder}"])
    with open(folder.with_suffix(".log"), "a") as log:
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(full, cwd=ROOT, env=env, stdout=log, stderr=log)


def finish(process: subprocess.Popen, folder: Path) -> None:
    """Waits for a command, and exits with the end of its log where it failed."""
    if process.wait() != 0:
        last = folder.with_suffix(".log").read_text().strip().splitlines()[-3:]
        raise SystemExit("\n".join(["error: a command failed:", *last]))


def stamps(folder: Path, pattern: str) -> set[tuple[str, int]]:
    """The files of a run, or of a sweep's, that a pattern names, and when each was changed."""
    found = set()
    for place in (pattern, f"trials/*/{pattern}") if pattern else ():
        with suppress(OSError):  # what is looked at may be renamed meanwhile
            for path in folder.glob(place):
                found.add((str(path), path.stat().st_mtime_ns))
    return found


def comes(process: subprocess.Popen, folder: Path, moment: str, delay: float) -> bool:
    """Waits for a moment of a running command; False where it ends first."""
    pattern, _ = MOMENTS[moment]
    before = stamps(folder, pattern)
    while pattern and stamps(folder, pattern) <= before:
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    try:
        process.wait(delay)
        return False
    except subprocess.TimeoutExpired:
        return True


def round_of(
    work: Work, folder: Path, generator: random.Random
) -> Iterator[dict[str, Any]]:
    """Does the work, killed at each of its moments; yields the kills."""
    for command, moments in work.steps:
        for moment in moments:
            process = launch(command, work.where, folder)
            delay = generator.uniform(0.0, MOMENTS[moment][1])
            if not comes(process, folder, moment, delay):
                finish(process, folder)
                continue
            process.kill()
            process.wait()
            at_once = generator.random() < 0.5
            gone = None if at_once else round(seconds_until_gone(folder), 2)
            yield {"moment": moment, "seconds_later": round(delay, 3), "gone_after_seconds": gone}
        finish(launch(command, work.where, folder), folder)


def rounds(
    name: str, work: Work, kills: int, folder: Path, generator: random.Random
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rounds until the work has been killed so often: the kills, and what came of each round."""
    whole = folder / f"{name}-whole"
    for command, _ in work.steps:
        finish(launch(command, work.where, whole), whole)
    expected, killed, ended = work.outcome(whole), [], []
    for number in itertools.count():
        if len(killed) >= kills:
            return killed, ended
        place = folder / f"{name}-{number}"
        before = len(killed)
        for kill in round_of(work, place, generator):
            killed.append({"work": name, "round": number, **kill})
            print(f"{name} {len(killed)} of {kills}: {kill['moment']}", flush=True)
        seconds_until_gone(place)
        found = work.outcome(place)
        ended.append({
            "work": name, "round": number, "kills": len(killed) - before,
            "compared": len(expected), "differ": differences(expected, found),
            "left_over": leftovers(place), "left_running": processes_of(place),
        })  # fmt: skip
        if len(killed) == before:
            raise SystemExit(f"error: {name} ends before each of its moments comes")


def main(arguments: list[str]) -> int:
    """Does all works, prints what differs, and writes the result; 1 where something differs."""
    values = flags.FlagValues()
    flags.DEFINE_integer("kills", 100, "in all, at least", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the moments", flag_values=values)
    shares = {"run": 0.44, "population": 0.24, "processes": 0.24, "prepare": 0.08}
    flags.DEFINE_list("works", list(shares), "those to do", flag_values=values)
    values(["kill_resume", *arguments])
    generator, began = random.Random(values.seed), time.monotonic()
    killed, ended = [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
        folder = Path(root)
        write_originals(folder / "originals")
        chosen = {k: w for k, w in works(folder / "originals").items() if k in values.works}
        total = sum(shares[name] for name in chosen)
        for name, work in chosen.items():
            quota = round(values.kills * shares[name] / total)
            more, rows = rounds(name, work, quota, folder, generator)
            killed, ended = killed + more, ended + rows
    bad = [row for row in ended if row["differ"] or row["left_over"] or row["left_running"]]
    result = {
        "command": f"python -m experiments.benchmarks.kill_resume {' '.join(arguments)}".strip(),
        **{k: v for k, v in runs.environment().items() if k != "command"},
        "seconds": round(time.monotonic() - began),
        "number_of_kills": len(killed),
        "moments": {m: sum(kill["moment"] == m for kill in killed) for m in MOMENTS},
        "rounds": ended,
        "kills": killed,
    }
    result_files.write("kill_resume", result)
    print(f"{len(killed)} kills, {len(ended)} rounds, {len(bad)} of them not as undisturbed")
    print(json.dumps(bad, indent=1) if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

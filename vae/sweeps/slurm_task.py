"""One task of the Slurm launcher: a trial in a process of its own, told of Slurm's signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vae.tied import tied


class Task:
    """What a task of the array does; submitit pickles it, and runs it again after a requeue."""

    def __init__(self, command: Sequence[str]):
        self.command = tuple(command)

    def checkpoint(self, workdir: str) -> Any:
        """What a requeued task runs: the same, since a trial resumes by itself."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, workdir)

    def __call__(self, workdir: str) -> str:
        """Runs the trial; returns "" or the reason why it failed."""
        received: list[int] = []
        before = {}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            before[number] = signal.signal(number, lambda n, frame: received.append(n))
        with open(Path(workdir) / "log.txt", "ab") as log:
            child = subprocess.Popen(
                tied([*self.command, workdir]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_only_sigterm,
            )
        told = False
        while child.poll() is None:
            if received and not told:
                child.terminate()
                told = True
            time.sleep(0.2)
        if child.returncode == 0:
            return ""
        if received and not (Path(workdir) / "failure.json").exists():
            if state() == "RUNNING":  # a time limit or a preemption is near: leave before it
                requeue: Any = before[signal.SIGUSR2]  # submitit's, which exits
                requeue(signal.SIGUSR2, None)
            sys.exit(1)  # cancelled, or requeued by Slurm: no result
        return why(Path(workdir), child.returncode)


def _only_sigterm() -> None:
    """In the trial, ignores SIGINT and SIGUSR2: Slurm signals the whole group, and they would end
    it."""
    for number in (signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def state() -> str:
    """The state that Slurm gives this job; "" where it does not answer."""
    command = ["squeue", "--noheader", "--format=%T", "--jobs", os.environ["SLURM_JOB_ID"]]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip()


def why(workdir: Path, code: int) -> str:
    """Why a trial ended with an exit code that is not 0, in one line."""
    if reason := failure(workdir):
        return reason
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{' (out of memory?)' * (name == 'SIGKILL')}"
    return last_line(workdir / "log.txt") or f"exit code {code}, and an empty log.txt"


def failure(workdir: Path) -> str:
    """The reason that a trial left when its training failed for good; "" where it did not."""
    try:
        return str(json.loads((workdir / "failure.json").read_text())["reason"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"failure.json cannot be read ({error})"


def last_line(path: Path) -> str:
    """The last line of a log that is not blank, without "error: "; "" where there is none."""
    if not path.exists():
        return ""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last.removeprefix("error: ")

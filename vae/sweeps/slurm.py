"""Trials as the tasks of a Slurm job array, through submitit.

`slurm_task.py` is what happens on the nodes: a trial that Slurm interrupts saves, and its requeued
task resumes. What becomes of a task is read here from submitit's result and from `squeue`, since
not every cluster keeps the accounts that `sacct` asks for.
"""

import dataclasses
import getpass
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import vae
from vae.errors import UserError
from vae.signals import sigterm_interrupts
from vae.sweeps.slurm_task import Task, failure, last_line

TRIAL = (sys.executable, "-P", "-m", "vae.sweeps.worker")  # the run directory follows
PAUSE = 5.0  # seconds between looks at the queue
LAG = 15.0  # seconds that a shared file system may take to show the result of an ended task
LEAVE = 120.0  # seconds for cancelled trials to save and leave the queue
ARRAY = 1000  # tasks of one array: Slurm's own limit, unless a cluster sets another
REQUEUES = 100  # time limits that cut a trial short, before it counts as getting nowhere
ENDED = (
    "COMPLETED FAILED CANCELLED TIMEOUT NODE_FAIL OUT_OF_MEMORY BOOT_FAIL DEADLINE PREEMPTED GONE"
).split()


@dataclasses.dataclass(frozen=True)
class Options:
    """What is asked of Slurm."""

    partition: str = ""  # "": the cluster's default
    gpus: int = 0  # GPUs a trial
    cpus: int = 1  # cores a trial
    minutes: int = 60  # time limit of a trial; one that needs longer is requeued and resumes
    at_once: int = 0  # trials running at once; 0: no limit


def run(
    workdirs: Sequence[Path],
    options: Options,
    folder: Path,
    done: Callable[[Path], None] = lambda workdir: None,
    command: Sequence[str] = TRIAL,
) -> dict[Path, str]:
    """Runs every trial as one task of a job array; returns when all have ended.

    A trial that fails, or whose task is killed, is run once more, after the others; one whose
    training failed for good (failure.json) is not. Tasks that an earlier, killed call left behind
    are cancelled first: they save, and resume here.

    Args:
      workdirs: run directories, with their config.json; each gets a log.txt.
      folder: for submitit's files; one call at a time. On the cluster's shared file system, as the
        run directories.
      done: called with the run directory of each trial that has ended, well or not.
      command: what runs a trial, before its run directory.

    Returns:
      Reasons, one line each, of the trials that did not end well.

    Raises:
      UserError: no submitit, no Slurm, or Slurm refuses the array.
      KeyboardInterrupt: Ctrl-C, or SIGTERM (Interrupted); the array is cancelled, and running
        trials have saved.
    """
    folder = folder.resolve()
    name = _name(folder)
    executor = _executor(options, folder, name, len(workdirs))
    reasons: dict[Path, str] = {}
    _cancel(name)
    with sigterm_interrupts():
        try:
            todo = list(workdirs)
            for last in (False, True):
                failed = []
                for workdir, reason in _ended(executor, command, todo, name):
                    if reason and not last and not failure(workdir):
                        failed.append(workdir)
                        continue
                    if reason:
                        reasons[workdir] = reason
                    done(workdir)
                todo = failed
        finally:
            _cancel(name)  # nothing is left of it, unless this is an interrupt or an error
    return reasons


def cancel(folder: Path) -> None:
    """Cancels what an earlier, killed call with this folder left behind; returns once it has saved
    and ended."""
    if shutil.which("squeue"):
        _cancel(_name(folder.resolve()))


def _name(folder: Path) -> str:
    """The array's name: how its tasks are found in the queue, also by a later call."""
    sweep = re.sub(r"[^\w.-]", "_", folder.parent.name)
    return f"vae-{sweep}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def _executor(options: Options, folder: Path, name: str, trials: int) -> Any:
    try:
        import submitit
    except ModuleNotFoundError:
        raise UserError(
            "the Slurm launcher needs submitit: pip install 'vae[slurm]', or use another launcher"
        ) from None
    for tool in ("sbatch", "srun", "squeue", "scancel"):
        if shutil.which(tool) is None:
            raise UserError(f"there is no {tool} here: run on a node of a Slurm cluster")
    executor = submitit.SlurmExecutor(folder, max_num_timeout=REQUEUES)
    root = shlex.quote(str(Path(vae.__file__).parents[1]))
    executor.update_parameters(
        job_name=name,
        partition=options.partition or None,
        time=options.minutes,
        cpus_per_task=options.cpus,
        gpus_per_node=options.gpus or None,
        array_parallelism=options.at_once or max(trials, 1),
        signal_delay_s=min(90, 15 * options.minutes),
        setup=[f"export PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}}"],
        srun_args=[f"--cpus-per-task={options.cpus}"],  # srun does not take it from sbatch
        additional_parameters={"requeue": True},  # some clusters do not by default
    )
    return executor


def _ended(
    executor: Any, command: Sequence[str], workdirs: Sequence[Path], name: str
) -> Iterator[tuple[Path, str]]:
    """Runs trials once: yields each as it ends, with the reason where it failed.

    Raises:
      UserError: Slurm refuses the array.
    """
    from submitit.core.utils import FailedJobError

    for first in range(0, len(workdirs), ARRAY):
        part = workdirs[first : first + ARRAY]
        try:
            jobs = executor.map_array(Task(command), [str(workdir.resolve()) for workdir in part])
        except FailedJobError as error:
            lines = str(error).strip().splitlines() or ["no reason given"]
            raise UserError(f"Slurm refuses the trials: {lines[-1]}") from None
        running = dict(zip(jobs, part, strict=True))
        missing: dict[Any, float] = {}  # since when a task has ended without a result
        while running:
            time.sleep(PAUSE)
            states = _queue(name)
            for job, workdir in list(running.items()):
                state = "UNKNOWN" if states is None else states.get(job.job_id, "GONE")
                result = state in ENDED and job.paths.result_pickle.exists()
                if state not in ENDED:
                    missing.pop(job, None)
                elif result or time.monotonic() - missing.setdefault(job, time.monotonic()) > LAG:
                    del running[job]
                    yield workdir, _outcome(job) if result else _death(job, state)


def _queue(name: str) -> dict[str, str] | None:
    """The state of every task with this name, by job id; None where Slurm does not answer."""
    mine = [f"--name={name}", f"--user={getpass.getuser()}"]
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", *mine]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if asked.returncode:
        return None
    return dict(line.split(maxsplit=1) for line in asked.stdout.splitlines())


def _outcome(job: Any) -> str:
    """What a task returned, or the last line of the exception that ended it."""
    from submitit.core.utils import pickle_load

    kind, value = pickle_load(job.paths.result_pickle)
    return value if kind == "success" else value.strip().splitlines()[-1]


def _death(job: Any, state: str) -> str:
    """Why a task ended without a result: Slurm's word, and the last line of the task's log."""
    last = last_line(job.paths.stderr)
    return f"Slurm ended it: {state.lower()}{f' ({last})' * bool(last)}"


def _cancel(name: str) -> None:
    """Cancels the tasks with this name, and waits until those that run have saved and ended."""
    command = ["scancel", f"--name={name}", f"--user={getpass.getuser()}"]
    deadline, said = time.monotonic() + LEAVE, False
    while time.monotonic() < deadline:
        states = _queue(name)
        left = [state for state in (states or {}).values() if state not in ENDED]
        if states is not None and not left:
            return
        if not said:
            print(f"cancelling {len(left)} trials; those that run save first", file=sys.stderr)
            said = True
        if set(left) != {"COMPLETING"}:
            subprocess.run(command)
        time.sleep(1.0)

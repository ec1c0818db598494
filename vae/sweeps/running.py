"""Trials by a launcher: as one program, as processes, as tasks of Slurm, as a host's share."""

import dataclasses
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from vae import automatic, distributed, runs
from vae.errors import UserError
from vae.sweeps import processes, slurm
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.plan import Trial, groups

if TYPE_CHECKING:
    from vae.sweeps.grouped import Populations


def fitted(directory: SweepDirectory, trials: Sequence[Trial]) -> list[Trial]:
    """The trials with configs in which nothing is left to the data."""
    found = (resolved(trial.config, directory.workdir(trial)) for trial in trials)
    return [
        dataclasses.replace(trial, config=config)
        for trial, config in zip(trials, found, strict=True)
    ]


def resolved(config: ConfigDict, workdir: Path | str | None) -> ConfigDict:
    """A config in which nothing is left to the data; as it is where they cannot be read, which the
    trial that is trained on them then says by itself."""
    try:
        return automatic.resolved(config, workdir)
    except UserError:
        return config


def run(
    directory: SweepDirectory,
    todo: Sequence[Trial],
    launcher: str,
    slots: int,
    cluster: slurm.Options,
    programs: "Populations | None" = None,
) -> None:
    """Runs trials by a launcher; sweep.json is brought up to date as each ends."""
    if not todo:
        return

    def done(trial: Trial) -> None:
        directory.write()

    try:
        if launcher == "population":
            from vae.sweeps.grouped import Populations, use_cores

            use_cores(len(directory.trials))  # as at first, also where few are left
            (programs or Populations(directory, slots)).run(todo, done)
        elif launcher == "processes":
            processes.run(directory, todo, slots, done)
        else:
            on_slurm(directory, todo, slots, cluster)
    finally:
        if any(directory.workdir(trial).exists() for trial in directory.trials):
            directory.write()


def settled(directory: SweepDirectory, trials: Sequence[Trial]) -> list[Trial]:
    """Waits for trials that a killed launch left behind to save and end; returns what is pending.

    Raises:
      UserError: one still runs after a minute.
    """
    if directory.launcher == "slurm":
        slurm.cancel(directory.path / "slurm")
    deadline, said = time.monotonic() + processes.GRACE, False
    for trial in trials:
        while by := runs.holder(directory.workdir(trial)):
            if time.monotonic() > deadline:
                raise UserError(
                    f"trial {trial.name} of {directory.path} is running in another process ({by}): "
                    "wait for it or end it, and run the same command to go on"
                )
            if not said:
                text = f"trial {trial.name} is running in another process ({by}): waiting for it"
                warnings.warn(f"{text} to save and end", stacklevel=2)
                said = True
            time.sleep(0.1)
    return [trial for trial in trials if directory.state(trial)[0] == "pending"]


def on_slurm(
    directory: SweepDirectory, trials: Sequence[Trial], slots: int, cluster: slurm.Options
) -> None:
    """Trials as the tasks of a job array, `slots` of them at once."""
    by_path = {directory.claim(trial): trial for trial in trials}
    directory.write()
    cluster = dataclasses.replace(cluster, at_once=slots)

    def done(workdir: Path) -> None:
        print(f"{workdir.name}  ended", flush=True)
        directory.write()

    reasons = slurm.run(list(by_path), cluster, directory.path / "slurm", done)
    for workdir, reason in reasons.items():
        directory.note(by_path[workdir], "failed", reason)


def shared(directory: SweepDirectory, todo: Sequence[Trial]) -> Sequence[Trial]:
    """The share of the first process, which says to the others what there is to run, group by
    group, once the directory is as it should be; all of it where there is one process."""
    if distributed.place()[1] == 1:
        return todo
    directory.write()
    names = [trial.name for members in groups(todo) for trial in members]
    return mine(directory, distributed.share("trials", names))


def help_with(
    path: Path, config: ConfigDict, trials: Sequence[Trial], slots: int, extend: bool
) -> None:
    """What a process other than the first one does for a sweep.

    Raises:
      UserError: it does not see the directory that the first one writes.
    """
    names = distributed.share("trials", None)
    if not (path / "sweep.json").exists():
        raise UserError(distributed.elsewhere(path))
    directory = SweepDirectory(path, config, "population", extend=extend)
    directory.plan(fitted(directory, trials))
    run(directory, mine(directory, names), "population", slots, slurm.Options())
    distributed.meet("trained")
    distributed.meet("finished")


def mine(directory: SweepDirectory, names: Sequence[str]) -> list[Trial]:
    """The trials of this process: every so many-th of those that are to be run."""
    number, count = distributed.place()
    own = set(names[number::count])
    return [trial for trial in directory.trials if trial.name in own]

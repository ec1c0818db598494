"""The `sweep` verb: all trials, their evaluation, one table and one page; resumable."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from vae import config as configs
from vae import distributed, runs
from vae.errors import UserError
from vae.paths import located
from vae.sweeps import slurm
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.grid import Grid
from vae.sweeps.plan import Trial, groups, plan
from vae.sweeps.results import finish
from vae.sweeps.running import fitted, help_with, resolved, run, settled, shared

if TYPE_CHECKING:
    from vae.sweeps.grouped import Populations
    from vae.sweeps.search import Space

LAUNCHERS = ("population", "processes", "slurm")


def sweep(
    config: ConfigDict,
    grid: Grid,
    seeds: int = 1,
    workdir: str | None = None,
    launcher: str = "population",
    slots: int = 0,
    cluster: slurm.Options | None = None,
    dry_run: bool = False,
    extend: bool = False,
) -> str:
    """Runs every trial of a grid that is not done yet, evaluates, and reports.

    Args:
      grid: points over the config (see `vae.sweeps.grid`).
      seeds: seeds of each point, counted from the config's.
      workdir: the sweep's directory; "" or None for one in `runs/` named after config and trials.
      launcher: "population", "processes" or "slurm".
      slots: trials at a time; 0: what fits.
      cluster: what is asked of Slurm.
      dry_run: print the trials and the plan, and do nothing.
      extend: go on with more epochs where a trial depends on its length (`vae.lengths.goes_on`).

    Returns:
      The sweep's directory.

    Raises:
      UserError: config, grid, data or directory are wrong; no trial has been touched.
      RunError: trials failed, each named with its reason.
      Interrupted: by a signal; everything is saved.
    """
    if launcher not in LAUNCHERS:
        raise UserError(f"--launcher={launcher} is not one of: {', '.join(LAUNCHERS)}")
    config = located(config)
    trials = plan(config, grid, seeds)
    base = resolved(config, workdir)
    path = Path(workdir or default_path(base, trials))
    if distributed.place()[1] > 1 and launcher != "population":
        raise UserError(f"--launcher={launcher} starts processes itself: start it as one")
    if not distributed.first():
        if not dry_run:
            help_with(path, base, trials, slots, extend)
        return str(path)
    directory = SweepDirectory(path, base, launcher, extend=extend)
    directory.plan(fitted(directory, trials))
    todo = directory.pending()
    print(describe(directory, todo, launcher, slots), flush=True)
    if dry_run:
        return str(path)
    with runs.locked(path):
        todo = settled(directory, todo)
        directory.take(todo)
        run(directory, shared(directory, todo), launcher, slots, cluster or slurm.Options())
        distributed.meet("trained")
        finish(directory)
        distributed.meet("finished")
    return str(path)


def search(
    config: ConfigDict,
    space: "Space",
    sampler: str,
    trials: int,
    workdir: str | None = None,
    launcher: str = "population",
    slots: int = 0,
    cluster: slurm.Options | None = None,
    eta: int = 0,
) -> str:
    """Searches a space for the best `eval.metric` on the validation set, in batches.

    Args:
      space: values or a `Range` for each key.
      sampler: "tpe" or "random".
      trials: how many in all; a relaunch goes on to this number.
      slots: trials of a batch; 0: one a core, and at least 4.
      eta: successive halving: of each batch the better 1/eta go on after epochs / eta^2 and after
        epochs / eta; 0: all train to the end.

    Returns:
      The sweep's directory.

    Raises:
      UserError, RunError, Interrupted: as `sweep`.
    """
    from vae.sweeps import grouped
    from vae.sweeps.search import Study, largest_latent_size, optimised

    if distributed.place()[1] > 1:
        raise UserError("--search is of one process: start it as one, or sweep a grid")
    if not space or trials < 1:
        raise UserError("a search needs --sweep KEY=log(LOW,HIGH) or KEY=V1,V2,... and --trials=N")
    if eta == 1 or eta < 0 or (eta and launcher != "population"):
        raise UserError("--halving=N keeps the better 1/N, N from 2 on, with --launcher=population")
    configs.check(config)
    optimised(config.eval.metric)  # refused before there is a directory
    config = located(config)
    base = resolved(config, workdir)
    path = Path(workdir or Path("runs") / f"search-{configs.run_name(base)}")
    directory = SweepDirectory(path, base, launcher, config.eval.metric)
    with runs.locked(path):
        study = Study(path, config, space, sampler)
        if launcher == "population":
            grouped.use_cores(slots or 64)
        batch = slots or max(4, len(os.sched_getaffinity(0)))
        programs = grouped.Populations(directory, slots, largest_latent_size(config, space))
        while todo := fitted(directory, study.open(batch, trials)):
            directory.plan(fitted(directory, study.all()), study.values())
            print(f"{path}: {todo[0].name} to {todo[-1].name} of {trials}", flush=True)
            settled(directory, todo)
            pruned = prune(directory, programs, todo, eta)
            rest = [trial for trial in todo if trial.name not in pruned]
            run(directory, rest, launcher, slots, cluster or slurm.Options(), programs)
            for trial in todo:
                study.tell(trial, outcome(directory, programs, trial), trial.name in pruned)
        directory.plan(fitted(directory, study.all()), study.values())
        finish(directory)
    return str(path)


def prune(
    directory: SweepDirectory, programs: "Populations", trials: Sequence[Trial], eta: int
) -> set[str]:
    """Successive halving of one batch; names of the trials that stopped on the way."""
    from vae.sweeps.search import halve, rungs

    stopped = {trial.name for trial in trials if directory.state(trial)[0] == "pruned"}
    alive = [trial for trial in trials if directory.state(trial)[0] == "pending"]
    for epochs in rungs(directory.config.train.epochs, eta):
        if len(alive) < 2:
            break
        programs.pause_at(alive, epochs)
        alive, worse = halve(directory, alive, eta)
        programs.finish(worse)
        for trial in worse:
            directory.note(trial, "pruned", f"among the worse after {epochs:g} epochs")
            stopped.add(trial.name)
        directory.write()
    return stopped


def outcome(directory: SweepDirectory, programs: "Populations", trial: Trial) -> float | None:
    """What the study is told of a trial; None where it failed."""
    from vae.sweeps.search import validation_metric

    state, _ = directory.state(trial)
    if state not in ("done", "pruned"):
        return None
    group = programs.compiled(trial)
    metric = directory.config.eval.metric
    return validation_metric(directory.workdir(trial), metric, group.compiled, group.dataset)


def default_path(config: ConfigDict, trials: Sequence[Trial]) -> Path:
    """A directory under runs/ that is named after the config and the trials."""
    text = json.dumps([trial.values for trial in trials], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Path("runs") / f"sweep-{configs.run_name(config)}-{digest}"


def describe(
    directory: SweepDirectory, todo: Sequence[Trial], launcher: str, slots: int
) -> str:
    """The trials, the groups that they form, and what the launcher will do with them."""
    trials = directory.trials
    waiting = {trial.name for trial in todo}
    lines = [f"{directory.path}: {len(trials)} trials, {len(todo)} to run"]
    formed = groups(trials)
    for number, members in enumerate(formed, 1):
        sizes = sorted({trial.config.model.latent_size for trial in members})
        which = f"latent sizes {', '.join(map(str, sizes))}" if len(sizes) > 1 else ""
        masked = f" at {sizes[-1]} latents with an exact mask" if which else ""
        line = f"group {number} of {len(formed)}: {len(members)} trials"
        if launcher == "population":
            line = ", ".join(filter(None, [line, which, f"one program{masked}"]))
        lines.append(line)
        for trial in members:
            lines.append(f"  {trial.name}{'' if trial.name in waiting else '  (ended)'}")
    at_a_time = f"{slots} at a time" if slots else "as many at a time as the devices hold"
    count = distributed.place()[1]
    share = f", each of {count} processes a share of every group" if count > 1 else ""
    how = {
        "population": f"population: groups one after the other, {at_a_time}{share}",
        "processes": f"processes: one a trial, {at_a_time}",
        "slurm": f"slurm: one job array, {f'{slots} tasks at a time' if slots else 'no limit'}",
    }[launcher]
    return "\n".join([*lines, how])

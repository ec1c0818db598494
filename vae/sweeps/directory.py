"""A sweep's directory: sweep.json, the trials' run directories, and what became of each."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae import lengths, run_files, runs
from vae.distributed import first
from vae.errors import UserError
from vae.keys import PLACE
from vae.paths import moved
from vae.reports import summary
from vae.sweeps.plan import Trial


class SweepDirectory:
    """What is known of a sweep on disk. A trial's state follows from its own run directory:

    done: evaluated with this config, and reported; failed: failure.json says why; else pending.
    What a launcher adds (a process that died, a trial that a search pruned) is kept in sweep.json.
    """

    def __init__(
        self,
        path: Path,
        config: ConfigDict,
        launcher: str,
        metric: str = "",
        extend: bool = False,
    ):
        self.path, self.config, self.launcher, self.metric = path, config, launcher, metric
        self.extend = extend
        self.trials: list[Trial] = []
        self._known: set[str] = set()  # names of the trials that are there
        self._values: dict[str, float] = {}  # of what a search optimises, by name
        self._notes: dict[str, tuple[str, str]] = {}  # name -> (state, reason), beside the run's
        file = path / "sweep.json"
        if file.exists():
            self._check(run_files.read_sweep(path))
        elif path.exists() and any(item.name != "lock" for item in path.iterdir()):
            raise UserError(f"{path} holds other files and no sweep.json: use another --workdir")

    def _check(self, found: dict[str, Any]) -> None:
        # The data may have moved: each trial that goes on tells whether they are the same.
        theirs = moved(configs.from_json(json.dumps(found["config"])), self.config)
        longer = lengths.goes_on(f"{self.path} holds a sweep", self.config, theirs, self.extend)
        if longer and self.metric:
            raise UserError(
                f"{self.path} holds a search with {longer}: a search compares trials of one "
                "length\nuse another --workdir"
            )
        self._known = {trial["name"] for trial in found["trials"]}
        for trial in found["trials"]:
            if trial["state"] == "pruned":
                self._notes[trial["name"]] = ("pruned", trial["reason"])

    def plan(self, trials: Sequence[Trial], values: Mapping[str, float] | None = None) -> None:
        """Sets the trials; a relaunch may add some, and leave out none.

        Args:
          values: what a search optimises, measured on the validation set, of trials by name.

        Raises:
          UserError: one that is there is missing from the plan.
        """
        missing = sorted(self._known - {trial.name for trial in trials})
        if missing:
            raise UserError(
                f"{self.path} holds trials that this sweep does not have: {', '.join(missing[:3])}"
                f"{' ...' * (len(missing) > 3)}\nuse another --workdir, or the sweep it was made by"
            )
        self.trials, self._values = list(trials), dict(values or {})

    def workdir(self, trial: Trial) -> Path:
        """The trial's run directory."""
        return self.path / "trials" / trial.name

    def claim(self, trial: Trial) -> Path:
        """Writes the trial's config where it is not yet; returns its run directory.

        Raises:
          UserError: another run is there.
        """
        workdir = self.workdir(trial)
        with runs.locked(workdir):
            stale = self._stale(trial)
            if stale and all(line.startswith("eval.") for line in stale):
                # Before the config says so: a kill in between must not make it the new one's.
                (workdir / "evaluation.json").unlink(missing_ok=True)
            runs.claim(workdir, trial.config, self.extend)
        return workdir

    def take(self, trials: Sequence[Trial]) -> None:
        """Claims the trials that are already there; some of them may go on for longer.

        Raises:
          UserError: one of them may not, or is in use.
        """
        for trial in trials:
            if (self.workdir(trial) / "config.json").exists():
                self.claim(trial)

    def state(self, trial: Trial) -> tuple[str, str]:
        """("done" | "failed" | "pruned" | "pending", the reason of a failure)."""
        workdir = self.workdir(trial)
        if reason := runs.failure(workdir):
            return "failed", reason
        if trial.name in self._notes:
            return self._notes[trial.name]
        if not all((workdir / name).exists() for name in ("evaluation.json", "report.html")):
            return "pending", ""
        return ("pending", "") if self._stale(trial) else ("done", "")

    def _stale(self, trial: Trial) -> list[str]:
        """The keys, of those that matter, in which the run's config differs from the trial's."""
        workdir = self.workdir(trial)
        if not (workdir / "config.json").exists():
            return []
        lines = configs.difference(trial.config, runs.read_config(workdir), neutral=True)
        return [line for line in lines if not line.startswith(PLACE)]

    def note(self, trial: Trial, state: str, reason: str) -> None:
        """Notes a state and its reason, where the run directory itself does not show them."""
        self._notes[trial.name] = (state, reason)

    def pending(self) -> list[Trial]:
        """Trials that are still to be run."""
        return [trial for trial in self.trials if self.state(trial)[0] == "pending"]

    def failed(self) -> dict[str, str]:
        """Reasons of the failed trials, by name."""
        states = {trial.name: self.state(trial) for trial in self.trials}
        return {name: reason for name, (state, reason) in states.items() if state == "failed"}

    def write(self) -> dict[str, Any]:
        """Writes sweep.json and results.csv as things stand; returns what sweep.json holds.

        Of several processes the first one writes them.
        """
        keys = list(dict.fromkeys(key for trial in self.trials for key in trial.values))
        keys.sort(key=lambda key: key == "seed")  # the seed last
        sweep = {
            "name": self.path.resolve().name,
            "command": runs.command(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "launcher": self.launcher,
            "metric": self.metric,
            "keys": keys,
            "trials": [self._entry(trial) for trial in self.trials],
            "config": self.config.to_dict(),
            "environment": self._environment(),
        }
        if not first():
            return sweep
        runs.write_json(self.path / "sweep.json", sweep)
        rows = summary.rows(sweep, self.path)
        runs.write_atomic(self.path / "results.csv", summary.results_csv(rows, keys))
        return sweep

    def _environment(self) -> dict[str, Any]:
        """The environment of the first trial that has one, as the launcher itself may hold no
        device."""
        for trial in self.trials:
            if found := run_files.read_environment(self.workdir(trial)):
                return found
        return {"git_revision": runs.git_revision()}

    def _entry(self, trial: Trial) -> dict[str, Any]:
        state, reason = self.state(trial)
        workdir = self.workdir(trial)
        begun = (workdir / "metrics.jsonl").exists()
        seconds = round(runs.training_seconds(workdir), 2) if begun else None
        entry = {
            "name": trial.name,
            "values": trial.values,
            "state": state,
            "reason": reason or None,
            "seconds": seconds,
        }
        return entry | ({"value": self._values[trial.name]} if trial.name in self._values else {})

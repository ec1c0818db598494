"""Search of a space with Optuna: trials asked and told in batches that fill a population.

The study lives in the sweep's directory (`study.journal`), so a relaunch goes on with the trials
that were asked and not told. What is optimised is `eval.metric` on the validation set.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae import run_files, runs
from vae.errors import UserError
from vae.metrics import declared
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.grid import Range
from vae.sweeps.plan import Trial, apply

SAMPLERS = ("tpe", "random")
Space = Mapping[str, list[Any] | Range]


def optimised(metric: str) -> str:
    """"maximize" or "minimize": what a search does with a metric.

    Raises:
      UserError: no metric is called so, or neither more nor less of it is better.
    """
    kind = declared(metric)
    if kind is None:
        raise UserError(
            f"eval.metric={metric!r} is no metric of evaluation.json: a search needs one, such as "
            "elbo or aggregate_mmd"
        )
    if kind.better == "none":
        raise UserError(
            f"eval.metric={metric!r}: neither more nor less of it is better, and a search needs to "
            "know: choose another metric, such as elbo"
        )
    return {"up": "maximize", "down": "minimize"}[kind.better]


class Study:
    """An Optuna study whose trials are runs of a sweep.

    Raises:
      UserError: Optuna is missing, the sampler has another name, or the study cannot be read or
        is of another metric.
    """

    def __init__(self, path: Path, config: ConfigDict, space: Space, sampler: str):
        try:
            import optuna
        except ModuleNotFoundError:
            raise UserError("--search needs Optuna: pip install 'vae[search]'") from None
        if sampler not in SAMPLERS:
            raise UserError(f"--search={sampler} is not one of: {', '.join(SAMPLERS)}")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna, self.config, self.space = optuna, config, space
        self.metric = config.eval.metric
        self.prefix = _prefix(path)
        self.study = self._opened(path / "study.journal")
        asked = len(self.study.trials)  # a resumed sampler goes on, it does not repeat itself
        seed = config.seed + asked
        if sampler == "tpe":
            # Trials that are still running count as bad ones, so that a batch spreads out.
            self.study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        else:
            self.study.sampler = optuna.samplers.RandomSampler(seed=seed)

    def _opened(self, journal: Path) -> Any:
        """The study that the journal holds, which may be new.

        Raises:
          UserError: it cannot be read, or was made for another metric.
        """
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        way: Any = optimised(self.metric)
        try:
            storage = JournalStorage(JournalFileBackend(str(journal)))
            study = self.optuna.create_study(
                storage=storage, study_name="sweep", direction=way, load_if_exists=True
            )
            of = study.user_attrs.get("metric")
            if of is None and not study.trials:
                study.set_user_attr("metric", self.metric)
        except Exception as error:  # the journal's lines are replayed as they are: any type
            raise UserError(
                f"{journal} cannot be read ({type(error).__name__}): restore it, or delete the "
                "sweep to start afresh"
            ) from error
        if study.direction.name.lower() != way or of not in (None, self.metric):
            raise UserError(
                f"{journal} is of a search for another metric{f' ({of})' if of else ''}: use "
                "another --workdir"
            )
        return study

    def open(self, batch: int, total: int) -> list[Trial]:
        """Trials to run next: earlier ones that were asked and not told, filled up to `batch` with
        new ones, up to `total` trials in all."""
        waiting = self._in_state("RUNNING")
        for _ in range(min(batch - len(waiting), total - len(self.study.trials))):
            waiting.append(self.study.ask().number)
        return [self._trial(number) for number in waiting]

    def all(self) -> list[Trial]:
        """Every trial so far."""
        return [self._trial(trial.number) for trial in self.study.trials]

    def tell(self, trial: Trial, value: float | None, pruned: bool = False) -> None:
        """A trial's metric; None where it failed."""
        states = self.optuna.trial.TrialState
        if value is None or not math.isfinite(value):
            self.study.tell(self._number(trial), state=states.FAIL)
        elif pruned:
            self._handle(self._number(trial)).report(value, step=1)
            self.study.tell(self._number(trial), state=states.PRUNED)
        else:
            self.study.tell(self._number(trial), value)

    def values(self) -> dict[str, float]:
        """What has been told of trials, by name; of those that failed nothing."""
        told = {self._name(t.number): t.value for t in self.study.trials if t.value is not None}
        return {name: float(value) for name, value in told.items()}

    def _name(self, number: int) -> str:
        return f"{self.prefix}{number:04d}"

    def _number(self, trial: Trial) -> int:
        return int(trial.name.removeprefix(self.prefix))

    def _in_state(self, state: str) -> list[int]:
        return [trial.number for trial in self.study.trials if trial.state.name == state]

    def _handle(self, number: int) -> Any:
        return self.optuna.trial.Trial(self.study, self.study.trials[number]._trial_id)

    def _trial(self, number: int) -> Trial:
        """The run of a study's trial; values that have been suggested stay as they are."""
        handle = self._handle(number)
        told = self.study.trials[number].params
        ended = self.study.trials[number].state.is_finished()
        values = {
            key: _chosen(choices, told.get(key)) if ended else _suggest(handle, key, choices,
                                                                        self.config)
            for key, choices in self.space.items()
        }  # fmt: skip
        return Trial(self._name(number), values, apply(self.config, values))


def _prefix(path: Path) -> str:
    """What the names of a search's trials begin with, so that a table's readers take them for text;
    nothing in older directories, whose trials are named "0000"."""
    known = run_files.read_sweep(path)["trials"] if (path / "sweep.json").exists() else []
    return "" if any(trial["name"].isdigit() for trial in known) else "trial-"


def _suggest(handle: Any, key: str, choices: list[Any] | Range, config: ConfigDict) -> Any:
    if not isinstance(choices, Range):
        return _chosen(choices, handle.suggest_categorical(key, list(map(str, choices))))
    whole = isinstance(apply(config, {})[key.split(".")[0]][key.split(".")[1]], int)
    suggest = handle.suggest_int if whole else handle.suggest_float
    low, high = (int(choices.low), int(choices.high)) if whole else (choices.low, choices.high)
    return suggest(key, low, high, log=choices.scale == "log")


def _chosen(choices: list[Any] | Range, told: Any) -> Any:
    """The value that Optuna holds as text."""
    if isinstance(choices, Range):
        return told
    return {str(choice): choice for choice in choices}[told]


def largest_latent_size(config: ConfigDict, space: Space) -> int:
    """The most latents that a trial of the space can have."""
    choices = space.get("model.latent_size", [config.model.latent_size])
    return int(choices.high) if isinstance(choices, Range) else max(choices)


def rungs(epochs: int, eta: int) -> list[float]:
    """Epochs after which only the better 1/eta go on: epochs / eta^2 and epochs / eta."""
    return [epochs / eta**2, epochs / eta] if eta else []


def halve(
    directory: SweepDirectory, trials: Sequence[Trial], eta: int
) -> tuple[list[Trial], list[Trial]]:
    """Splits trials into the better 1/eta (at least one), by validation ELBO so far, and the rest.

    A failed trial belongs to neither.
    """
    alive = [trial for trial in trials if directory.state(trial)[0] != "failed"]
    ranked = sorted(alive, key=lambda trial: -validation_elbo(directory.workdir(trial)))
    keep = max(1, math.ceil(len(ranked) / eta))
    return ranked[:keep], ranked[keep:]


def validation_elbo(workdir: Path) -> float:
    """The best validation ELBO so far (at beta = 1), in nats; -inf where there is none."""
    lines = [r for r in runs.read_metrics(workdir) if r["split"] == "validation"]
    return max((r["elbo"] for r in lines if "elbo" in r), default=-math.inf)


def validation_metric(workdir: Path, metric: str, compiled: Any, dataset: Any) -> float:
    """A metric of a trained run on the validation set.

    Raises:
      UserError: no such metric.
    """
    if metric == "elbo":  # the selected checkpoint's, which training has computed
        return validation_elbo(workdir)
    from vae.evaluation.evaluate import measure
    from vae.evaluation.trained import load

    run = load(workdir, None, compiled, dataset)
    _, metrics, _ = measure(run, "validation", run.config.eval.metrics)
    if metric not in metrics:
        raise UserError(f"eval.metric={metric!r} is not one of: {', '.join(metrics)}")
    return metrics[metric].value

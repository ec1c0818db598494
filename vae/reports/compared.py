"""Runs that stand beside each other: what is read of them, which is best, and what is wrong.

The best is chosen on the validation set where all are known on it: a number by which a run was
chosen is better than it should be, so the test examples only tell how good the chosen one is.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import run_files, runs
from vae.config import flatten
from vae.errors import UserError, needed
from vae.metrics import counted_in, sign
from vae.reports import summary
from vae.reports.swept import BOUND, on_validation
from vae.reports.tables import typeset, typeset_metric
from vae.reports.verdict import Sentence, bound, verdict


@dataclasses.dataclass(frozen=True)
class Compared:
    """A run directory as the page needs it; its files are read when they are asked for."""

    workdir: Path
    name: str

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        return dict(flatten(runs.read_config(self.workdir)))

    @functools.cached_property
    def evaluation(self) -> dict[str, Any] | None:
        return run_files.read_evaluation(self.workdir)

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.evaluation["metrics"] if self.evaluation else {}

    @functools.cached_property
    def records(self) -> list[dict[str, Any]]:
        return runs.read_metrics(self.workdir)

    @functools.cached_property
    def validation(self) -> dict[str, float]:
        """What is known of it on the validation set, by metric."""
        metrics = {name: float(metric["value"]) for name, metric in self.metrics.items()}
        split = self.evaluation["split"] if self.evaluation else None
        row = {"value": None, "metrics": metrics, "split": split}
        return on_validation(row, self.records, "", self.config["eval.checkpoint"])

    @functools.cached_property
    def bounds(self) -> dict[str, np.ndarray]:
        """Of each example of the split that was evaluated: name to [N] nats."""
        return run_files.read_bounds(self.workdir) if self.evaluation else {}


def named(workdirs: Sequence[Path]) -> list[Compared]:
    """The runs with names that tell them apart: as few last parts of their paths as do."""
    paths = [workdir.resolve() for workdir in workdirs]
    if len(set(paths)) < len(paths):
        raise UserError("--compare names a run twice: give different run directories")
    if len(paths) < 2:
        raise UserError("--compare needs at least two run directories: --compare A B")
    parts = 1
    while len({path.parts[-parts:] for path in paths}) < len(paths):
        parts += 1
    found = [
        Compared(workdir, "/".join(path.parts[-parts:]))
        for workdir, path in zip(workdirs, paths, strict=True)
    ]
    for run in found:
        _ = run.config  # refuses what is no run
    return found


def said(compared: Sequence[Compared]) -> list[Sentence]:
    """What is best, or a sentence on each run's bound; and every run's problems."""
    problems = []
    are_apart = len({measured_on(run) for run in compared if run.evaluation}) > 1
    if are_apart:
        text = "The numbers are of different data or splits, and not to be compared."
        problems.append(Sentence(text, is_problem=True))
    for run in compared:
        if run.evaluation is None:
            problems.append(Sentence(f"{run.name} has not been evaluated.", is_problem=True))
        for one in verdict(run.evaluation, run.records, runs.failure(run.workdir)):
            if one.is_problem:
                problems.append(dataclasses.replace(one, text=f"{run.name}: {one.text}"))
    found = [] if are_apart else best(compared)
    found = found or [of for run in compared if (of := bound(run.evaluation or {}))]
    return [*(found or [Sentence("There is nothing to compare yet.")]), *problems]


def best(compared: Sequence[Compared]) -> list[Sentence]:
    """The best run of those that were evaluated, and what the evaluation says of it; [] of one."""
    having = [run for run in compared if BOUND in run.metrics]
    if len(having) < 2:
        return []
    if not all(BOUND in run.validation for run in having):
        return _seen(having)
    chosen = max(having, key=lambda run: run.validation[BOUND])
    value = f"{typeset(chosen.validation[BOUND])} nats"
    text = f"Best, of the highest validation ELBO ({value}): {chosen.name}."
    evaluation = needed(chosen.evaluation, "evaluation")
    if evaluation["split"] != "validation":
        names = dict.fromkeys((BOUND, common_nll(having) or BOUND))
        told = "; ".join(_measured(chosen, name) for name in names)
        text += f" On {evaluation['num_examples']:,} {evaluation['split']} examples, {told}."
    return [Sentence(text)]


def _seen(having: Sequence[Compared]) -> list[Sentence]:
    """The best by the very numbers that are told: by the bound, and by the tightest one."""
    found = []
    for metric in dict.fromkeys((BOUND, common_nll(having) or BOUND)):
        way = sign(having[0].metrics[metric])
        chosen = max(having, key=lambda run: way * run.metrics[metric]["value"])
        evaluation = needed(chosen.evaluation, "evaluation")
        on = f"{evaluation['num_examples']:,} {evaluation['split']} examples"
        label = having[0].metrics[metric]["label"]
        told = f"{_measured(chosen, metric)} ({on}, on which it was chosen)"
        found.append(Sentence(f"Best by {label}: {chosen.name}. {told}."))
    return found


def _measured(run: Compared, metric: str) -> str:
    about = run.metrics[metric]
    return f"{about['label']}: {typeset_metric(about)} {counted_in(about)}".rstrip()


def measured_on(run: Compared) -> tuple:
    """What numbers must share to be compared."""
    evaluation = needed(run.evaluation, "evaluation")
    data = [value for key, value in run.config.items() if key in ("data.name", "data.size")]
    seed = run.config["seed"] * (run.config["data.size"] > 0)
    return *data, seed, evaluation["split"], evaluation["num_examples"]


def common_nll(compared: Sequence[Compared]) -> str | None:
    """The tightest importance-weighted bound that all evaluated runs have."""
    measured = [run.metrics for run in compared if run.metrics]
    common = {n: m for n, m in (measured or [{}])[0].items() if all(n in of for of in measured)}
    return summary.tightest_nll([{"metrics": common}])

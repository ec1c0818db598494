"""Compares the seeds of one setting by UDR, in the `evaluation.json` of each trial."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vae import run_files, runs
from vae.errors import needed
from vae.metrics import Metric
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.plan import Trial

GROUP = "disentanglement"  # of eval.metrics, that it goes with


def across_seeds(directory: SweepDirectory, load: Callable[[Path], Any]) -> None:
    """Adds `udr_spearman` and `udr_lasso` of each trial among the seeds of its setting, where they
    are evaluated for disentanglement and two seeds or more are done (Duan et al. 2020).

    Args:
      load: gives the trained model of a run directory.
    """
    from vae.scores.disentanglement.rankings import OF_SEEDS

    for members in _seeds(directory):
        files = [directory.workdir(trial) / "evaluation.json" for trial in members]
        evaluations = [needed(run_files.read_evaluation(file.parent), str(file)) for file in files]
        of = f"median over {len(members) - 1} other models"
        known = [e["metrics"].get(k.name, {"unit": ""}) for e in evaluations for k in OF_SEEDS]
        if all(of in metric["unit"] for metric in known):
            continue
        found = _udr([load(file.parent) for file in files], evaluations[0]["split"])
        for number, file in enumerate(files):
            evaluation = runs.read_json(file)
            for kind, of_model in OF_SEEDS.items():
                own = found[of_model[number].name]
                evaluation["metrics"][kind.name] = kind.of(own.value, unit=own.unit).entry()
            runs.write_json(file, evaluation)


def _seeds(directory: SweepDirectory) -> list[list[Trial]]:
    """The trials that are done and differ in the seed alone, where there are several."""
    groups: dict[tuple, list[Trial]] = {}
    for trial in directory.trials:
        if GROUP in trial.config.eval.metrics and directory.state(trial)[0] == "done":
            values = tuple((key, value) for key, value in trial.values.items() if key != "seed")
            groups.setdefault(values, []).append(trial)
    return [members for members in groups.values() if len(members) > 1]


def _udr(models: Sequence[Any], split: str) -> dict[str, Metric]:
    """UDR of the models' codes of the same examples: those that the other scores are of."""
    from vae.evaluation.subject import spread
    from vae.scores import disentanglement

    x, context = models[0].examples(split), models[0].context(split)
    rows = spread(len(x), models[0].config.eval.codes)
    given = None if context is None else context[rows]
    codes = [model.encode(x[rows], given) for model in models]
    return disentanglement.udr([mean for mean, _ in codes], [std for _, std in codes])

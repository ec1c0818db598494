"""Synthetic tables: rows that a VAE makes, beside those of a copula and of others.

Ordinary rows of ADBench's tables (Han et al. 2022): half train, and as many are made as test. A VAE
with a likelihood a column draws from its prior, and from flow matching of its latents (Lipman et
al. 2023); beside it columns drawn independently, a Gaussian copula, and CTGAN and TVAE (Xu et al.
2019) by their defaults where the package `ctgan` is installed. How far columns and pairs of columns
are from the test set's, whether boosted trees can tell rows from the test set's, what trees learn
from made rows, and how many rows are copies; `_data` beside it is what training rows have.

Full: ten tables, five seeds. cpu: five tables, one seed, half an hour of 2 cores. quick: one table,
50 epochs, a minute.

    ./launch.sh prepare adbench --data_dir=DATA
    ./launch.sh reproduce apps_tables --data_dir=DATA [--scale=cpu]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments import side_by_side
from experiments.applications.apps_imputation import TABLES
from experiments.baselines.tables import makers
from experiments.protocol import OURS, Expected, Study, Trial, Value
from vae.columns import coded
from vae.configs import adbench
from vae.evaluation.trained import Trained, load
from vae.metrics import Metric
from vae.scores import tables

SMALL = ("cardio", "PageBlocks", "pendigits", "thyroid", "Waveform")
VAE, MATCHED, COPULA = "VAE, prior", "VAE, flow matching", "Gaussian copula"
TOLD, USE = tables.TOLD.name, tables.USE.name


def study(scale: str) -> Study:
    """A run of each table."""
    config = adbench.get_config()
    config.model.likelihood, config.eval.metrics = "columns", ()
    names = {"full": TABLES, "cpu": SMALL, "quick": SMALL[:1]}[scale]
    if scale == "quick":
        config.train.epochs = 50
    most, quick = len(names), scale == "quick"
    expected = [
        Expected("tables where rows by flow matching are told apart less than the copula's",
                 Better(TOLD, -1.0), 0.0 if quick else 0.6 * most, 0.0, "above", "", OURS,
                 "tables"),
        Expected("tables where rows by flow matching are of more use than the copula's",
                 Better(USE, 1.0), 0.0 if quick else 0.6 * most, 0.0, "above", "", OURS, "tables"),
    ]  # fmt: skip
    reduced = {"full": "", "cpu": "5 of 10 tables, one seed", "quick": "1 of 10 tables, 50 epochs"}
    return Study(
        config, [{"data.name": f"adbench/{name}"} for name in names], expected, reduced[scale],
        seeds=5 if scale == "full" else 1, beside=beside, picture=side_by_side.drawn(TOLD),
    )  # fmt: skip


class Better:
    """On how many tables flow matching has the better metric, the mean over seeds."""

    def __init__(self, metric: str, sign: float):
        self.metric, self.sign = metric, sign

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """That number."""
        ours, theirs = (side_by_side.by_data(trials, m, self.metric) for m in (MATCHED, COPULA))
        return float(sum(self.sign * (ours[name] - theirs[name]) >= 0.0 for name in ours)), None


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """What each method's rows are like, for each trial's table and seed."""
    rows = []
    for trial in trials:
        values, run = trial["values"], load(directory / "trials" / trial["trial"])
        seed = values.get("seed", 0)
        for method, found in compared(run, seed).items():
            label = values["data.name"].removeprefix("adbench/")
            rows.append(side_by_side.row(method, label, seed, found))
    return rows


def compared(run: Trained, seed: int) -> dict[str, dict[str, Metric]]:
    """The metrics of each method's rows beside the ordinary ones of the test set."""
    split, kinds = run.dataset.splits["test"], coded(run.column_kinds)
    test = run.restore(run.examples("test")[np.asarray(split.labels) == 0])
    train = run.restore(np.concatenate([run.examples("train"), run.examples("validation")]))
    made = {
        name: run.restore(run.sample(len(test), seed, draw=True, sampler=sampler))
        for name, sampler in ((VAE, "prior"), (MATCHED, "flow_matching"))
    }
    made |= {name: make(train, kinds, len(test), seed) for name, make in makers().items()}
    return {
        name: tables.scores(tables.Tables(rows, test, train, kinds), seed)
        for name, rows in made.items()
    }

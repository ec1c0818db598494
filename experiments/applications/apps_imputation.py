"""Missing values: how well the hidden cells of ten tables are filled.

Ordinary rows of ADBench's tables (Han et al. 2022), of which 20% and 50% of the cells are hidden,
in training and test alike. A VAE with a likelihood a column, trained by the importance-weighted
bound of what is observed (Mattei & Frellsen 2019, MIWAE), beside the column's mean, the five
nearest rows, and a random forest a column, five times over. Error of the ordinary rows of the test
set, in standard deviations of a column; and of the VAE the share of hidden cells inside the middle
90% of 100 draws.

Full: hidden by chance, by other columns, and by their own values; five seeds. cpu: by chance alone,
one seed, an hour of 2 cores. quick: two tables, 50 epochs, two minutes.

    ./launch.sh prepare adbench --data_dir=DATA
    ./launch.sh reproduce apps_imputation --data_dir=DATA [--scale=cpu]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments import side_by_side
from experiments.baselines.imputers import IMPUTERS
from experiments.protocol import OURS, Expected, Study, Trial, Value
from vae.columns import coded
from vae.configs import adbench
from vae.evaluation import missing_cells
from vae.evaluation.trained import Trained, load
from vae.metrics import Metric
from vae.scores import imputation

TABLES = (
    "Pima", "vowels", "cardio", "fault", "letter", "PageBlocks", "pendigits", "thyroid",
    "Waveform", "Wilt",
)  # fmt: skip
SHARES = (0.2, 0.5)
WAYS = ("mcar", "mar", "mnar")
VAE, FORESTS = "VAE", "iterative forests"
SAMPLES, DRAWS = 1_000, 100
RMSE, COVERAGE = imputation.RMSE.name, imputation.COVERAGE.name


def study(scale: str) -> Study:
    """A run of each table, share and way."""
    config = adbench.get_config()
    config.model.likelihood, config.eval.metrics = "columns", ()
    config.objective.name, config.objective.samples = "iwae", 20
    tables, shares, ways = TABLES, SHARES, WAYS if scale == "full" else WAYS[:1]
    if scale == "quick":
        tables, shares, config.train.epochs = TABLES[:2], SHARES[1:], 50
    grid = [
        {"data.name": f"adbench/{table}", "data.missing": share, "data.missingness": way}
        for table in tables for share in shares for way in ways
    ]  # fmt: skip
    most = len(tables)
    expected = [
        Expected(f"tables of {most} where the VAE's error is at most the forests', {share:.0%} "
                 "missing", Better(share, WAYS[0]), 0.6 * most if scale != "quick" else 0.0, 0.0,
                 "above", "", OURS, "tables")
        for share in shares
    ]  # fmt: skip
    expected += [
        Expected(f"hidden cells inside the middle 90% of draws, mean over tables, {share:.0%} "
                 "missing", Covered(share, WAYS[0]), imputation.INTERVAL, 0.05, "within", "", OURS,
                 "")
        for share in shares
    ]  # fmt: skip
    reduced = {
        "full": "", "cpu": "hidden by chance alone, one seed", "quick": "2 of 10 tables, 50 epochs",
    }[scale]  # fmt: skip
    return Study(
        config, grid, expected, reduced, seeds=5 if scale == "full" else 1,
        beside=beside, picture=side_by_side.drawn(RMSE),
    )  # fmt: skip


def named(table: str, share: float, way: str) -> str:
    """What a data set is called in the tables."""
    return f"{table}, {share:.0%} {way}"


class _OfShare:
    """Something over the tables of one share and way."""

    def __init__(self, share: float, way: str):
        self.ending = named("", share, way)

    def means(self, trials: Sequence[Trial], metric: str, method: str) -> np.ndarray:
        """A metric of a method on each table, in their order, the mean over seeds: [T]."""
        found = side_by_side.by_data(trials, method, metric)
        return np.array([found[name] for name in sorted(found) if name.endswith(self.ending)])


class Better(_OfShare):
    """On how many tables the VAE's error is no larger than that of the forests."""

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """That number."""
        ours, theirs = (self.means(trials, RMSE, method) for method in (VAE, FORESTS))
        return float((ours <= theirs).sum()), None


class Covered(_OfShare):
    """The share of hidden cells inside their intervals."""

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """Its mean over tables, and the standard error of that."""
        each = self.means(trials, COVERAGE, VAE)
        error = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else None
        return float(each.mean()), error


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """The VAE of each trial and the imputers on the same rows, which hold what it saw."""
    rows = []
    for trial in trials:
        values, run = trial["values"], load(directory / "trials" / trial["trial"])
        seed = values.get("seed", 0)
        label = named(
            values["data.name"].removeprefix("adbench/"),
            values["data.missing"], values.get("data.missingness", WAYS[0]),
        )  # fmt: skip
        for method, found in compared(run, seed).items():
            rows.append(side_by_side.row(method, label, seed, found))
    return rows


def compared(run: Trained, seed: int) -> dict[str, dict[str, Metric]]:
    """The metrics of each method, of the ordinary rows of the test set."""
    split = run.dataset.splits["test"]
    ordinary = np.flatnonzero(np.asarray(split.labels) == 0)
    truth, x = split.hidden[ordinary], run.examples("test")[ordinary]
    train = run.restore(np.concatenate([run.examples("train"), run.examples("validation")]))
    own, kinds = run.restore(x), coded(run.column_kinds)
    centre, spread = np.nanmean(train, axis=0), imputation.spread(train)
    filled, drawn = (
        run.restore(missing_cells.filled(run, x, SAMPLES, draws, seed)[0]) for draws in (0, DRAWS)
    )
    found = {VAE: imputation.scores(truth, filled[0], kinds, spread, drawn)}
    for method, fit in IMPUTERS.items():
        fill = fit((train - centre) / spread, seed)
        made = fill((own - centre) / spread) * spread + centre
        found[method] = imputation.scores(truth, made, kinds, spread)
    return found

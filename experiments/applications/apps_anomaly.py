"""Anomaly detection in tables: ADBench's (Han et al. 2022).

The split and scaler are those of Livernoche et al. 2024: the first half of the ordinary rows trains
(a tenth of it validates), the rest and all anomalies test; five seeds. The same split compares a
VAE's scores with the squared length of a row ("no model": what published VAEs amount to),
Mahalanobis distance, PCA, isolation forest and kNN (k = 5). The no-model row confirms the split: on
eight tables the published VAE equals no model to a twentieth of a point. On satellite it is better.

The best score of the VAE is chosen on the tests themselves, by the mean over tables.

Full: all 47 tables. cpu: the 39 that are not large, 40 minutes of 2 cores. quick: six tables, one
seed, 4 minutes.

    ./launch.sh reproduce apps_anomaly --data_dir=DATA [--scale=cpu]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments import side_by_side
from experiments.baselines.detectors import DETECTORS
from experiments.protocol import OURS, READ, Expected, Mean, Study, Trial, Value, pick
from vae import data, runs
from vae.configs import adbench as config_file
from vae.data import adbench
from vae.evaluation import anomaly_scores
from vae.scores import anomaly

SOURCE = "Livernoche et al. 2024, table of AUROC"
PUBLISHED = {  # AUROC in % of the published VAE
    "optdigits": 58.17, "Wilt": 35.41, "vowels": 52.12, "cardio": 96.55, "thyroid": 98.55,
    "pendigits": 94.50, "annthyroid": 85.44, "mnist": 90.21, "satellite": 74.14,
}  # fmt: skip
LEARNT = ("satellite",)  # where the published VAE had learnt something
CLEARLY = ("optdigits", "Wilt", "vowels")
LARGE = ("ALOI", "backdoor", "celeba", "census", "cover", "donors", "fraud", "speech")
SCORES = anomaly_scores.NAMES


def vae_method(score: str) -> str:
    """A score's name as a row of the table."""
    return f"VAE, {score.removeprefix('negative_')}"


def best(trials: Sequence[Trial]) -> str:
    """The method name of the VAE's score whose mean over tables is the highest."""
    names = dict.fromkeys(t["values"].get("method", "") for t in trials)
    mine = [name for name in names if name.startswith("VAE, ")]
    return max(mine, key=lambda method: mean(trials, method))


def mean(trials: Sequence[Trial], method: str) -> float:
    """Mean AUROC over tables."""
    return float(np.mean(list(side_by_side.by_data(trials, method, "auroc").values())))


class Less:
    """Mean AUROC of the best score of the VAE less that of another method; its standard error is
    over tables."""

    def __init__(self, method: str):
        self.method = method

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """The mean difference over tables, and its standard error; None for a single table."""
        ours, other = (
            side_by_side.by_data(trials, method, "auroc") for method in (best(trials), self.method)
        )
        less = np.array([ours[name] - other[name] for name in ours])
        error = float(less.std(ddof=1) / np.sqrt(len(less))) if len(less) > 1 else None
        return float(less.mean()), error


class Table:
    """AUROC of the best score of the VAE on one table, in %."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """That AUROC in percent and its standard error over seeds."""
        value = Mean("auroc", {"method": best(trials), "data": self.name})(trials)
        return 100.0 * value[0], None if value[1] is None else 100.0 * value[1]


def no_model(name: str) -> Expected:
    """The published AUROC of a table without a model, in percent, which ours should be near."""

    def number(trials: Sequence[Trial]) -> Value:
        (row, *_) = pick(trials, {"method": "no model", "data": name})
        return 100.0 * row["metrics"]["auroc"], None

    what = f"AUROC of no model, {name}"
    return Expected(what, number, PUBLISHED[name], 0.05, "within", SOURCE, READ, "%")


def study(scale: str) -> Study:
    """Every table that the scale takes, and the AUROCs expected of the VAE's scores."""
    names = [name.removeprefix("adbench/") for name in adbench.NAMES]
    if scale == "cpu":
        names = [name for name in names if name not in LARGE]
    elif scale == "quick":
        names = list(PUBLISHED)[:6]
    config = config_file.get_config()
    grid = [{"data.name": f"adbench/{name}"} for name in names]
    expected = [no_model(name) for name in PUBLISHED if name in names and name not in LEARNT]
    expected += [
        Expected(f"AUROC of the best VAE score, {name}; the published VAE", Table(name),
                 PUBLISHED[name], 0.0 if name in LEARNT else -5.0, "above", SOURCE, OURS, "%")
        for name in (*CLEARLY, *LEARNT)
        if name in names
    ]  # fmt: skip
    expected += [
        Expected("mean AUROC of the best VAE score less that of no model", Less("no model"), 0.05,
                 0.0, "above", "", OURS, ""),
        Expected("mean AUROC of the best VAE score less that of kNN", Less("kNN"), -0.01, 0.0,
                 "above", "", OURS, ""),
    ]  # fmt: skip
    reduced = {"full": "", "cpu": "39 of 47 tables", "quick": "6 of 47 tables, one seed"}[scale]
    seeds = 1 if scale == "quick" else 5
    return Study(
        config,
        grid,
        expected,
        reduced,
        seeds=seeds,
        launcher="population",
        beside=beside,
        picture=side_by_side.drawn("auroc"),
    )


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """Each score of the VAE, of each seed and of all seeds together; and the other detectors."""
    rows = []
    for name in dict.fromkeys(trial["values"]["data.name"] for trial in trials):
        mine = [trial for trial in trials if trial["values"]["data.name"] == name]
        train, test = vectors(directory / "trials" / mine[0]["trial"])
        center, scale = train.mean(0), train.std(0)
        scale[scale == 0] = 1.0
        train, test = (train - center) / scale, (test - center) / scale
        rows += compared(name.removeprefix("adbench/"), mine, directory, train, test)
    return rows


def vectors(workdir: Path) -> tuple[np.ndarray, np.ndarray]:
    """All examples to learn from and all test examples of a run, as the data set holds them:
    [N, D] each."""
    splits = data.load(runs.read_config(workdir).data).splits
    flat = {k: np.asarray(s.x, np.float64).reshape(len(s), -1) for k, s in splits.items()}
    return np.concatenate([flat["train"], flat["validation"]]), flat["test"]


def compared(
    label: str, trials: Sequence[Trial], directory: Path, train: np.ndarray, test: np.ndarray
) -> list[Trial]:
    """Rows of one data set: the VAE's scores, which its runs have kept, and the detectors'."""
    rows = []
    kept = [anomaly_scores.kept(directory / "trials" / t["trial"]) for t in trials]
    labels = kept[0]["labels"]
    scored = [{s: arrays[s] for s in SCORES} for arrays in kept]
    usual = [{s: arrays[f"validation_{s}"] for s in SCORES} for arrays in kept]
    for trial, found in zip(trials, scored, strict=True):
        seed = trial["values"].get("seed", 0)
        rows += [row(vae_method(s), label, seed, found[s], labels) for s in SCORES]
    if len(trials) > 1:
        together = anomaly.ensemble(scored, usual)
        for score in SCORES:
            rows.append(row(f"{vae_method(score)}, ensemble", label, 0, together[score], labels))
    for method, fit in DETECTORS.items():
        for seed in range(len(trials) if method == "isolation forest" else 1):
            rows.append(row(method, label, seed, fit(train, seed)(test), labels))
    return rows


def row(method: str, table: str, seed: int, score: np.ndarray, labels: np.ndarray) -> Trial:
    """AUROC, AUPR and precision at n of one method, from scores [N] and labels [N]; 1: anomaly."""
    return side_by_side.row(method, table, seed, anomaly.metrics(score, labels))

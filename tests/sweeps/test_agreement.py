"""UDR of the seeds of a sweep: whose codes are compared, and where it is written."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.reports.fake import evaluation
from vae import runs
from vae.reports.tables import format_table
from vae.scores.disentanglement import udr
from vae.sweeps.agreement import across_seeds
from vae.sweeps.results import narrowed

ROWS = np.random.default_rng(0).normal(size=(300, 3))
TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
CODES = {  # of each trial, by (beta, seed)
    (1, 0): ROWS, (1, 1): -ROWS[:, ::-1], (1, 2): ROWS @ TURN, (4, 0): ROWS @ TURN, (16, 0): ROWS,
    (16, 1): ROWS,
}  # fmt: skip
ENDED = {(16, 1): "failed"}


class Directory:
    """A sweep's directory of trials that are evaluated but for those in `ENDED`."""

    def __init__(self, path: Path, groups: tuple[str, ...]):
        self.path, self.trials = path, []
        config = SimpleNamespace(eval=SimpleNamespace(metrics=groups, codes=200))
        for beta, seed in CODES:
            values = {"objective.beta": beta, "seed": seed}
            self.trials.append(SimpleNamespace(name=f"{beta},{seed}", values=values, config=config))
            folder = self.workdir(self.trials[-1])
            folder.mkdir(parents=True)
            runs.write_json(folder / "evaluation.json", evaluation(3))

    def workdir(self, trial):
        return self.path / trial.name

    def state(self, trial):
        return ENDED.get(tuple(trial.values.values()), "done"), ""

    def metrics(self, name):
        return runs.read_json(self.path / name / "evaluation.json")["metrics"]


class Models:
    """What loads them: their codes are planted, and every loading is counted."""

    def __init__(self, directory):
        self.config, self.loaded = directory.trials[0].config, 0

    def __call__(self, workdir):
        self.loaded += 1
        codes = CODES[tuple(map(int, workdir.name.split(",")))]

        def encode(x, context):
            z = codes[x[:, 0]]
            return z, np.full(z.shape, 0.1)

        return SimpleNamespace(
            config=self.config, encode=encode, context=lambda split: None,
            examples=lambda split: np.arange(len(ROWS))[:, None],
        )  # fmt: skip


def test_each_seed_is_told_how_it_agrees_with_the_others(tmp_path):
    directory = Directory(tmp_path, ("disentanglement",))
    models = Models(directory)
    across_seeds(directory, models)
    assert models.loaded == 3  # the seeds of beta = 1: nothing else has two that are done
    rows = np.unique(np.linspace(0, len(ROWS) - 1, 200).astype(int))
    wanted = udr([CODES[1, seed][rows] for seed in range(3)], [np.full((len(rows), 3), 0.1)] * 3)
    for seed in range(3):
        found = directory.metrics(f"1,{seed}")
        for name in ("udr_spearman", "udr_lasso"):
            assert found[name]["value"] == pytest.approx(wanted[f"{name}_{seed}"].value)
            assert found[name]["better"] == "up" and "model" not in found[name]["label"]
        assert found["elbo"] == evaluation(3)["metrics"]["elbo"]
    assert "udr_lasso" not in directory.metrics("4,0")
    assert "udr_lasso" not in directory.metrics("16,0")

    across_seeds(directory, models)
    assert models.loaded == 3  # what is known is not computed again


def test_another_seed_is_compared_with_all(tmp_path, monkeypatch):
    directory = Directory(tmp_path, ("disentanglement",))
    monkeypatch.setitem(ENDED, (1, 2), "pending")
    across_seeds(directory, Models(directory))
    two = directory.metrics("1,0")["udr_lasso"]
    assert two["value"] == pytest.approx(0.9, abs=0.01)  # the same latents, less the penalty
    monkeypatch.delitem(ENDED, (1, 2))
    across_seeds(directory, Models(directory))
    three = directory.metrics("1,0")["udr_lasso"]
    assert three["value"] < two["value"] and "2 other models" in three["unit"]


def test_sweeps_of_other_metrics_are_left_alone(tmp_path):
    directory = Directory(tmp_path, ("aggregate",))
    models = Models(directory)
    across_seeds(directory, models)
    assert models.loaded == 0 and "udr_lasso" not in directory.metrics("1,0")


def test_a_table_wider_than_the_terminal_loses_whole_columns_and_says_so():
    table = format_table([{"beta": "1", "elbo": "-24.1", "nll_iwae_100": "23.7", "seconds": "6"}])
    assert narrowed(table, 0) == narrowed(table, 80) == table
    lines = narrowed(table, 20).splitlines()
    assert lines[0].split() == ["beta", "elbo"] and lines[2].split() == ["1", "-24.1"]
    assert lines[-1] == "2 more columns: see results.csv" and max(map(len, lines[:-1])) <= 20

"""Recommendation: Mult-VAE and Mult-DAE (Liang et al. 2018) on MovieLens, beside strong baselines.

Data: MovieLens-100K, ratings above 3.5 as likes, users with 5 of them at least; 200 users to test
and 100 to validate, in five draws. 80% of a held-out user's likes are shown; the rest is ranked
among all items not shown. Every method's settings, including the cap of the KL's weight, have the
best NDCG@100 on the validation users of the same draw: EASE (Steck 2019), item kNN, weighted matrix
factorisation (Hu et al. 2008), popularity. No published number uses these splits, so none is
compared. A sixth part leaves items out and no users: 20% of everyone's likes.

Full: MovieLens-20M at the paper's settings, a GPU. cpu: MovieLens-100K, five draws, 20 minutes of
2 cores. quick: one draw, two caps, 2 minutes.

    ./launch.sh reproduce apps_recommendation --data_dir=DATA [--scale=cpu]
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from scipy.sparse import csr_matrix

from experiments import side_by_side
from experiments.base_configs import changes
from experiments.baselines import recommenders
from experiments.protocol import OURS, READ, Expected, Mean, Study, Trial, Value
from vae import data
from vae.configs import movielens
from vae.data.likes import hold_back
from vae.evaluation.recommend import score
from vae.evaluation.trained import load
from vae.scores import ranking

SOURCE = "Liang et al. 2018, table 2"
NDCG = "ndcg_100"
Fit = Callable[[csr_matrix], ranking.Score]
BASELINES: dict[str, dict[str, Fit]] = {  # every setting of each, by what it says
    "popularity": {"": recommenders.popularity},
    "item kNN": {
        f"{n:,} neighbours, shrinkage {s:g}": functools.partial(
            recommenders.item_knn, neighbours=n, shrinkage=s
        )
        for n in (20, 50, 100, 200, 1_000_000)
        for s in (0.0, 10.0, 50.0)
    },
    "EASE": {
        f"weight {w:g}": functools.partial(recommenders.ease, weight=w)
        for w in (50.0, 100.0, 200.0, 300.0, 500.0, 1000.0)
    },
    "matrix factorisation": {
        f"{f} factors, weight {w:g}, confidence {c:g}": functools.partial(
            recommenders.factorisation, factors=f, weight=w, confidence=c
        )
        for f in (20, 50, 100)
        for w in (3.0, 10.0, 30.0)
        for c in (3.0, 10.0)
    },
}


def ratio(trials: Sequence[Trial]) -> Value:
    """NDCG@100 of Mult-VAE over that of EASE, the mean over draws."""
    both = [Mean(NDCG, {"method": name})(trials) for name in ("Mult-VAE", "EASE")]
    return both[0][0] / both[1][0], None


def study(scale: str) -> Study:
    """Mult-VAE and Mult-DAE at several settings, and the orders expected against baselines."""
    config = movielens.get_config()
    picture = side_by_side.drawn(NDCG)
    caps = {"full": (0.2,), "cpu": (0.05, 0.1, 0.2, 0.4, 0.8), "quick": (0.1, 0.4)}[scale]
    draws = range({"full": 1, "cpu": 5, "quick": 1}[scale])
    vae = [{"objective.name": "elbo", "objective.beta": cap} for cap in caps]
    plain = changes(movielens.get_config("dae"), config)
    dae = [
        plain | {"optimizer.weight_decay": w}
        for w in ((0.01,) if scale == "full" else (0.003, 0.03, 0.3))
    ]
    points = vae + (dae if scale != "quick" else dae[:1])
    grid = [
        point | {"seed": draw, "data.split": draw, "data.leave_items": leave}
        for draw in draws
        for leave in ((False, True) if scale == "cpu" and draw == 0 else (False,))
        for point in points
    ]
    if scale == "full":
        config.data.name = "movielens_20m"
        config.train.batch_size, config.train.epochs = 500, 200
        config.objective.beta_epochs = 0.2 * 200_000 / (116_677 / 500)  # to the cap at that pace
        config.model.input_dropout = 0.5
        expected = [
            Expected(what, Mean(metric, {"method": name}), value, 0.005, "within", SOURCE, READ, "")
            for name, values in PUBLISHED.items()
            for (metric, what), value in zip(names(name), values, strict=True)
        ]
        return Study(config, grid, expected, beside=beside, picture=picture)

    def above(other: str) -> Expected:
        number = Mean(NDCG, {"method": "Mult-VAE"}, {"method": other})
        what = f"NDCG@100 of Mult-VAE less that of {other}"
        return Expected(what, number, 0.0, 0.0, "above", SOURCE, OURS, "")

    what = "NDCG@100 of Mult-VAE over that of EASE"
    least = 0.9 if scale == "quick" else 0.98
    expected = [
        above("popularity"),
        above("item kNN"),
        Expected(what, ratio, least, 0.0, "above", SOURCE, OURS, ""),
    ]
    reduced = "MovieLens-100K" + (", one draw" if scale == "quick" else ", five draws")
    return Study(
        config, grid, expected, reduced, launcher="population", beside=beside, picture=picture
    )


PUBLISHED = {
    "Mult-VAE": (0.39535, 0.53540, 0.42592),
    "Mult-DAE": (0.38768, 0.52426, 0.41997),
    "EASE": (0.391, 0.521, 0.420),
}


def names(method: str) -> list[tuple[str, str]]:
    """Each metric of the table, with what it is called for this method."""
    return [
        (metric, f"{label} of {method}")
        for metric, label in (
            ("recall_20", "Recall@20"), ("recall_50", "Recall@50"), (NDCG, "NDCG@100"),
        )
    ]  # fmt: skip


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """Every method at its best settings by the validation users, on the test users."""
    rows = []
    for draw, leave in dict.fromkeys((t["values"]["data.split"], t["values"]["data.leave_items"])
                                     for t in trials):  # fmt: skip
        mine = [t for t in trials if t["values"]["data.split"] == draw
                and t["values"]["data.leave_items"] == leave]  # fmt: skip
        runs = [load(directory / "trials" / trial["trial"]) for trial in mine]
        task = Task.of(runs[0].config)
        for method, objective in (("Mult-VAE", "elbo"), ("Mult-DAE", "autoencoder")):
            candidates = [
                (trial["trial"], functools.partial(score, run))
                for trial, run in zip(mine, runs, strict=True)
                if trial["values"]["objective.name"] == objective
            ]
            rows.append(task.row(method, candidates, draw, leave))
        for method, settings in BASELINES.items():
            candidates = ((name, fit(task.train)) for name, fit in settings.items())
            rows.append(task.row(method, candidates, draw, leave))
    return rows


class Task:
    """What is trained on, and the likes shown and held back of validation and test users."""

    def __init__(self, train: csr_matrix, validation: Any, test: Any):
        self.train, self.validation, self.test = train, validation, test

    @classmethod
    def of(cls, config: ConfigDict) -> "Task":
        """Reads the config's data and holds back a part of each user's likes."""
        dataset = data.load(config.data)
        likes = {name: csr_matrix(np.asarray(s.x)) for name, s in dataset.splits.items()}
        if not config.data.leave_items:
            held = {name: hold_back(likes[name]) for name in ("validation", "test")}
            return cls(likes["train"], held["validation"], held["test"])
        # Settings are chosen by one half of the users, and the other half is the test.
        shown, held_back = hold_back(likes["test"], seed=config.data.split)
        half = shown.shape[0] // 2
        return cls(
            likes["train"], (shown[:half], held_back[:half]), (shown[half:], held_back[half:])
        )

    def row(
        self, method: str, candidates: Iterable[tuple[str, ranking.Score]], draw: int, leave: bool
    ) -> Trial:
        """The candidate best by the validation users' NDCG@100, measured on the test users."""
        scored = [
            (ranking.measure(found, *self.validation)[NDCG].mean(), name, found)
            for name, found in candidates
        ]
        best, name, found = max(scored, key=lambda each: each[0])
        metrics = ranking.metrics(ranking.measure(found, *self.test))
        label = f"{method}, items left out" if leave else method
        return {
            "trial": name,
            "values": {"method": label, "seed": draw},
            "metrics": {key: m.value for key, m in metrics.items()} | {"validation": best},
            "stderr": {key: m.stderr for key, m in metrics.items()},
        }

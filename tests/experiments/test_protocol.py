"""Experiments that reproduce papers: what is compared with what, without training anything."""

import dataclasses
import json
import math

import numpy as np
import pytest

from experiments import reproduce, result_tables, side_by_side
from experiments.applications import apps_cells
from experiments.papers.broken_elbo import BETAS, Beaten, Slope, neighbours
from experiments.protocol import OURS, READ, SCALES, Expected, Mean, compare
from vae import automatic
from vae import config as configs
from vae.columns import Column
from vae.data.dataset import Dataset, Split
from vae.errors import UserError
from vae.sweeps.plan import plan
from vae.training import chosen_objective, feature_maps, setup
from vae.training.population import group_key

SPLITS = ("train", "validation", "test")


def trial(values, stderr=None, **metrics):
    return {
        "trial": str(values), "values": values, "metrics": metrics,
        "stderr": {name: stderr for name in metrics if stderr},
    }  # fmt: skip


SEEDS = [
    trial({"objective.beta": beta, "seed": seed}, 9.0, elbo=10 * beta + seed + (beta * seed) ** 2)
    for beta in (1, 2)
    for seed in (0, 1, 2)
]


def test_a_mean_is_over_seeds_with_their_standard_error():
    mean, stderr = Mean("elbo", {"objective.beta": 1})(SEEDS)
    values = np.array([10, 12, 16])
    assert mean == pytest.approx(values.mean())
    assert stderr == pytest.approx(values.std(ddof=1) / math.sqrt(3))


def test_a_difference_is_seed_by_seed():
    mean, stderr = Mean("elbo", {"objective.beta": 2}, {"objective.beta": 1})(SEEDS)
    values = np.array([20 - 10, 25 - 12, 38 - 16])
    assert mean == pytest.approx(values.mean())
    assert stderr == pytest.approx(values.std(ddof=1) / math.sqrt(3))


def test_of_single_trials_the_errors_are_those_over_examples():
    one, two = trial({"a": 1}, 0.3, nll=88.0), trial({"a": 2}, 0.4, nll=86.5)
    assert Mean("nll", {"a": 1})([one, two]) == (88.0, 0.3)
    assert Mean("nll", {"a": 1}, {"a": 2})([one, two]) == pytest.approx((1.5, 0.5))


def test_of_single_trials_on_the_same_examples_the_error_is_of_their_differences(tmp_path):
    values = {"one": np.array([88.0, 120.0, 60.0]), "two": np.array([86.0, 119.0, 57.0])}
    for name, array in values.items():
        np.savez(tmp_path / f"{name}.npz", nll=np.float32(array))
    one, two = (
        trial({"a": name}, 17.0, nll=array.mean()) | {"per_example": tmp_path / f"{name}.npz"}
        for name, array in values.items()
    )
    found = Mean("nll", {"a": "one"}, {"a": "two"})([one, two])
    assert found == pytest.approx((2.0, 1 / math.sqrt(3)))
    # Of other data, a pair is no pair.
    two["values"]["data.split"] = 1
    found = Mean("nll", {"a": "one"}, {"a": "two"})([one, two])
    assert found == pytest.approx((2.0, math.hypot(17, 17)))


def test_what_is_not_there_or_there_twice_is_named():
    for number, reason in (
        (Mean("elbo", {"objective.beta": 3}), "no trial is done with objective.beta=3"),
        (Mean("nll", {"objective.beta": 1}), "no metric nll"),
        (Mean("elbo", {}), "several trials of one seed"),
    ):
        with pytest.raises(UserError, match=reason):
            number(SEEDS)


@pytest.mark.parametrize(
    ("kind", "held", "missed"),
    [("within", (1.5, 2.5), (1.4, 2.6)), ("below", (-9.0, 2.5), (2.6,)), ("above", (1.5,), (1.4,))],
)
def test_a_verdict_is_of_its_kind_and_never_of_nan(kind, held, missed):
    line = Expected("x", lambda trials: (0.0, None), 2.0, 0.5, kind)
    assert all(line.holds(value) for value in held)
    assert not any(line.holds(value) for value in (*missed, float("nan")))


def test_a_comparison_says_everything_that_a_reader_asks():
    line = Expected("x", Mean("elbo", {"objective.beta": 1}), 12.0, 1.0, "within", "a paper", READ)
    (found,) = compare([line], SEEDS)
    assert found["ours"] == pytest.approx(38 / 3) and found["holds"]
    assert (found["expected"], found["source"], found["known"]) == (12.0, "a paper", READ)
    shown = result_tables.comparison(found)
    assert shown["expected"] == "12 ± 1" and shown["holds"] == "yes"


@pytest.mark.parametrize("beta", BETAS)
def test_the_slope_of_a_known_frontier_is_found(beta):
    """D = a exp(-R / c): the tangent is -beta where R = c log(a / (c beta))."""
    a, c = 200.0, 9.0
    trials = [
        trial({"objective.beta": b}, rate=c * math.log(a / (c * b)), distortion=c * b)
        for b in neighbours(beta)
    ]
    assert Slope(beta)(trials)[0] == pytest.approx(1.0, abs=0.02)


def test_a_model_off_the_frontier_is_measured_by_the_one_that_beats_it():
    points = {1.0: (10.0, 50.0), 2.0: (5.0, 57.0), 4.0: (3.0, 70.0)}  # beta: rate, distortion
    trials = [trial({"objective.beta": b}, rate=r, distortion=d) for b, (r, d) in points.items()]
    # At 4: 82 of its own, 77 of the model of 2. At 2: 67 of its own, 70 and 76. At 1: 60, 62, 73.
    assert Beaten()(trials)[0] == pytest.approx(5.0)
    assert Beaten()(trials[:2])[0] == 0.0


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", reproduce.MODULES)
def test_every_experiment_is_a_sweep_that_has_what_is_expected_of_it(name, scale):
    study = reproduce.load(name).study(scale)
    configs.check(study.config)
    planned = plan(study.config, study.grid, study.seeds)
    assert len(planned) == len(study.grid) * study.seeds
    samples = [f"nll_iwae_{k}" for k in study.config.eval.iwae_samples]
    metrics = dict.fromkeys([*samples, *METRICS], 1.0)
    rows = [trial({"seed": 0} | dict(each.values), **metrics) for each in planned]
    full = reproduce.load(name).study("full")
    same = study.config.to_dict() == full.config.to_dict() and study.grid == full.grid
    assert study.expected and bool(study.reduced) != same
    for line in study.expected:
        number = line.number
        assert line.known and (line.source or line.known == OURS)
        if isinstance(number, Mean) and "method" in number.of:
            assert study.beside and number.metric in METRICS
        elif isinstance(number, Mean):
            assert number(rows)[0] == (0.0 if number.minus else 1.0)
    about = reproduce.load(name).__doc__
    assert f"reproduce {name}" in about and "quick:" in about


STAND_INS = {  # kind, levels and shape of each data set, and how many examples train
    "mnist": ("grey", 256, (28, 28, 1), 50_000),
    "fashion_mnist": ("grey", 256, (28, 28, 1), 50_000),
    "cifar10": ("grey", 256, (32, 32, 3), 45_000),
    "digits": ("grey", 17, (8, 8, 1), 1_297),
    "freyfaces": ("grey", 256, (28, 20, 1), 1_565),
    "sprites": ("grey", 256, (64, 64, 1), 10_000),
    "dsprites": ("binary", 2, (64, 64, 1), 10_000),
    "experiments.applications.apps_cells:cells": ("counts", 0, (1000,), 8_000),
    "movielens": ("counts", 0, (1682,), 500),
    "qm9": ("tokens", 30, (24,), 10_000),
    "adbench/": ("real", 0, (21,), 500),
    "breast_cancer": ("real", 0, (30,), 312),
}


def stand_in(config):
    (found,) = [each for name, each in STAND_INS.items() if config.data.name.startswith(name)]
    kind, levels, shape, num = found
    num = min(num, config.data.size or num)
    width = {"": 0, "labels": 10, "scaled": 3}[config.data.context]
    context = np.zeros((num, width), np.float32) if width else None
    dtype = np.float32 if kind == "real" else np.uint8
    value = dtype(kind == "counts")  # a library of none has no logarithm
    split = Split(np.broadcast_to(value, (num, *shape)), context=context)
    whole = Dataset(config.data.name, "1", kind, levels, dict.fromkeys(SPLITS, split))
    if config.model.likelihood == "columns":
        return dataclasses.replace(whole, kind="columns", column_kinds=(Column(),) * shape[0])
    return whole


@pytest.fixture(scope="module")
def traced_once():
    """A model and its objective are traced once, whichever experiments and scales have them; no
    classifier is trained for its features."""
    traced, trace = {}, chosen_objective.terms

    def terms(config, *settings):
        data = [config.data.name.partition("/")[0], config.data.context, config.data.binarization]
        static = {k: v for k, v in config.objective.items() if not isinstance(v, float)}
        key = json.dumps([data, config.model.to_dict(), static])
        if key not in traced:
            traced[key] = trace(config, *settings)
        return traced[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chosen_objective, "terms", terms)
        patch.setattr(feature_maps, "of", lambda config, dataset: lambda images: [images])
        yield


LARGE = ("apps_images", "bits_color")  # deep networks take long to be traced


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in reproduce.MODULES
])  # fmt: skip
def test_every_trial_of_every_experiment_can_be_built(name, traced_once, monkeypatch):
    """On data of the same form: model and objective are traced, nothing is computed."""
    built = set()
    monkeypatch.setattr(apps_cells, "cells", lambda data: {"x": np.ones((10, 1000), np.uint8)})
    for scale in SCALES:
        study = reproduce.load(name).study(scale)
        for trial in plan(study.config, study.grid):
            config = automatic.resolved(trial.config)
            source = config.data.name
            key = group_key(config).replace(source, source.partition("/")[0])
            if key not in built:
                setup.program(config, stand_in(config))
                built.add(key)
    assert built


METRICS = (
    "elbo", "bpd", "rate", "distortion", "active_units", "codes_used", "beta_vae_score", "ndcg_100",
    "recall_20", "recall_50", "validity", "uniqueness", "reconstruction", "best_qed", "accuracy",
    "precision", "coverage", "class_right", "file_bits",
)  # fmt: skip


def test_an_unknown_experiment_or_scale_is_refused():
    with pytest.raises(UserError, match="iwae_tabel1.*iwae_table1"):
        reproduce.reproduce("iwae_tabel1")
    with pytest.raises(UserError, match="scale='fast'"):
        reproduce.reproduce("aevb", "fast")


def test_methods_are_means_over_seeds_with_their_errors():
    def row(method, seed, value, **more):
        values = {"method": method, "seed": seed, **more}
        return {"values": values, "metrics": {"auroc": value}, "stderr": {"auroc": 0.5}}

    rows = [row("kNN", 0, 0.8), row("VAE", 0, 0.6), row("VAE", 1, 0.8)]
    lines = [line.replace(" ", "") for line in side_by_side.table(rows).splitlines()]
    assert lines[0] == "|method|auroc|" and lines[2] == "|kNN|0.80±0.50|"
    assert lines[3] == "|VAE|0.70±0.10|"
    rows += [row("kNN", 0, 0.4, data="b"), row("VAE", 0, 0.2, data="b")]
    for each in rows[:3]:
        each["values"]["data"] = "a"
    lines = [line.replace(" ", "") for line in side_by_side.table(rows).splitlines()]
    assert lines[0] == "|auroc|kNN|VAE|" and lines[2] == "|a|0.80±0.50|0.70±0.10|"
    ticks = side_by_side.dots(rows, "auroc").axes[0].get_yticklabels()
    assert {text.get_text() for text in ticks} == {"kNN", "VAE"}
    assert lines[-1].startswith("|mean|0.6") and lines[-1].endswith("|0.45|")
    lines = [line.replace(" ", "") for line in side_by_side.overview(rows).splitlines()]
    assert lines[0] == "|method|meanauroc|beston|"
    assert lines[2:] == ["|kNN|0.6000|2of2|", "|VAE|0.4500|0of2|"]
    for each in rows:
        each["metrics"] = {"frechet_distance": each["metrics"]["auroc"]}
        each["stderr"] = {}
    lines = side_by_side.overview(rows).replace(" ", "").splitlines()
    assert lines[2:] == ["|kNN|0.6000|0of2|", "|VAE|0.4500|2of2|"]  # the lower the better


def test_a_key_beside_the_method_makes_lines_and_the_methods_columns():
    rows = [
        {"values": {"method": method, "per_class": count, "seed": seed},
         "metrics": {"accuracy": 0.5 + 0.2 * seed + count / 100}, "stderr": {}}
        for method in ("real", "new") for count in (10, 20) for seed in (0, 1)
    ]  # fmt: skip
    lines = [line.replace(" ", "") for line in side_by_side.overview(rows).splitlines()]
    assert lines[0] == "|accuracy,perclass|real|new|"
    assert lines[2:] == ["|10|0.70±0.10|0.70±0.10|", "|20|0.80±0.10|0.80±0.10|"]

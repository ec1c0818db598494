"""Runs of a table with holes: stopped and resumed, as a population, over several devices, and their
report, each beside the run alone on one device."""

import numpy as np
import pytest

from tests.helpers import last_state, small_config
from tests.training.test_population import close
from vae.evaluation.evaluate import evaluate_run
from vae.evaluation.trained import load
from vae.reports.page import report_run
from vae.training.population import Group

ROWS = 100


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("table") / "t.csv", np.random.default_rng(0)
    rows = [[f"{rng.normal():.3f}", ("Oslo", "Bern", "Rome")[n % 3], str(rng.poisson(4) * 2),
             f"{np.exp(2 * rng.normal()):.4f}"] for n in range(ROWS)]  # fmt: skip
    holed = [[cell * (rng.random() > 0.2) for cell in row] for row in rows]
    path.write_text("\n".join(["size,town,visits,income", *map(",".join, holed)]) + "\n")
    return path


def config_of(table, **changes):
    """Steps of SGD, which differ by no more than sums in another order."""
    settings = {
        "data__name": "files", "data__path": str(table), "data__kind": "columns",
        "data__binarization": "none", "data__standardize": True, "model__likelihood": "columns",
        "model__hidden": (8,), "train__epochs": 4, "eval__elbo_samples": 2,
        "eval__checkpoint": "last", "optimizer__name": "sgd", "optimizer__learning_rate": 1e-3,
    }  # fmt: skip
    return small_config(**settings | changes)


def trained(folder, *configs, until=None):
    """Trains configs as one program, in directories 0, 1, ...; these."""
    group = Group(list(configs))
    paths = [folder / str(number) for number in range(len(configs))]
    trials = group.train(list(zip(configs, paths, strict=True)), until=until)
    assert not any(trial.failure for trial in trials)
    return paths


@pytest.fixture(scope="module")
def alone(table, tmp_path_factory):
    (path,) = trained(tmp_path_factory.mktemp("alone"), config_of(table))
    return path


def test_a_stopped_run_goes_on_to_the_same_bits(table, alone, tmp_path):
    for until in (1, None):
        (path,) = trained(tmp_path, config_of(table), until=until)
    states = last_state(path), last_state(alone)
    assert set(states[0]) == set(states[1])
    for name, array in states[1].items():
        np.testing.assert_array_equal(states[0][name], array, err_msg=name)
        assert np.isfinite(array).all(), name


def test_a_sweep_over_beta_is_one_program_and_each_the_run_alone(table, alone, tmp_path):
    configs = [config_of(table), config_of(table, objective__beta=4.0)]
    paths = trained(tmp_path, *configs)
    close(last_state(paths[0]), last_state(alone))
    (other,) = trained(tmp_path / "other", configs[1])
    close(last_state(paths[1]), last_state(other))
    kernel = next(name for name in last_state(alone) if "posterior" in name and "kernel" in name)
    assert np.any(last_state(paths[1])[kernel] != last_state(alone)[kernel])


@pytest.mark.parametrize("parallel", ["pmap", "shard"])
def test_four_devices_train_as_one_does(table, alone, tmp_path, parallel):
    (path,) = trained(tmp_path, config_of(table, train__parallel=parallel))
    close(last_state(path), last_state(alone))


def test_the_page_tells_columns_in_their_own_units(alone):
    run = load(alone)
    metrics = evaluate_run(run)["metrics"]
    assert all(np.isfinite(metric["value"]) for metric in metrics.values())
    text = report_run(run, run.workdir).read_text()
    for words in ("1 categorical columns, 0.2 of cells missing", "% of levels wrong", "visits"):
        assert words in text

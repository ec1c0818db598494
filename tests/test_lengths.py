"""A run that goes on for longer than it was begun for."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae
from tests.helpers import last_state, small_config
from tests.reports.fake import evaluation
from vae import lengths, runs
from vae.__main__ import main
from vae.errors import UserError
from vae.sweeps import plan
from vae.sweeps.directory import SweepDirectory
from vae.training import schedules

EPOCHS = 2


def config_of(epochs, **changes):
    return small_config(train__epochs=epochs, **{"optimizer__schedule": "constant", **changes})


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run of EPOCHS epochs, evaluated."""
    workdir = tmp_path_factory.mktemp("lengths") / "short"
    vae.train(config_of(EPOCHS), str(workdir))
    runs.write_json(workdir / "evaluation.json", evaluation(3))
    return workdir


@pytest.fixture
def copy(short, tmp_path):
    shutil.copytree(short, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("name", schedules.LEARNING_RATE)
def test_a_schedule_is_tied_to_the_length_exactly_where_more_epochs_change_it(name):
    """Everything scheduled of the first 2 epochs of runs of 2 and of 4, 10 steps each."""
    keys = (
        "beta", "beta_epochs", "capacity", "capacity_epochs", "learning_rate", "warmup_epochs",
        "adversarial", "critic_start",
    )  # fmt: skip
    hyper = {key: jnp.float32(1.0) for key in keys}
    at_step = jax.jit(schedules.at_step, static_argnums=(2, 3, 4, 5))
    two, four = (at_step(hyper, jnp.arange(20), 10, epochs, "linear", name) for epochs in (2, 4))
    changed = [key for key in keys if not np.array_equal(two[key], four[key])]
    assert changed == ["learning_rate"] * bool(
        lengths.tied_to_length(config_of(EPOCHS, optimizer__schedule=name))
    )


@pytest.mark.parametrize(
    ("changes", "tied"),
    [
        ({}, False),
        ({"train__patience": 3}, False),
        ({"train__patience": 3, "train__eval_epochs": 1.5}, True),
        ({"train__patience": 3, "train__eval_epochs": 0.1}, False),
        ({"train__patience": 0, "train__eval_epochs": 1.5}, False),
        ({"objective__beta_schedule": "cyclical", "objective__beta_epochs": 1.0}, False),
        ({"objective__capacity_epochs": 2.0, "optimizer__warmup_epochs": 1.0}, False),
        ({"optimizer__schedule": "cosine"}, True),
    ],
)
def test_what_is_tied_to_the_length_is_decided_by_the_user(changes, tied):
    two, four = config_of(2, **changes), config_of(4, **changes)
    if not tied:
        assert lengths.goes_on("x holds a run", four, two) == "train.epochs: 2 -> 4"
        return
    with pytest.raises(UserError, match="--extend") as caught:
        lengths.goes_on("x holds a run", four, two)
    assert "of 2 epochs" in str(caught.value) and len(str(caught.value).splitlines()) == 2
    assert lengths.goes_on("x holds a run", four, two, extend=True).startswith("train.epochs: 2 -")


@pytest.mark.parametrize("extend", [False, True])
def test_only_the_length_may_grow(extend):
    two, four = config_of(2), config_of(4)
    assert lengths.goes_on("x holds a run", two, two, extend) == ""
    four.eval.iwae_samples = (3,)
    assert lengths.goes_on("x holds a run", four, two, extend) == "train.epochs: 2 -> 4"
    with pytest.raises(UserError, match=r"train.epochs: 4 -> 2\na run can go on for longer, not"):
        lengths.goes_on("x holds a run", two, four, extend)
    four.objective.beta = 2.0
    with pytest.raises(UserError, match=r"another config: objective.beta: 1.0 -> 2.0\n"):
        lengths.goes_on("x holds a run", four, two, extend)


def test_two_epochs_and_two_more_are_four_bit_for_bit(copy, tmp_path):
    vae.train(config_of(4), str(copy))
    vae.train(config_of(4), str(tmp_path / "whole"))
    longer, whole = last_state(copy), last_state(tmp_path / "whole")
    assert set(longer) == set(whole) and int(whole["step"]) == 4 * -(-1257 // 40)
    for name, value in whole.items():
        np.testing.assert_array_equal(longer[name], value, err_msg=name)
    assert runs.read_config(copy).train.epochs == 4
    lines = [line["step"] for line in runs.read_metrics(copy)]
    assert lines == [line["step"] for line in runs.read_metrics(tmp_path / "whole")]
    told = json.loads((copy / "environment.json").read_text())
    assert told["extended"] == ["train.epochs: 2 -> 4"]
    assert not (copy / "evaluation.json").exists()  # it told of the shorter run
    assert (copy / "evaluation_2_epochs.json").exists()
    vae.train(config_of(4), str(copy))  # which is finished, and keeps the note
    assert json.loads((copy / "environment.json").read_text())["extended"] == told["extended"]


def test_a_run_that_cannot_go_on_is_left_as_it_is(copy, capsys):
    """Through the command line: fewer epochs, and a schedule that --extend has to decide."""
    kept = (p for p in copy.rglob("*") if p.is_file() and p.name != "lock")
    before = {p: p.stat().st_mtime_ns for p in kept}
    given = ["train", f"--config={copy}", f"--workdir={copy}"]
    for flags, words in (
        (["--config.train.epochs=1"], "train.epochs: 2 -> 1"),
        (["--config.train.epochs=1", "--extend"], "train.epochs: 2 -> 1"),
        (["--config.train.epochs=4", "--config.seed=1"], "seed: 0 -> 1"),
    ):
        assert main([*given, *flags]) == 2
        assert words in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.slow
def test_extend_goes_on_where_the_schedule_depends_on_the_length(copy, capsys):
    told = runs.read_config(copy).unlock()
    told.optimizer.schedule = "cosine"
    (copy / "config.json").write_text(json.dumps(told.to_dict()))
    given = ["train", f"--config={copy}", f"--workdir={copy}", "--config.train.epochs=3"]
    assert main(given) == 2
    assert "optimizer.schedule=cosine depends on the length" in capsys.readouterr().err
    assert main([*given, "--extend"]) == 0
    [line] = json.loads((copy / "environment.json").read_text())["extended"]
    assert line.startswith("train.epochs: 2 -> 3, where optimizer.schedule=cosine")
    assert runs.read_metrics(copy)[-1]["epoch"] == 3.0


def test_a_note_is_written_once_however_often_a_launch_is_cut_short(copy, monkeypatch):
    for cut_short in (True, False):
        with monkeypatch.context() as patch:
            if cut_short:  # the note is there, the config not yet
                patch.setattr(runs.configs, "to_json", lambda config: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    runs.claim(copy, config_of(4))
            else:
                runs.claim(copy, config_of(4))
    runs.claim(copy, config_of(6))
    runs.claim(copy, config_of(6))
    told = json.loads((copy / "environment.json").read_text())["extended"]
    assert told == ["train.epochs: 2 -> 4", "train.epochs: 4 -> 6"]
    (copy / "environment.json").write_text("{")  # damaged: the next launch writes it anew
    runs.claim(copy, config_of(8))
    runs.write_environment(copy, runs.read_config(copy))
    told = json.loads((copy / "environment.json").read_text())
    assert told["extended"] == ["train.epochs: 6 -> 8"] and told["python"]


def sweep_directory(path, epochs, metric="", extend=False, **changes):
    config = config_of(epochs, **changes)
    path.mkdir(exist_ok=True)
    directory = SweepDirectory(path, config, "processes", metric, extend)
    directory.plan(plan.plan(config, [{"objective.beta": 1.0}, {"objective.beta": 2.0}]))
    return directory


def states(directory):
    return [directory.state(trial)[0] for trial in directory.trials]


def test_the_trials_of_a_sweep_go_on_for_longer_by_the_same_rule(tmp_path):
    first = sweep_directory(tmp_path, 2)
    for trial in first.trials:
        workdir = first.claim(trial)
        runs.write_json(workdir / "evaluation.json", evaluation(3))
        (workdir / "report.html").write_text("")
    first.write()
    assert states(first) == ["done", "done"]
    longer = sweep_directory(tmp_path, 4)
    assert states(longer) == ["pending", "pending"]
    longer.take(longer.pending())
    assert states(longer) == ["pending", "pending"]  # also where it is cut short right here
    assert [runs.read_config(longer.workdir(t)).train.epochs for t in longer.trials] == [4, 4]
    with pytest.raises(UserError, match="train.epochs: 2 -> 1"):
        sweep_directory(tmp_path, 1)


def test_a_sweep_of_a_schedule_that_depends_on_the_length_asks_and_a_search_is_refused(tmp_path):
    cosine = {"optimizer__schedule": "cosine"}
    sweep_directory(tmp_path / "grid", 2, **cosine).write()
    with pytest.raises(UserError, match="--extend"):
        sweep_directory(tmp_path / "grid", 4, **cosine)
    assert sweep_directory(tmp_path / "grid", 4, extend=True, **cosine).trials
    sweep_directory(tmp_path / "search", 2, "elbo").write()
    with pytest.raises(UserError, match="a search compares trials of one length"):
        sweep_directory(tmp_path / "search", 4, "elbo")

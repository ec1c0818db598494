"""A run and its data: read again from any directory, moved, changed, or gone."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import vae
from tests.helpers import small_config
from vae import data, paths, runs
from vae.checkpoint import Checkpoints
from vae.errors import UserError
from vae.evaluation.detect import detect
from vae.reports.page import report
from vae.training import setup, state
from vae.training.trial import describe_data

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(size=(2, 200, 6))


def write_finished(config, workdir):
    """What training of a config leaves, but for its weights: these are zeros."""
    config = paths.located(config)
    dataset = data.load(config.data)
    program, hyper = setup.program(config, dataset), setup.hyperparameters(config)
    shapes = jax.eval_shape(lambda: state.create(program, hyper, dataset.shape))
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    step = program.steps_per_epoch * program.epochs
    workdir.mkdir()
    runs.claim(workdir, config, contents=dataset.contents)
    runs.write_json(workdir / "data.json", describe_data(config, dataset))
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(step, zeros.replace(step=np.int32(step)), 0.0)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with data/x.npy, from where a run beside it was trained by a relative path."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    np.save("x.npy", FIRST)
    config = small_config(
        data__name="files", data__path="x.npy", data__binarization="none", model__hidden=(),
        model__likelihood="gaussian_learned",
    )  # fmt: skip
    write_finished(config, tmp_path / "run")
    return tmp_path, config


def first_column(run):
    values = [run.examples(split)[:, 0] for split in ("train", "validation", "test")]
    return np.sort(np.concatenate(values))


def test_the_same_data_are_read_from_any_directory(project, monkeypatch):
    """Where another file has the name that was typed, too."""
    folder, _ = project
    np.save(folder / "x.npy", SECOND)
    monkeypatch.chdir(folder)
    kept = json.loads(Path("run/config.json").read_text())["data"]
    assert kept["path"] == str(folder / "data" / "x.npy")
    expected = np.sort(FIRST[:, 0].astype(np.float32))
    np.testing.assert_array_equal(first_column(vae.load("run")), expected)


def test_changed_data_are_refused_by_every_verb(project):
    folder, config = project
    np.save("new.npy", SECOND)
    np.save("x.npy", SECOND)
    before = [(folder / "run" / name).read_text() for name in ("config.json", "data.json")]
    for verb in (
        lambda: vae.train(config, "../run"),
        lambda: vae.evaluate("../run"),
        lambda: report("../run"),
        lambda: detect(["../run"], "new.npy", "scores.csv"),
    ):
        with pytest.raises(UserError, match="x.npy does not hold what .*contents differ") as said:
            verb()
        assert len(str(said.value).splitlines()) == 2
    after = [(folder / "run" / name).read_text() for name in ("config.json", "data.json")]
    assert after == before and not Path("scores.csv").exists()
    np.save("x.npy", FIRST)
    assert len(vae.load("../run").dataset.splits["test"]) == 20


def test_data_that_moved_are_found_again(project, capsys):
    folder, config = project
    (folder / "elsewhere").mkdir()
    Path("x.npy").rename("../elsewhere/y.npy")
    with pytest.raises(UserError, match="is not there\nwhere it has moved, .*--config.data.path"):
        vae.load("../run").examples("test")
    config.data.path = "../elsewhere/y.npy"
    vae.train(config, "../run")
    assert "already finished" in capsys.readouterr().out
    expected = np.sort(FIRST[:, 0].astype(np.float32))
    np.testing.assert_array_equal(first_column(vae.load("../run")), expected)


def test_an_older_run_goes_on_without_a_checksum(project):
    folder, config = project
    path = folder / "run" / "data.json"
    described = json.loads(path.read_text())
    assert described.pop("contents")
    path.write_text(json.dumps(described))
    np.save("x.npy", SECOND)
    assert vae.load("../run").dataset.contents
    vae.train(config, "../run")
    assert json.loads(path.read_text())["contents"]  # from now on it has one

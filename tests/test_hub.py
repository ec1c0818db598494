"""Pushed and pulled runs, by a hub that is a folder and by folders themselves."""

import json
import os
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

import vae
from tests.helpers import small_config
from vae import hub
from vae.__main__ import main
from vae.errors import RunError, UserError


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """An evaluated run of a data set by name."""
    workdir = tmp_path_factory.mktemp("hub") / "run"
    vae.train(small_config(train__epochs=2, train__ema=0.5), str(workdir))
    vae.evaluate(str(workdir))
    return workdir


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run that keeps its own data."""
    x = np.random.default_rng(0).normal(size=(120, 3))
    workdir = tmp_path_factory.mktemp("fitted") / "run"
    vae.fit(x, workdir=workdir, latent_size=2, hidden=(4,), epochs=1)
    return workdir


@pytest.fixture
def far(tmp_path, monkeypatch):
    """The hub's functions, on a folder in place of the hub."""
    library = pytest.importorskip("huggingface_hub")
    folder = tmp_path / "far"

    def upload(self, *, repo_id, folder_path, commit_message, delete_patterns):
        place = folder / repo_id
        for path in [p for p in place.rglob("*") if p.is_file()]:
            if any(fnmatch(str(path.relative_to(place)), each) for each in delete_patterns):
                path.unlink()
        shutil.copytree(folder_path, place, dirs_exist_ok=True)

    def create(self, repo_id, *, private, exist_ok):
        (folder / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        (folder / "private").write_text(str(private))

    def download(repo_id, *, allow_patterns, local_dir=None):
        place, target = folder / repo_id, Path(local_dir or tmp_path / "cache" / repo_id)
        for path in [p for p in place.rglob("*") if p.is_file()]:
            name = path.relative_to(place)
            if any(fnmatch(str(name), each) for each in allow_patterns):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target / name)
        return str(target)

    monkeypatch.setattr(library.HfApi, "upload_folder", upload)
    monkeypatch.setattr(library.HfApi, "create_repo", create)
    monkeypatch.setattr(library, "snapshot_download", download)
    return folder


def files(folder):
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != "checkpoints"}


PUSHED = {"config.json", "data.json", "environment.json", "metrics.jsonl", "README.md"}


def test_a_pulled_run_evaluates_to_the_same_numbers(digits, far, tmp_path, capsys):
    assert main(["push", f"--workdir={digits}", "--to=ann/digits"]) == 0
    assert capsys.readouterr().out.strip() == "https://huggingface.co/ann/digits"
    assert files(far / "ann" / "digits") == PUSHED | {"evaluation.json"}
    assert (far / "private").read_text() == "True"
    there = tmp_path / "there"
    assert main(["pull", "ann/digits", f"--workdir={there}"]) == 0
    assert capsys.readouterr().out.strip() == str(there)
    before = json.loads((digits / "evaluation.json").read_text())
    assert json.loads((there / "evaluation.json").read_text()) == before
    (there / "evaluation.json").unlink()
    after = vae.evaluate(str(there))
    assert after["metrics"] == before["metrics"] and after["step"] == before["step"]


def test_the_same_run_is_loaded_from_the_hub(digits, far):
    hub.push(digits, "hub:ann/digits")
    one, other = vae.load(digits), vae.load("hub:ann/digits")
    x = one.examples("test", 5)
    np.testing.assert_array_equal(one.elbo(x), other.elbo(x))
    assert other.step == one.step


def test_what_is_pushed_names_no_folder_of_the_machine(digits, far):
    hub.push(digits, "ann/digits")
    config = json.loads((far / "ann/digits/config.json").read_text())
    assert config["data"]["dir"] == "" == config["data"]["path"]


def test_only_weights_are_pushed_and_training_on_says_so(digits, tmp_path, capsys):
    assert main(["push", f"--workdir={digits}", f"--to={tmp_path}/pushed"]) == 0

    def size(folder):
        return sum(p.stat().st_size for p in (folder / "checkpoints").rglob("*") if p.is_file())

    steps = len(list((digits / "checkpoints").iterdir()))
    assert size(tmp_path / "pushed") < 0.5 * size(digits) / steps  # of 4: Adam's moments, ema
    assert main(["train", f"--workdir={tmp_path}/pushed", "--epochs=+1", "--extend"]) == 1
    error = capsys.readouterr().err
    assert "weights alone" in error and "--init_from" in error


def test_the_card_says_what_the_run_is(digits, tmp_path):
    hub.push(digits, tmp_path / "mine", licence="apache-2.0")
    card = (tmp_path / "mine" / "README.md").read_text()
    head, body = card.split("---\n")[1:3]
    assert "license: apache-2.0\n" in head and "library_name: vae\n" in head
    found = json.loads((digits / "evaluation.json").read_text())["metrics"]["elbo"]
    (row,) = (line for line in body.splitlines() if line.startswith("| elbo "))
    assert f"{found['value']:.2f} ±" in row and found["unit"] in row
    environment = json.loads((digits / "environment.json").read_text())
    assert environment["command"] in body and environment["git_revision"] in body
    assert 'vae.load("mine")' in body and '"latent_size": 3' in body and "digits" in body
    hub.push(digits, tmp_path / "plain")
    assert "license" not in (tmp_path / "plain" / "README.md").read_text()


def test_own_data_stay_unless_they_are_asked_for(fitted, far, tmp_path):
    assert (fitted / "data.npz").exists()
    hub.push(fitted, "ann/own")
    assert files(far / "ann" / "own") == PUSHED
    assert str(fitted.parent) not in (far / "ann/own/config.json").read_text()
    hub.pull("ann/own", tmp_path / "without")
    with pytest.raises(UserError, match="data.npz.* is not there"):
        vae.load(tmp_path / "without").examples("test")
    expected = vae.load(fitted).examples("test")
    hub.pull("ann/own", tmp_path / "named", data=fitted / "data.npz")
    np.testing.assert_array_equal(vae.load(tmp_path / "named").examples("test"), expected)

    hub.push(fitted, "ann/own", with_data=True)
    assert files(far / "ann" / "own") == PUSHED | {"data.npz"}
    hub.pull("ann/own", tmp_path / "with")
    np.testing.assert_array_equal(vae.load(tmp_path / "with").examples("test"), expected)
    with pytest.raises(UserError, match="came along, as data.npz"):
        hub.pull("ann/own", tmp_path / "both", data=fitted / "data.npz")

    hub.push(fitted, "ann/own")  # as they were asked for once and are no longer
    assert files(far / "ann" / "own") == PUSHED


def test_other_data_than_the_run_s_are_refused(fitted, tmp_path):
    hub.push(fitted, tmp_path / "pushed")
    np.savez(tmp_path / "other.npz", x=np.zeros((120, 3)) + np.arange(120)[:, None])
    with pytest.raises(UserError, match="contents differ"):
        hub.pull(tmp_path / "pushed", tmp_path / "pulled", data=tmp_path / "other.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.npz", "pushed"]


def test_an_interrupted_pull_leaves_nothing(digits, far, tmp_path, monkeypatch):
    library = sys.modules["huggingface_hub"]
    hub.push(digits, "ann/digits")
    whole = library.snapshot_download

    def interrupted(repo_id, **options):
        whole(repo_id, **options)
        raise KeyboardInterrupt

    def cut(repo_id, **options):
        whole(repo_id, **options)
        (damaged,) = Path(options["local_dir"]).glob("checkpoints/*/_CHECKPOINT_METADATA")
        damaged.write_text("{")
        return options["local_dir"]

    for broken, error in ((interrupted, KeyboardInterrupt), (cut, RunError)):
        monkeypatch.setattr(library, "snapshot_download", broken)
        with pytest.raises(error):
            hub.pull("ann/digits", tmp_path / "to" / "there")
        assert list((tmp_path / "to").iterdir()) == []
    (tmp_path / "to" / f".{2**22 + 1}.there").mkdir()  # of a process that was killed
    monkeypatch.setattr(library, "snapshot_download", whole)
    hub.pull("ann/digits", tmp_path / "to" / "there")
    assert [p.name for p in (tmp_path / "to").iterdir()] == ["there"]


def refused(capsys, *arguments):
    """The one or two lines that a command is refused with."""
    assert main([*arguments]) != 0
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and len(error.splitlines()) <= 2
    return error


def test_what_cannot_be_pushed_or_pulled_is_refused(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits, "run")
    lines = (digits / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "metrics.jsonl").write_text(lines[0])
    assert "no finished run (it is stopped)" in refused(capsys, "push", "--workdir=run", "--to=./a")
    assert "not a run directory" in refused(capsys, "push", "--workdir=no", "--to=./a")
    done = f"--workdir={digits}"
    assert "holds something" in refused(capsys, "push", done, "--to=run")
    assert "write hub:run/a or ./run/a" in refused(capsys, "push", done, "--to=run/a")
    assert "give hub:USER/NAME" in refused(capsys, "push", done, "--to=hub:a/b/c")
    assert "apache-2.0" in refused(capsys, "push", done, "--to=./a", "--licence=a: b")
    assert "keeps no data" in refused(capsys, "push", done, "--to=./a", "--with_data")
    assert "neither USER/NAME" in refused(capsys, "pull", "nothing", "--workdir=there")
    Path("empty").mkdir()
    assert "holds no pushed run" in refused(capsys, "pull", "empty", "--workdir=there")
    assert "holds something" in refused(capsys, "pull", "empty", "--workdir=run")
    assert sorted(os.listdir()) == ["empty", "run"]


def test_a_missing_extra_is_named(digits, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for command in (["push", f"--workdir={digits}", "--to=a/b"], ["pull", "a/b", "--workdir=no"]):
        assert "pip install 'vae[hub]'" in refused(capsys, *command)
    with pytest.raises(UserError, match="vae\\[hub\\]"):
        vae.load("hub:a/b")


def test_a_hub_that_cannot_be_reached_is_one_line(digits, tmp_path, monkeypatch, capsys):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for command in (
        ["push", f"--workdir={digits}", "--to=a/b"],
        ["pull", "a/b", f"--workdir={tmp_path}/x"],
    ):
        error = refused(capsys, *command)
        assert "cannot reach the hub for a/b" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_a_run_that_is_moved_takes_its_data_along(fitted, tmp_path):
    shutil.copytree(fitted, tmp_path / "first")
    expected = vae.load(tmp_path / "first").examples("test")
    (tmp_path / "first").rename(tmp_path / "second")
    np.testing.assert_array_equal(vae.load(tmp_path / "second").examples("test"), expected)

"""Checksums of data, and paths that hold from any directory."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from tests.reports.fake import evaluation
from vae import config as configs
from vae import paths, runs
from vae.configs import base
from vae.data import load
from vae.errors import UserError
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.grid import sweep
from vae.sweeps.plan import plan

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 6, 5)).astype(np.uint8)


def _config(path="", **keys):
    config = base.get_config()
    config.data.name, config.data.path, config.data.binarization = "files", str(path), "none"
    for key, value in keys.items():
        config.data[key] = value
    return config


def _picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def test_a_file_counts_byte_by_byte_and_not_by_its_place(config, tmp_path):
    (tmp_path / "other").mkdir()
    path, other = tmp_path / "x.npy", tmp_path / "other" / "y.npy"
    np.save(path, GREY)
    other.write_bytes(path.read_bytes())
    keys = dict(name="files", image_size=0)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    for where in (path, other):
        data = load(config(path=str(where), **keys))
        assert data.contents == expected
        assert load(config(path=str(where), size=20, split=1, **keys)).contents == expected
    changed = GREY.copy()
    changed[-1, -1, -1] ^= 1
    np.save(other, changed)
    assert load(config(path=str(other), **keys)).contents != expected


def test_a_folder_counts_by_its_pictures_and_their_names(config, tmp_path):
    for index, array in enumerate(GREY):
        for folder in ("one", "two"):
            _picture(tmp_path / folder / "sub" / f"{index}.png", array)
    one, two = (config(name="files", path=str(tmp_path / folder)) for folder in ("one", "two"))
    os.utime(tmp_path / "two" / "sub" / "0.png", (0, 0))
    (tmp_path / "two" / "Thumbs.db").write_bytes(b"no picture")
    known = load(one).contents
    assert known == load(two).contents
    (tmp_path / "two" / "sub" / "7.png").rename(tmp_path / "two" / "sub" / "77.png")
    renamed = load(two).contents
    (tmp_path / "two" / "sub" / "77.png").rename(tmp_path / "two" / "sub" / "7.png")
    assert load(two).contents == known != renamed
    _picture(tmp_path / "two" / "sub" / "7.png", GREY[7] ^ 1)
    assert load(two).contents not in (known, renamed)


def test_prepared_arrays_count_by_what_they_hold(config, tmp_path, small_row):
    """However they are compressed; one that the code renders is the code's alone."""
    small_row("freyfaces", sizes={"train": 40}, validation=4, test=4)
    x = RNG.integers(0, 256, (40, 28, 20, 1)).astype(np.uint8)
    where = tmp_path / "freyfaces" / "1.0" / "arrays.npz"
    where.parent.mkdir(parents=True)
    keys = dict(name="freyfaces", dir=str(tmp_path))
    found = {}
    for name, save, array in (
        ("plain", np.savez, x),
        ("compressed", np.savez_compressed, x),
        ("changed", np.savez, np.where(np.arange(40)[:, None, None, None] == 39, x ^ 1, x)),
        ("shorter", np.savez, x[:38]),
    ):
        save(where, x=array)
        found[name] = load(config(**keys)).contents
    assert found["plain"] == found["compressed"]
    assert len(set(found.values())) == 3
    assert load(config(name="sprites", size=100)).contents == ""
    digits = load(config(name="digits")).contents
    assert len(digits) == 64 and load(config(name="digits", size=99)).contents == digits


def test_paths_hold_from_any_directory(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    config = paths.located(_config("x.npy", dir="data"))
    assert (config.data.path, config.data.dir) == (f"{tmp_path}/x.npy", f"{tmp_path}/data")
    assert paths.located(_config("~/x.npy")).data.path == f"{tmp_path}/home/x.npy"
    assert paths.located(_config("")).data.path == paths.located(_config("")).data.dir == ""
    assert str(paths.data_dir("")) == f"{tmp_path}/home/tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "sets")
    assert paths.located(_config()).data.dir == str(paths.data_dir("")) == f"{tmp_path}/sets"
    name = configs.run_name(config)
    monkeypatch.chdir(tmp_path / "sub")
    for same in (config, _config("../x.npy"), _config("../sub/./../x.npy", dir="elsewhere")):
        assert configs.run_name(paths.located(same)) == name
    assert configs.run_name(paths.located(_config("x.npy"))) != name  # another file of that name


def test_trials_are_named_by_what_was_typed_and_keep_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trials = plan(_config("a.npy", dir="sets"), sweep("data.path", ["b.npy", "c.npy"]))
    assert [trial.name for trial in trials] == ["path=b.npy", "path=c.npy"]
    assert [trial.config.data.path for trial in trials] == [
        f"{tmp_path}/b.npy", f"{tmp_path}/c.npy"
    ]  # fmt: skip
    assert {trial.config.data.dir for trial in trials} == {f"{tmp_path}/sets"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The directory of a run that was trained on x.npy of `tmp_path`, with contents "one"."""
    monkeypatch.chdir(tmp_path)
    workdir = tmp_path / "run"
    workdir.mkdir()
    runs.claim(workdir, paths.located(_config("x.npy")), contents="one")
    runs.write_json(workdir / "data.json", {"contents": "one"})
    return workdir


def test_other_contents_are_refused_wherever_they_are(run):
    kept = (run / "config.json").read_text()
    for path in ("x.npy", "moved/x.npy"):
        with pytest.raises(UserError, match=f"{path} does not hold what .*contents differ") as said:
            runs.claim(run, paths.located(_config(path)), contents="two")
        assert len(str(said.value).splitlines()) == 2
    other = paths.located(_config("x.npy", image_size=9))
    with pytest.raises(UserError, match="another config: data.image_size: 0 -> 9"):
        runs.claim(run, other, contents="one")
    assert (run / "config.json").read_text() == kept


def test_data_may_move(run, tmp_path):
    for contents in ("one", ""):  # "": a launcher, whose trial reads them
        moved = paths.located(_config(f"moved{contents}/x.npy"))
        runs.claim(run, moved, contents=contents)
        assert runs.read_config(run).data.path == f"{tmp_path}/moved{contents}/x.npy"


def test_a_run_older_than_checksums_goes_on_with_none(run, tmp_path, monkeypatch):
    """Its path, which may be relative, is read against where the command stands."""
    runs.write_json(run / "data.json", {"shape": [2]})
    (run / "config.json").write_text(configs.to_json(_config("x.npy")))
    assert runs.read_config(run).data.path == f"{tmp_path}/x.npy"
    with pytest.raises(UserError, match="another config: data.path: "):
        runs.claim(run, paths.located(_config("moved/x.npy")), contents="two")
    runs.claim(run, paths.located(_config("x.npy")), contents="two")


def test_a_sweep_goes_on_where_its_data_have_moved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, grid = tmp_path / "sweep", sweep("seed", [0, 1])
    here, moved = (paths.located(_config(name)) for name in ("x.npy", "moved.npy"))
    first = SweepDirectory(path, here, "population")
    first.plan(plan(here, grid))
    (trial, _) = first.trials
    workdir = first.claim(trial)
    runs.write_json(workdir / "data.json", {"contents": "one"})
    runs.write_json(workdir / "evaluation.json", evaluation(3))
    (workdir / "report.html").write_text("")
    assert first.state(trial)[0] == "done"
    monkeypatch.setattr(runs, "git_revision", lambda: "unknown")
    first.write()
    again = SweepDirectory(path, moved, "population")
    again.plan(plan(moved, grid))
    assert again.state(again.trials[0])[0] == "pending"  # its config is told of the new place
    with pytest.raises(UserError, match="moved.npy does not hold what"):
        runs.claim(workdir, again.trials[0].config, contents="two")
    runs.claim(workdir, again.trials[0].config, contents="one")
    assert again.state(again.trials[0])[0] == "done"
    with pytest.raises(UserError, match="sweep with another config: data.image_size"):
        SweepDirectory(path, paths.located(_config("x.npy", image_size=9)), "population")

"""Damaged run and sweep directories: every verb does its work, or says in a line what is wrong."""

import json
import os
import shutil
import subprocess
import warnings

import numpy as np
import pytest

import vae
from tests.helpers import small_config
from vae import config as configs
from vae import npz, run_files, runs
from vae.__main__ import main
from vae.checkpoint import Checkpoints
from vae.configs import digits
from vae.data import cache
from vae.errors import RunError, UserError
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.plan import plan
from vae.sweeps.search import Study


def half(content):
    return content[: len(content) // 2]


def flipped(content):
    """One byte in the middle, every bit of it."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


DAMAGES = {
    "half": half,
    "flipped": flipped,
    "empty": lambda content: b"",
    "braces": lambda content: b"{}",
    "list": lambda content: b"[1, 2]",
    "null": lambda content: b"null",
    "nested": lambda content: b"[" * 100_000,
    "zeros": lambda content: bytes(len(content)),
    "directory": None,
    "missing": None,
}
READERS = {
    "config.json": runs.read_config,
    "data.json": run_files.read_data,
    "environment.json": run_files.read_environment,
    "metrics.jsonl": runs.read_metrics,
    "evaluation.json": run_files.read_evaluation,
    "per_example.npz": run_files.read_bounds,
    "failure.json": runs.failure,
}
# What is read all the same, and as what.
FINE = {
    ("environment.json", "braces"): {},
    ("environment.json", "missing"): {},
    ("metrics.jsonl", "empty"): [],
    ("metrics.jsonl", "missing"): [],
    # One line that no newline ends is taken for one that a kill cut short.
    **{("metrics.jsonl", kind): [] for kind in ("braces", "list", "null", "nested", "zeros")},
    ("evaluation.json", "missing"): None,
    ("per_example.npz", "missing"): {},
    ("failure.json", "missing"): "",
}


def damage(path, kind):
    content = path.read_bytes()
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(DAMAGES[kind](content))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a trained and evaluated run leaves, with other numbers: nothing is trained."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    workdir.mkdir()
    runs.write_atomic(workdir / "config.json", configs.to_json(small_config().lock()))
    data = {"name": "grey", "shape": [4, 4, 1], "levels": 17, "observed": "binary",
            "context_size": 0, "sizes": {"train": 120}}  # fmt: skip
    runs.write_json(workdir / "data.json", data)
    runs.write_json(workdir / "environment.json", runs.environment())
    lines = [{"step": n, "epoch": n / 3, "split": split, "elbo": -9.0 + n}
             for n in (1, 2, 3) for split in ("train", "validation")]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    runs.write_atomic(workdir / "metrics.jsonl", text)
    metric = {"value": -6.0, "stderr": 0.1, "unit": "nats"}
    evaluation = {"split": "test", "num_examples": 30, "step": 3, "metrics": {"elbo": metric},
                  "arrays": {"kl_per_latent": [0.1, 0.2, 0.3]}}  # fmt: skip
    runs.write_json(workdir / "evaluation.json", evaluation)
    npz.write(workdir / "per_example.npz", {"elbo": np.linspace(-9.0, -3.0, 30)})
    rng = np.random.default_rng(0)
    with Checkpoints(workdir) as checkpoints:
        for step in (1, 2, 3):
            weights = rng.standard_normal((40, 50), np.float32)
            params = {"a": {"kernel": weights, "bias": weights[0]}}
            checkpoints.save(step, {"step": np.int32(step), "params": params}, -9.0 + step)
    return workdir


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that is trained and evaluated."""
    workdir = tmp_path_factory.mktemp("runs") / "trained"
    vae.train(small_config(train__epochs=3, eval__iwae_samples=(5,)), str(workdir))
    vae.evaluate(str(workdir))
    return workdir


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_what_it_promises_or_says_what_is_wrong(name, kind, run):
    path = run / name
    if name == "failure.json":
        runs.write_json(path, {"reason": "the loss is not finite", "step": 3})
    damage(path, kind)
    if name == "metrics.jsonl" and kind == "half":
        assert READERS[name](run)  # a line cut short
    elif (name, kind) in FINE:
        assert READERS[name](run) == FINE[name, kind]
    else:
        with pytest.raises(UserError) as told:
            READERS[name](run)
        text = str(told.value)
        assert "\n" not in text and len(text) < 400
        assert (str(path) in text) or (name, kind) == ("config.json", "missing")
    assert not [item for item in run.iterdir() if item.name.startswith(".")]


JSON = ("config.json", "data.json", "environment.json", "evaluation.json")


@pytest.mark.parametrize("name", JSON)
def test_a_key_that_is_missing_or_of_another_type_is_named(name, run):
    """Each key in turn; what no reader needs may be gone, and what a config may lack."""
    path, good = run / name, json.loads((run / name).read_text())
    needed = {"data.json": run_files.DATA, "evaluation.json": run_files.EVALUATION,
              "config.json": [key for key in good if key != "eval"]}.get(name, ())  # fmt: skip
    for key in needed:
        for value in ({"a": 3}, [[]], "text", -1.5, None, True):
            path.write_text(json.dumps(good | {key: value}))
            with pytest.raises(UserError, match=name):
                READERS[name](run)
        path.write_text(json.dumps({k: v for k, v in good.items() if k != key}))
        with pytest.raises(UserError, match=key):
            READERS[name](run)
    for key in set(good) - set(needed) - {"eval"}:
        path.write_text(json.dumps({k: v for k, v in good.items() if k != key}))
        assert key not in READERS[name](run)


@pytest.mark.parametrize(
    "line",
    [b"{}", b"[]", b'{"step": 3}', b'{"step": "3", "split": "train"}', b"\xff\xfe", b"null", b"",
     b'{"step": 3, "split": "validation", "elbo": "much"}', b'{"step": -1, "split": "train"}'],
)  # fmt: skip
def test_a_damaged_line_of_metrics_is_named_by_its_number(line, run):
    path = run / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    before = runs.read_metrics(run)
    path.write_bytes(b"".join([lines[0], line + b"\n", *lines[1:]]))
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged at line 2: delete that line"):
        runs.read_metrics(run)
    path.write_bytes(b"".join([*lines, line]))  # as a kill may leave it
    assert runs.read_metrics(run) == before


def test_arrays_that_are_no_bounds_are_refused(run):
    for arrays in ({"elbo": np.zeros((3, 2))}, {"elbo": np.zeros(3), "nll_iwae_5": np.zeros(2)},
                   {"elbo": np.array(["a"])}, {"elbo": np.array([None])}):  # fmt: skip
        np.savez(run / "per_example.npz", **arrays)
        with pytest.raises(UserError, match=r"per_example\.npz .*evaluate the run again"):
            run_files.read_bounds(run)


def steps_of(run):
    return sorted(int(path.name) for path in (run / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def template(whole):
    """The arrays of the last two checkpoints, by step."""
    with Checkpoints(whole, read_only=True) as checkpoints:
        assert checkpoints.steps() == steps_of(whole)
        return {step: checkpoints.load(step) for step in checkpoints.steps()[-2:]}


SILENT = ("half", "flipped", "empty", "braces", "zeros", "directory", "missing")


def test_a_damaged_file_of_a_checkpoint_falls_back(whole, template, tmp_path, capfd):
    """Each file in turn in seven ways: the arrays are right, or the step before is taken with one
    warning; nothing is printed."""
    before, last = sorted(template)
    run, fallen = tmp_path / "run", 0
    names = [path.relative_to(whole) for path in (whole / "checkpoints" / str(last)).rglob("*")]
    for name in [name for name in names if (whole / name).is_file()]:
        for kind in SILENT:
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(whole, run)
            damage(run / name, kind)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                with Checkpoints(run, read_only=True) as checkpoints:
                    step, arrays = checkpoints.restore(template[last])
            expected, said = template[step], [str(warning.message) for warning in caught]
            assert all(np.array_equal(arrays[key], expected[key]) for key in expected)
            assert step in (before, last)
            if step == before:
                fallen += 1
                assert len(said) == 1 and f"checkpoint {last} " in said[0]
                assert "trying the one before it" in said[0]
            else:
                assert not said
            if name.name in ("metrics", "_CHECKPOINT_METADATA", "manifest.ocdbt"):
                is_written_alone = "ocdbt.process" in str(name)  # and merged since
                assert (step == before) != is_written_alone, (name, kind)
    assert fallen > 30
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["half", "flipped", "braces", "directory", "missing"])
def test_the_best_is_not_chosen_by_a_damaged_metric(kind, whole, run):
    """Of a checkpoint whose ELBO cannot be read, or is not the one that was saved."""
    with Checkpoints(whole, read_only=True) as checkpoints:
        best = checkpoints.best_step()
    damage(run / "checkpoints" / str(best) / "metrics" / "metrics", kind)
    with Checkpoints(run, read_only=True) as checkpoints:
        if kind == "missing":
            assert checkpoints.best_step() != best
        else:
            with pytest.warns(UserWarning, match=f"checkpoint {best} is damaged"):
                assert checkpoints.best_step() not in (best, None)
        with pytest.raises(RunError, match=f"checkpoint {best} "):
            checkpoints.load(best)


def test_an_elbo_that_is_not_the_saved_one_is_found(whole, run):
    with Checkpoints(whole, read_only=True) as checkpoints:
        best = checkpoints.best_step()
    (run / "checkpoints" / str(best) / "metrics" / "metrics").write_text('{"elbo": 1.0}')
    with Checkpoints(run, read_only=True) as checkpoints:
        with pytest.raises(RunError, match="checksum"):
            checkpoints.load(best)


def test_checkpoints_none_of_which_can_be_read_are_one_line(run, template):
    for path in (run / "checkpoints").glob("*/_CHECKPOINT_METADATA"):
        path.write_text("{}")
    with Checkpoints(run) as checkpoints, pytest.warns(UserWarning):
        with pytest.raises(RunError, match="no checkpoint in .* can be read") as told:
            checkpoints.restore(template[max(template)])
    assert "\n" not in str(told.value) and steps_of(run)  # nothing is deleted


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two trials that have not begun, as a launch leaves it that was ended at once."""
    config = digits.get_config()
    directory = SweepDirectory(tmp_path / "sweep", config, "population")
    directory.plan(plan(config, [{"model.latent_size": size} for size in (2, 5)]))
    directory.claim(directory.trials[0])
    directory.write()
    return directory


@pytest.mark.parametrize("kind", [kind for kind in DAMAGES if kind != "missing"])
def test_a_damaged_sweep_json_is_named(kind, sweep, capsys):
    path = sweep.path / "sweep.json"
    damage(path, kind)
    with pytest.raises(UserError, match=r"sweep\.json") as told:
        SweepDirectory(sweep.path, sweep.config, "population")
    assert "\n" not in str(told.value)
    assert main(["report", f"--workdir={sweep.path}"]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_key_of_sweep_json_of_another_type_is_named(sweep):
    path, good = sweep.path / "sweep.json", json.loads((sweep.path / "sweep.json").read_text())
    for key in run_files.SWEEP:
        for value in (3, [3], [{}], None):
            path.write_text(json.dumps(good | {key: value}))
            with pytest.raises(UserError, match=key):
                SweepDirectory(sweep.path, sweep.config, "population")


@pytest.mark.parametrize("kind", ["flipped", "braces", "list", "null", "zeros", "directory"])
def test_a_damaged_journal_of_a_search_is_named(kind, tmp_path):
    space = {"model.latent_size": [2, 5]}
    study = Study(tmp_path, digits.get_config(), space, "random")
    study.open(2, 4)
    damage(tmp_path / "study.journal", kind)
    try:
        again = Study(tmp_path, digits.get_config(), space, "random")
    except UserError as told:
        assert "study.journal" in str(told) and "\n" not in str(told)
    else:  # what is lost of it is drawn again
        assert len(again.open(2, 4)) == 2


VERBS = ("train", "evaluate", "report", "sample")
FOLDERS = ("figures", "tensorboard", "checkpoints")
PLACES = (*READERS, "lock", "samples.npz", "report.html", *FOLDERS)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
def test_every_verb_on_a_damaged_run_ends_cleanly(name, trained, tmp_path, capfd):
    """Exit code 0, 1 or 2, at most three lines, no traceback, nothing half-written: every place in
    ten ways, the verbs by turns."""
    config = f"--config={tmp_path / 'config.py'}"
    (tmp_path / "config.py").write_text(
        "import pathlib\nfrom vae.config import from_json\n"
        f"path = pathlib.Path({str(trained / 'config.json')!r})\n"
        "get_config = lambda: from_json(path.read_text())\n"
    )
    run = tmp_path / "run"
    for number, kind in enumerate(DAMAGES, 1 + PLACES.index(name)):
        verb = VERBS[number % len(VERBS)]
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(trained, run)
        path = run / name
        if name in FOLDERS:
            shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            path.write_text('{"reason": "the loss is not finite"}')
        damage(path, kind)
        flags = [config] if verb == "train" else []
        capfd.readouterr()
        code = main([verb, *flags, f"--workdir={run}"])
        err = capfd.readouterr().err
        assert code in (0, 1, 2) and "Traceback" not in err, (kind, verb, err)
        assert len(err.strip().splitlines()) <= 3, (kind, verb, err)
        assert bool(code) == ("error: " in err), (kind, verb, err)
        left = [p.name for p in run.rglob(".*") if p.is_file()]
        assert not left, (kind, verb, left)


def test_what_a_killed_process_left_behind_is_swept_up(tmp_path):
    """By the next that writes the file; what a living process writes is its own."""
    child = subprocess.Popen(["true"])
    child.wait()
    left, alive = tmp_path / f".{child.pid}.a.json", tmp_path / f".{os.getppid()}.a.json"
    others = [tmp_path / name for name in (f".{child.pid}.b.json", ".hidden.a.json", "a.json")]
    for path in (left, alive, *others):
        path.write_text("{}")
    (tmp_path / f".{child.pid}.arrays").mkdir()
    runs.write_json(tmp_path / "a.json", 3)
    assert not left.exists() and alive.exists() and all(path.exists() for path in others)
    found = cache.arrays(tmp_path / "arrays", lambda new: np.save(new / "x", np.arange(3)))
    np.testing.assert_array_equal(found["x"], [0, 1, 2])
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".arrays")]

"""Whole sweeps from the command line."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from tests.helpers import last_state, wait_until_gone
from vae import runs
from vae.__main__ import main
from vae.configs import digits
from vae.errors import UserError
from vae.sweeps import processes
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.launch import settled
from vae.sweeps.plan import plan
from vae.sweeps.search import Study
from vae.tied import tied

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    f"--config={ROOT}/configs/digits.py",
    "--config.model.hidden=(16,)",
    "--config.train.epochs=4",
    "--config.train.eval_epochs=2.0",
    "--config.eval.iwae_samples=(5,)",
]
GRID = ["--sweep=model.latent_size=2,5", "--sweep=objective.beta=0.5,2.0"]
SEARCH = ["--search=tpe", "--trials=2", *GRID]


def start(workdir, *flags):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "vae", "sweep", *SMALL, *flags, f"--workdir={workdir}"]
    pipe = subprocess.PIPE
    return subprocess.Popen(tied(command), cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True)


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def table(workdir):
    with open(workdir / "results.csv") as file:
        return list(csv.DictReader(file))


def numbers(row):
    return {k: float(v) for k, v in row.items() if k not in ("state", "trial", "seconds")}


def assert_same_table(one, other, rtol=0.0):
    left, right = table(one), table(other)
    assert [row["trial"] for row in left] == [row["trial"] for row in right]
    for a, b in zip(left, right, strict=True):
        assert a["state"] == b["state"] == "done"
        np.testing.assert_allclose(list(numbers(a).values()), list(numbers(b).values()), rtol)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nothing disturbed."""
    workdir = tmp_path_factory.mktemp("sweeps") / "whole"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["sweep", *SMALL, *GRID, f"--workdir={workdir}"]) == 0
    out = printed.getvalue()
    assert "4 trials, 4 to run" in out and "group 1 of 1" in out
    assert out.count("8x8x1, 0..16, binarised at every step\n") == 1
    return workdir


def test_a_sweep_leaves_run_directories_a_table_and_a_page(whole):
    rows = table(whole)
    assert [row["model.latent_size"] for row in rows] == ["2", "2", "5", "5"]
    columns = list(rows[0])
    assert columns[:3] == ["model.latent_size", "objective.beta", "state"]
    assert {"elbo", "rate", "distortion", "active_units", "nll_iwae_5"} <= set(columns)
    for row in rows:
        run = whole / "trials" / row["trial"]
        evaluation = runs.read_json(run / "evaluation.json")["metrics"]
        assert float(row["elbo"]) == evaluation["elbo"]["value"]
        assert (run / "report.html").exists() and float(row["seconds"]) > 0
    sweep = runs.read_json(whole / "sweep.json")
    assert {"command", "time", "config", "environment", "keys", "launcher"} <= set(sweep)
    assert [trial["state"] for trial in sweep["trials"]] == ["done"] * 4
    assert "latent_size=5" in (whole / "report.html").read_text()


@pytest.mark.slow
def test_relaunching_a_finished_sweep_repeats_nothing(whole):
    trials = {p: p.stat().st_mtime_ns for p in (whole / "trials").rglob("*") if p.is_file()}
    code, out, err = finish(start(whole, *GRID))
    assert code == 0 and "0 to run" in out, err
    assert {p: p.stat().st_mtime_ns for p in trials} == trials


@pytest.mark.slow
def test_a_sweep_can_grow_and_not_shrink_or_change(whole, tmp_path, capsys):
    code, out, _ = finish(start(whole, *GRID, "--dry_run", "--seeds=2"))
    assert code == 2  # the trials there have no seed in their name
    more = "--sweep=objective.beta=0.5,1.0,2.0"
    code, out, err = finish(start(whole, GRID[0], more, "--dry_run"))
    assert code == 0 and "6 trials, 2 to run" in out, err
    assert main(["sweep", *SMALL, GRID[0], f"--workdir={whole}"]) == 2
    assert "holds trials that this sweep does not have" in capsys.readouterr().err
    changed = ["--config.train.epochs=5", f"--workdir={whole}"]
    assert main(["sweep", *SMALL, *GRID, *changed]) == 2
    assert "holds a sweep of 4 epochs" in capsys.readouterr().err


@pytest.mark.slow
def test_kill_9_in_the_middle_then_relaunch(tmp_path):
    """Finished trials are not touched, and the end is that of the undisturbed sweep."""
    workdir, undisturbed = tmp_path / "sweep", tmp_path / "undisturbed"
    flags = [GRID[0], "--slots=1", "--config.train.epochs=600", "--config.train.eval_epochs=20.0"]
    process = start(workdir, *flags)
    first, second = (workdir / "trials" / f"latent_size={size}" for size in (2, 5))
    until = time.time() + 200
    while not (first / "report.html").exists():  # it is evaluated while the second trains
        assert process.poll() is None and time.time() < until, finish(process)
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (second / "evaluation.json").exists()
    before = {p: p.stat().st_mtime_ns for p in first.rglob("*") if p.is_file()}
    code, out, err = finish(start(workdir, *flags))
    assert code == 0 and "2 trials, 1 to run" in out, err
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert finish(start(undisturbed, *flags))[0] == 0
    assert_same_table(workdir, undisturbed)
    left, right = (last_state(w / "trials" / second.name) for w in (workdir, undisturbed))
    assert all(np.array_equal(left[key], right[key]) for key in right)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_kill_9_of_a_sweep_ends_the_processes_of_its_trials(tmp_path):
    """Each saves and ends; nothing is left that a relaunch would meet."""
    workdir = tmp_path / "sweep"
    flags = [GRID[0], "--launcher=processes", "--slots=2", "--config.train.epochs=100000"]
    process = start(workdir, *flags)
    trials = [workdir / "trials" / f"latent_size={size}" for size in (2, 5)]
    until = time.time() + 200
    while not all((trial / "metrics.jsonl").exists() for trial in trials):
        assert process.poll() is None and time.time() < until, finish(process)
        time.sleep(0.02)
    pids = [int(runs.holder(trial).split()[0]) for trial in trials]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until_gone(pids, 60.0)
    assert [runs.holder(trial) for trial in trials] == ["", ""]
    assert all("saved at step" in (trial / "log.txt").read_text() for trial in trials)


@pytest.fixture
def small_sweep(tmp_path):
    config = digits.get_config()
    directory = SweepDirectory(tmp_path / "sweep", config, "processes")
    directory.plan(plan(config, [{"model.latent_size": size} for size in (2, 5)]))
    return directory


def test_a_launch_beside_a_living_trial_says_so_and_waits(small_sweep):
    first, second = small_sweep.trials
    with ExitStack() as running:
        running.enter_context(runs.locked(small_sweep.workdir(second)))
        threading.Timer(0.3, running.pop_all().close).start()
        with pytest.warns(UserWarning, match=rf"^trial latent_size=5 .*\({os.getpid()} on "):
            assert settled(small_sweep, [first, second]) == [first, second]


def test_a_launch_beside_a_trial_that_goes_on_is_one_line(small_sweep, monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.2)
    with runs.locked(small_sweep.workdir(small_sweep.trials[1])), pytest.warns(UserWarning):
        with pytest.raises(UserError, match=rf"trial latent_size=5 .*\({os.getpid()} on ") as told:
            settled(small_sweep, small_sweep.trials)
    assert "\n" not in str(told.value)


def test_a_trial_that_ended_meanwhile_is_not_run_again(small_sweep):
    first, second = small_sweep.trials
    workdir = small_sweep.claim(first)
    runs.write_json(workdir / "evaluation.json", {"metrics": {}})
    assert settled(small_sweep, [first, second]) == [first, second]  # killed before its report
    (workdir / "report.html").write_text("")
    assert settled(small_sweep, [first, second]) == [second]


def test_an_evaluation_by_other_settings_is_not_taken_for_the_new_one(small_sweep):
    """Whatever is killed after the new config is there."""
    first, _ = small_sweep.trials
    workdir = small_sweep.claim(first)
    for name in ("evaluation.json", "report.html"):
        runs.write_json(workdir / name, {"metrics": {}})
    assert small_sweep.state(first) == ("done", "")
    changed = ConfigDict(first.config.to_dict())
    changed.eval.iwae_samples = (7,)
    other = dataclasses.replace(first, config=changed.lock())
    assert small_sweep.state(other) == ("pending", "")
    small_sweep.claim(other)
    assert small_sweep.state(other) == ("pending", "")


@pytest.mark.slow
def test_ctrl_c_saves_every_trial_and_a_relaunch_goes_on(tmp_path):
    workdir = tmp_path / "sweep"
    flags = ["--config.train.epochs=2000", "--config.train.eval_epochs=1000.0"]
    process = start(workdir, *GRID, *flags, "--slots=1")
    begun = workdir / "trials" / "latent_size=2,beta=0.5" / "metrics.jsonl"
    until = time.time() + 200
    while not (begun.exists() and begun.read_text()):
        assert process.poll() is None and time.time() < until, finish(process)
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130 and err.startswith("interrupted and saved")
    assert len(err.strip().splitlines()) == 1
    assert int(last_state(workdir / "trials" / "latent_size=2,beta=0.5")["step"]) > 0


@pytest.mark.slow
def test_a_diverging_trial_is_named_and_the_others_are_done(tmp_path):
    workdir = tmp_path / "sweep"
    flags = ["--sweep=optimizer.learning_rate=1e9,1e-3", "--seeds=2"]
    code, _, err = finish(start(workdir, *flags))
    assert code == 1 and "2 of 4 trials failed" in err and "Traceback" not in err
    assert "learning_rate=1e+09,seed=0: " in err and "is not finite at step" in err
    assert [row["state"] for row in table(workdir)] == ["failed"] * 2 + ["done"] * 2
    assert "learning_rate=1e+09,seed=1" in (workdir / "report.html").read_text()
    code, out, err = finish(start(workdir, *flags))  # it would diverge again
    assert code == 1 and "0 to run" in out and "2 of 4 trials failed" in err


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A sweep of two trials, as one program."""
    workdir = tmp_path_factory.mktemp("sweeps") / "two"
    assert finish(start(workdir, GRID[0]))[0] == 0
    return workdir


@pytest.mark.slow
def test_processes_give_the_same_table_as_a_population(two, tmp_path):
    workdir = tmp_path / "sweep"
    code, _, err = finish(start(workdir, GRID[0], "--launcher=processes"))
    assert code == 0, err
    assert_same_table(workdir, two, rtol=2e-4)
    assert "validation" in (workdir / "trials" / "latent_size=2" / "log.txt").read_text()


@pytest.mark.slow
def test_slurm_gives_the_same_table_as_a_population(two, tmp_path, node):
    workdir = tmp_path / "sweep"
    code, _, err = finish(start(workdir, GRID[0], "--launcher=slurm", "--slots=2"))
    assert code == 0, err
    assert_same_table(workdir, two, rtol=2e-4)


@pytest.mark.slow
def test_a_process_that_dies_is_tried_again_and_then_named(tmp_path):
    workdir = tmp_path / "sweep"
    flags = ["--launcher=processes", "--slots=1", "--sweep=data.path=none.npz,absent.npz"]
    flags.append("--config.data.name=files")
    code, _, err = finish(start(workdir, *flags))
    assert code == 1 and "path=none.npz" in err and "path=absent.npz" in err, err
    log = (workdir / "trials" / "path=none.npz" / "log.txt").read_text()
    assert log.count("error:") == 1  # a wrong config is not tried again


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sweep=objective.bta=1.0"], "did you mean 'objective.beta'"),
        (["--launcher=slrm", *GRID], "is not one of: population"),
        (["--sweep=model.encoder=mlp,mpl"], "did you mean 'mlp'"),
        (["--sweep=train.batch_size=10,9999"], "train.batch_size=9999"),
        (["--search=tpe", *GRID], "--trials=N"),
        (["--search=best", "--trials=2", *GRID], "is not one of: tpe, random"),
        (["--search=tpe", "--trials=2", "--halving=1", *GRID], "--halving=N"),
        ([*SEARCH, "--config.eval.metric=active_units"], "neither more nor less of it is better"),
        ([*SEARCH, "--config.eval.metric=two_sample_accuracy"], "neither more nor less"),
        ([*SEARCH, "--config.eval.metric=elbow"], "is no metric of evaluation.json"),
    ],
)
def test_wrong_sweeps_exit_2_and_leave_no_trial(flags, words, tmp_path, capsys):
    workdir = tmp_path / "sweep"
    assert main(["sweep", *SMALL, *flags, f"--workdir={workdir}"]) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.strip().splitlines()) <= 2
    assert not (workdir / "trials").exists()


@pytest.mark.parametrize(
    ("metric", "way"),
    [("elbo", "MAXIMIZE"), ("aggregate_mmd", "MINIMIZE"), ("wasserstein_qed", "MINIMIZE"),
     ("memorised", "MINIMIZE"), ("mig_histogram", "MAXIMIZE")],
)  # fmt: skip
def test_a_search_goes_the_way_that_its_metric_is_better(metric, way, tmp_path):
    config = digits.get_config()
    config.eval.metric = metric
    space = {"model.latent_size": [2, 5]}
    assert Study(tmp_path, config, space, "tpe").study.direction.name == way
    config.eval.metric = "gap_inference"  # told values of one metric are not another's
    with pytest.raises(UserError, match=f"another metric \\({metric}\\)"):
        Study(tmp_path, config, space, "tpe")


def test_trials_of_a_search_are_named_by_text_and_older_ones_as_they_were(tmp_path):
    """pandas reads "0000" as the number 0."""
    space = {"model.latent_size": [2, 5]}
    (tmp_path / "new").mkdir()
    new = Study(tmp_path / "new", digits.get_config(), space, "random")
    first, second = new.open(2, 2)
    assert [first.name, second.name] == ["trial-0000", "trial-0001"]
    new.tell(second, -3.5)
    assert new.values() == {"trial-0001": -3.5}
    old = tmp_path / "old"
    entry = {"name": "0000", "values": {}, "state": "pending"}
    old.mkdir()
    sweep = {"name": "old", "keys": [], "config": {}, "trials": [entry]}
    (old / "sweep.json").write_text(json.dumps(sweep))
    again = Study(old, digits.get_config(), space, "random")
    (trial,) = again.open(1, 2)
    again.tell(trial, -4.5)
    assert again.values() == {"0000": -4.5}


MAPPINGS = """
import gc, sys
import vae
from vae.configs import digits
from vae.sweeps.grouped import Populations

train, counts = Populations._train, []

def counted(self, *args, **settings):
    train(self, *args, **settings)
    gc.collect()
    counts.append(sum(1 for _ in open("/proc/self/maps")))

Populations._train = counted
config = digits.get_config()
config.train.epochs = 1
vae.sweep(config, [{"model.hidden": (width,)} for width in (5, 6, 7)], workdir=sys.argv[1])
assert len(counts) == 3 and counts[2] < counts[0] + 300, counts
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on mappings is Linux's")
def test_programs_of_a_finished_group_are_dropped(tmp_path):
    """A group takes about 900 mappings, and a process may have 65,530."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-c", MAPPINGS, str(tmp_path / "sweep")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_search_prunes_and_resumes_where_it_was(tmp_path):
    workdir = tmp_path / "search"
    flags = ["--search=tpe", "--halving=2", "--slots=4"]
    flags += ["--sweep=optimizer.learning_rate=log(1e-4,1e-2)", "--sweep=model.latent_size=2,5"]
    code, _, err = finish(start(workdir, *flags, "--trials=4"))
    assert code == 0, err
    first = table(workdir)
    assert sorted(row["state"] for row in first) == ["done"] + ["pruned"] * 3
    assert all(1e-4 <= float(row["optimizer.learning_rate"]) <= 1e-2 for row in first)
    best = min(first, key=lambda row: row["state"])
    assert float(best["elbo"]) >= max(float(row["elbo"]) for row in first) - 1.0
    code, out, err = finish(start(workdir, *flags, "--trials=6"))
    assert code == 0 and "trial-0004 to trial-0005 of 6" in out, err
    assert table(workdir)[:4] == first
    steps = {row["trial"]: int(last_state(workdir / "trials" / row["trial"])["step"])
             for row in first}  # fmt: skip
    assert sorted(steps.values()) == [12, 12, 24, 48]  # epochs 1, 1, 2 and 4
    assert json.loads((workdir / "sweep.json").read_text())["metric"] == "elbo"


@pytest.mark.slow
def test_rate_rises_and_distortion_falls_as_beta_falls(tmp_path):
    """At every latent size of at least 8 (Higgins et al. 2017; Alemi et al. 2018)."""
    workdir = tmp_path / "sweep"
    flags = ["--sweep=model.latent_size=8,16", "--sweep=objective.beta=0.25,0.5,1.0"]
    flags += ["--config.model.hidden=(100,)", "--config.train.epochs=100"]
    flags.append("--config.train.eval_epochs=50.0")
    code, _, err = finish(start(workdir, *flags))
    assert code == 0, err
    rows = table(workdir)
    for size in ("8", "16"):
        mine = [row for row in rows if row["model.latent_size"] == size]
        rates, distortions = ([float(row[k]) for row in mine] for k in ("rate", "distortion"))
        assert rates == sorted(rates, reverse=True) and distortions == sorted(distortions)

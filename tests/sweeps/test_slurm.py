"""The Slurm launcher against a real Slurm of one node; `tests/slurm.sh start` makes one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import finish, last_state, start_training
from vae.errors import UserError
from vae.sweeps import slurm
from vae.tied import tied

ROOT = Path(__file__).resolve().parents[2]

# Plays the trial: says when it starts and ends, saves on SIGTERM, resumes where it has saved.
STAND_IN = """
import json, os, pathlib, signal, sys, time

workdir = pathlib.Path(sys.argv[1])
plan = json.loads((workdir / "config.json").read_text())
saved = workdir / "saved"


def save(number, frame):
    saved.touch()
    sys.exit("error: interrupted and saved")


signal.signal(signal.SIGTERM, save)
print("start", time.time(), os.environ.get("SLURM_RESTART_COUNT"), flush=True)
if plan["end"] == "fail":
    sys.exit("error: no such data")
if plan["end"] in ("die", "killed"):  # as the system does where memory runs out
    os.kill(os.getppid() if plan["end"] == "die" else os.getpid(), signal.SIGKILL)
    sys.exit()
if plan["end"] == "diverge":
    (workdir / "failure.json").write_text(json.dumps({"reason": "the loss is not finite"}))
    sys.exit("error: diverged")
time.sleep(0.0 if saved.exists() else plan["seconds"])
print("end", time.time(), flush=True)
"""


class Sweep:
    """Run directories whose trials are the stand-in's."""

    def __init__(self, root):
        self.root, self.folder = root, root / "slurm"
        self.script, self.ended = root / "stand_in.py", []
        self.script.write_text(STAND_IN)

    def trial(self, name, end="well", seconds=0.0):
        workdir = self.root / "trials" / name
        workdir.mkdir(parents=True)
        (workdir / "config.json").write_text(json.dumps({"end": end, "seconds": seconds}))
        return workdir

    @property
    def command(self):
        return (sys.executable, str(self.script))

    def run(self, *workdirs, **options):
        asked = slurm.Options(minutes=5, **options)
        return slurm.run(workdirs, asked, self.folder, self.ended.append, self.command)

    def queue(self):
        states = slurm._queue(slurm._name(self.folder))
        return {job: state for job, state in states.items() if state not in slurm.ENDED}


@pytest.fixture
def sweep(tmp_path, node, monkeypatch):
    monkeypatch.setattr(slurm, "PAUSE", 0.3)
    monkeypatch.setattr(slurm, "LAG", 1.0)
    made = Sweep(tmp_path)
    yield made
    subprocess.run(["scancel", f"--name={slurm._name(made.folder)}"])


def times(workdir, word):
    lines = [line.split() for line in (workdir / "log.txt").read_text().splitlines()]
    return [float(line[1]) for line in lines if line[0] == word]


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_for_start(workdir):
    wait_for(lambda: (workdir / "log.txt").exists() and times(workdir, "start"))


def test_an_array_runs_so_many_at_once(sweep):
    workdirs = [sweep.trial(str(n), seconds=2.0) for n in range(4)]
    assert sweep.run(*workdirs, at_once=2) == {}
    assert sorted(sweep.ended) == workdirs
    begins = [time for workdir in workdirs for time in times(workdir, "start")]
    ends = [time for workdir in workdirs for time in times(workdir, "end")]
    assert len(begins) == len(ends) == 4
    together = [sum(b <= begin < e for b, e in zip(begins, ends, strict=True)) for begin in begins]
    assert max(together) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        ["scontrol", "requeue"],
        ["scancel", "--signal=TERM"],
        ["scancel", "--signal=USR2"],  # as Slurm sends it ahead of a time limit
        ["scancel", "--signal=INT"],
        ["scancel"],  # which takes its second chance
    ],
    ids=" ".join,
)
def test_an_interrupted_trial_goes_on(sweep, how):
    workdir, other = sweep.trial("interrupted", seconds=5.0), sweep.trial("other", seconds=0.5)
    with ThreadPoolExecutor() as pool:
        result = pool.submit(sweep.run, workdir, other)
        wait_for_start(workdir)
        [job] = [job for job in sweep.queue() if job.endswith("_0")]
        subprocess.run([*how, job], check=True)
        assert result.result(timeout=120) == {}
    assert sorted(sweep.ended) == [workdir, other]
    assert len(times(workdir, "start")) == 2 and len(times(workdir, "end")) == 1
    assert len(times(other, "start")) == 1
    assert (workdir / "saved").exists()
    # Requeued by name; cancelled, it is its second chance in an array of its own.
    assert (" 1\n" in (workdir / "log.txt").read_text()) == (how != ["scancel"])


def test_failures_are_named_and_tried_again_only_where_it_may_help(sweep):
    kinds = {"fails": "fail", "diverges": "diverge", "ends": "well"}
    fails, diverges, ends = (sweep.trial(name, end=end) for name, end in kinds.items())
    reasons = sweep.run(fails, diverges, ends)
    assert reasons == {fails: "no such data", diverges: "the loss is not finite"}
    assert sorted(sweep.ended) == sorted([fails, diverges, ends])
    assert len(times(fails, "start")) == 2
    assert len(times(diverges, "start")) == len(times(ends, "start")) == 1


def test_a_task_that_dies_is_named_with_slurms_word(sweep):
    workdir, killed = sweep.trial("dies", end="die"), sweep.trial("killed", end="killed")
    reasons = sweep.run(workdir, killed)
    assert reasons[workdir].startswith("Slurm ended it: failed")
    assert reasons[killed] == "killed by SIGKILL (out of memory?)"
    assert sorted(sweep.ended) == [workdir, killed]
    assert len(times(workdir, "start")) == len(times(killed, "start")) == 2


def launch(sweep, *workdirs):
    """A launcher in a process of its own."""
    program = (
        "import pathlib, sys; from vae.sweeps import slurm; slurm.PAUSE = 0.3\n"
        "folder, script, *workdirs = map(pathlib.Path, sys.argv[1:])\n"
        "command = (sys.executable, str(script))\n"
        "print(slurm.run(workdirs, slurm.Options(at_once=2), folder, command=command))"
    )
    arguments = [sys.executable, "-c", program, sweep.folder, sweep.script, *workdirs]
    pipe = subprocess.PIPE
    return subprocess.Popen(tied(arguments), cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_launcher_cancels_and_its_trials_save(sweep, number):
    workdirs = [sweep.trial(str(n), seconds=60.0) for n in range(3)]
    process = launch(sweep, *workdirs)
    for workdir in workdirs[:2]:
        wait_for_start(workdir)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode and "Interrupt" in err and "cancelling 3 trials" in err
    assert sweep.queue() == {}
    assert [(workdir / "saved").exists() for workdir in workdirs] == [True, True, False]
    assert not (workdirs[2] / "log.txt").exists()  # it never started


def test_a_killed_launchers_trials_are_taken_over(sweep):
    workdir = sweep.trial("left", seconds=60.0)
    process = launch(sweep, workdir)
    wait_for_start(workdir)
    process.kill()
    process.communicate()
    assert len(sweep.queue()) == 1
    assert sweep.run(workdir) == {}
    assert len(times(workdir, "start")) == 2 and (workdir / "saved").exists()


def test_a_refused_array_is_one_line(sweep):
    with pytest.raises(UserError, match="partition") as caught:
        sweep.run(sweep.trial("a"), sweep.trial("b"), partition="nowhere")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'vae\[slurm\]'"):
        slurm.run([tmp_path], slurm.Options(), tmp_path / "slurm")
    monkeypatch.setitem(sys.modules, "submitit", threading)  # any module
    with pytest.raises(UserError, match="no sbatch"):
        slurm.run([tmp_path], slurm.Options(), tmp_path / "slurm")


@pytest.mark.slow
def test_two_tasks_of_srun_train_one_run(tmp_path, node):
    flags = [
        "--config=configs/digits.py",
        "--config.model.hidden=(16,)",
        "--config.train.epochs=2",
        "--config.optimizer.name=sgd",  # Adam would hide a gradient of the wrong scale
        "--config.optimizer.learning_rate=0.001",
    ]
    finish(start_training(tmp_path / "one", *flags, "--config.train.parallel=jit"))
    command = ["srun", "--ntasks=2", sys.executable, "-P", "-m", "vae", "train", *flags]
    command += ["--config.train.parallel=pmap", f"--workdir={tmp_path / 'two'}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2 ") == 1  # one of them reports
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["processes"] == 2
    two, one = last_state(tmp_path / "two"), last_state(tmp_path / "one")
    assert set(two) == set(one)
    for name in one:
        a, b = np.asarray(two[name], np.float64), np.asarray(one[name], np.float64)
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b) + 1e-9, name

"""Processes of one run: a sweep that they share, one that fails, one that is lost with its host."""

import csv
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import finish, free_port, last_state, start_verb

ROOT = Path(__file__).resolve().parents[1]
TRAIN = [
    f"--config={ROOT}/configs/digits.py",
    "--config.model.hidden=(32,)",
    "--config.train.epochs=40",
    "--config.train.eval_epochs=2.0",
]
SWEEP = [
    f"--config={ROOT}/configs/digits.py",
    "--config.model.hidden=(16,)",
    "--config.train.epochs=4",
    "--config.train.eval_epochs=2.0",
    "--config.eval.iwae_samples=(5,)",
    "--sweep=model.latent_size=2,5",
    "--sweep=objective.beta=0.5,1.0,2.0",
]
GONE = r"error: process {} of this run is gone, .*: run the same command again on all of them"


def start_two(verb, workdir, *flags, host="localhost", before=((), ())):
    """Both processes, each with one device."""
    port = free_port()
    flags = (*flags, f"--coordinator={host}:{port}", "--num_processes=2")
    return [
        start_verb(
            verb, workdir, *flags, f"--process_id={n}", before=before[n], JAX_NUM_CPU_DEVICES="1"
        )
        for n in (0, 1)
    ]


def ends(processes, seconds=60):
    """Exit codes and what was said of errors, once all have ended by themselves."""
    said = [process.communicate(timeout=seconds) for process in processes]
    return [process.returncode for process in processes], [err for _, err in said]


def wait_for(process, words):
    while not re.search(words, line := process.stdout.readline()):
        assert line, process.stderr.read()


def table(workdir):
    with open(workdir / "results.csv") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def metrics(workdir, name):
    """The rows of a trial's metrics.jsonl without its speed."""
    lines = (workdir / "trials" / name / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [{k: v for k, v in row.items() if k != "examples_per_second"} for row in rows]


def assert_same_sweep(one, other):
    rows = table(one)
    assert len({row["trial"] for row in rows}) == len(rows) == 6
    assert {row["state"] for row in rows} == {"done"} and table(other) == rows
    for row in rows:
        assert metrics(other, row["trial"]) == metrics(one, row["trial"])
    assert (other / "report.html").exists()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The sweep of one process."""
    workdir = tmp_path_factory.mktemp("hosts") / "alone"
    finish(start_verb("sweep", workdir, *SWEEP, JAX_NUM_CPU_DEVICES="1"))
    return workdir


@pytest.mark.slow
def test_two_processes_share_a_sweep(tmp_path, alone):
    outs = finish(*start_two("sweep", tmp_path / "two", *SWEEP))
    assert "each of 2 processes a share of every group" in outs[0]
    trained = [re.findall(r"of 3 .*  (latent\S+)  best", out) for out in outs]
    assert [len(names) for names in trained] == [3, 3] and not set(trained[0]) & set(trained[1])
    assert_same_sweep(alone, tmp_path / "two")
    outs = finish(*start_two("sweep", tmp_path / "two", *SWEEP))  # there is nothing left
    assert "0 to run" in outs[0] and "best" not in "".join(outs)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_goes_on_with_another_number_of_processes(tmp_path, alone, number):
    """One host is lost or interrupted when a trial of its own is done: the other saves and ends."""
    workdir = tmp_path / "sweep"
    processes = start_two("sweep", workdir, *SWEEP, "--slots=1")
    wait_for(processes[1], "1 of 3 ")
    processes[1].send_signal(number)
    codes, said = ends(processes)
    assert codes[0] == 143 and codes[1] == (143 if number == signal.SIGTERM else -9), said
    assert ("has ended: interrupted" in said[0]) == (number == signal.SIGTERM)
    assert bool(re.search(GONE.format(1), said[0])) == (number == signal.SIGKILL)
    [out] = finish(start_verb("sweep", workdir, *SWEEP, JAX_NUM_CPU_DEVICES="1"))
    assert re.search(r"6 trials, [1-5] to run", out)
    assert_same_sweep(alone, workdir)


@pytest.mark.slow
def test_one_process_evaluates_and_the_others_wait(tmp_path):
    workdir = tmp_path / "run"
    finish(start_verb("train", workdir, *TRAIN, "--config.train.epochs=2"))
    outs = finish(*start_two("evaluate", workdir))
    assert "elbo" in outs[0] and not outs[1]


@pytest.mark.slow
def test_what_is_wrong_with_one_process_ends_both_soon(tmp_path):
    """A directory that the other does not see: hosts without a common file system."""
    port = free_port()
    flags = (*TRAIN, f"--coordinator=localhost:{port}", "--num_processes=2")
    processes = [
        start_verb("train", tmp_path / f"host{n}", *flags, f"--process_id={n}") for n in (0, 1)
    ]
    codes, said = ends(processes)
    assert codes == [2, 2], said
    for text in said:
        assert len(text.splitlines()) == 1 and "file system that all hosts share" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--launcher=processes",), "starts processes itself: start it as one"),
        (("--search=tpe", "--trials=2"), "--search is of one process"),
    ],
)
def test_what_is_of_one_process_is_refused(tmp_path, flags, words):
    codes, said = ends(start_two("sweep", tmp_path / "sweep", *SWEEP, *flags))
    assert codes == [2, 2] and all(words in text for text in said), said
    assert not (tmp_path / "sweep").exists()


@pytest.mark.slow
def test_open_mpi_names_both_processes(tmp_path):
    """Its variables alone, as mpirun of Open MPI 4 sets them; no flags."""
    port = free_port(61440, 65535)  # JAX makes it of the number of the job
    variables = {
        "OMPI_MCA_orte_hnp_uri": f"{(port - 61440) * 4096}.0;tcp://127.0.0.1:1",
        "OMPI_COMM_WORLD_SIZE": "2",
        "JAX_NUM_CPU_DEVICES": "1",
    }
    outs = finish(
        *(
            start_verb(
                "train", tmp_path / "run", *TRAIN, "--config.train.epochs=2", **variables,
                OMPI_COMM_WORLD_RANK=str(n), OMPI_COMM_WORLD_LOCAL_RANK=str(n),
            )
            for n in (0, 1)
        )
    )  # fmt: skip
    assert "epoch 2 " in outs[0] and "epoch" not in outs[1]
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2


class Hosts:
    """Two hosts with a cable between them: network namespaces of this machine."""

    def __init__(self):
        tag = f"vae{os.getpid() % 100000}"
        self.names = [f"{tag}n{n}" for n in (0, 1)]
        self.ends = [f"{tag}e{n}" for n in (0, 1)]
        self.addresses = ["10.213.7.1", "10.213.7.2"]
        self.before = [("ip", "netns", "exec", name) for name in self.names]

    def connect(self):
        for name, address in zip(self.names, self.addresses, strict=True):
            self._ip("netns", "add", name)
            folder = Path("/etc/netns") / name  # the name of a host is its own address there
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(f"{address} {platform.node()}\n127.0.0.1 localhost\n")
        first, second = self.ends
        self._ip("link", "add", first, "netns", self.names[0], "type", "veth", "peer", "name",
                 second, "netns", self.names[1])  # fmt: skip
        for name, end, address in zip(self.names, self.ends, self.addresses, strict=True):
            self._ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            for each in (end, "lo"):
                self._ip("-n", name, "link", "set", each, "up")

    def cut(self):
        self._ip("-n", self.names[0], "link", "set", self.ends[0], "down")

    def remove(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)

    def _ip(self, *words):
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30)


@pytest.fixture
def hosts():
    if shutil.which("ip") is None:
        pytest.skip("no `ip` (apt-get install iproute2)")
    made = Hosts()
    try:
        made.connect()
        yield made
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', '') or error}")
    finally:
        made.remove()


def train_on(hosts, workdir):
    return start_two("train", workdir, *TRAIN, host=hosts.addresses[0], before=hosts.before)


@pytest.mark.slow
def test_a_host_that_is_lost_ends_the_run_in_a_line_and_it_goes_on_with_the_same_bits(
    tmp_path, hosts
):
    finish(*train_on(hosts, tmp_path / "whole"))
    workdir = tmp_path / "lost"
    for lost, other in ((1, 0), (0, 1)):
        processes = train_on(hosts, workdir)
        for _ in range(3):  # the first of them has then reached the disk
            wait_for(processes[0], r"epoch \d+ ")
        processes[lost].kill()
        began = time.monotonic()
        _, err = processes[other].communicate(timeout=60)
        assert time.monotonic() - began < 60 and processes[other].returncode == 1
        assert re.match(GONE.format(lost), err) and len(err.splitlines()) == 1, err
        processes[lost].communicate()
    outs = finish(*train_on(hosts, workdir))
    assert "resuming at step" in outs[0]
    lost, whole = last_state(workdir), last_state(tmp_path / "whole")
    assert set(lost) == set(whole)
    for name, value in whole.items():
        np.testing.assert_array_equal(lost[name], value, err_msg=name)


@pytest.mark.slow
def test_each_host_names_the_other_when_the_cable_is_cut(tmp_path, hosts):
    """Nothing comes and nothing is refused: each only hears no more of the other."""
    processes = train_on(hosts, tmp_path / "run")
    wait_for(processes[0], r"epoch \d+ ")
    hosts.cut()
    codes, said = ends(processes)
    assert codes == [1, 1], said
    for text, other in zip(said, (1, 0), strict=True):
        assert re.match(GONE.format(other), text) and len(text.splitlines()) == 1, text

"""Clusters are told by their environment; JAX is asked for the rest, and only then."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
import yaml

from vae import clusters, distributed
from vae.errors import RunError, UserError
from vae.members import Members

ROOT = Path(__file__).resolve().parents[1]
SLURM = dict.fromkeys(clusters.SLURM, "0") | {
    "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_NTASKS": "2"
}  # fmt: skip
OPEN_MPI = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1,10.148.0.1:34911",
}
GKE = {"TPU_WORKER_HOSTNAMES": "a,b", "TPU_WORKER_ID": "0"}
KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}
MANY = {"Slurm": SLURM, "Open MPI": OPEN_MPI, "Cloud TPU": GKE, "Kubernetes": KUBERNETES}


def without(environment, *names):
    return {name: value for name, value in environment.items() if name not in names}


@pytest.fixture
def packages(monkeypatch):
    """Packages that seem to be installed, beside none of a cluster's."""
    there: set[str] = set()
    monkeypatch.setattr(clusters, "find_spec", lambda name: name if name in there else None)
    return there


@pytest.fixture
def asked(monkeypatch):
    """What JAX was asked to join, instead of doing it."""
    calls: list[tuple] = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *place: calls.append(place))
    monkeypatch.setattr(Members, "_catch_abort", lambda members: None)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    return calls


@pytest.mark.parametrize("cluster", MANY)
def test_a_cluster_of_several_processes_is_joined_without_flags(
    cluster, asked, packages, monkeypatch
):
    packages.add("kubernetes")
    for name, value in MANY[cluster].items():
        monkeypatch.setenv(name, value)
    assert clusters.named() == cluster
    distributed.initialize(None, None, None)
    assert asked == [()]
    distributed.initialize(None, 1, None)  # a run of its own
    assert asked == [()]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        SLURM | {"SLURM_NTASKS": "1"},
        without(SLURM, "SLURM_STEP_NODELIST"),  # the script of a batch job, no task of srun
        OPEN_MPI | {"OMPI_COMM_WORLD_SIZE": "1"},
        OPEN_MPI | {"OMPI_COMM_WORLD_SIZE": ""},
        {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"},
        without(KUBERNETES, "JOB_COMPLETION_INDEX"),
    ],
)
def test_one_process_is_none_of_several(environment, packages):
    assert clusters.named(environment) == ""


def test_slices_count_as_hosts(packages):
    one = {"TPU_WORKER_HOSTNAMES": "a", "MEGASCALE_NUM_SLICES": "2"}
    assert clusters.named(one) == "Cloud TPU"


@pytest.mark.parametrize("hosts", [1, 4])
def test_the_metadata_of_a_tpu_machine_say_how_many_hosts_there_are(hosts, packages, monkeypatch):
    from jax._src import cloud_tpu_init
    from jax._src.clusters import cloud_tpu_cluster as of_tpus

    endpoints = ",".join(f"10.0.0.{n}" for n in range(hosts))
    metadata = {"agent-worker-number": "0", "worker-network-endpoints": endpoints, "tpu-env": ""}
    monkeypatch.setattr(of_tpus, "get_metadata", lambda key: (metadata[key], 200))
    for place in (of_tpus, cloud_tpu_init):
        monkeypatch.setattr(place, "running_in_cloud_tpu_vm", True)
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    assert clusters.named({}) == ""  # without the package of TPUs
    packages.add("libtpu")
    assert clusters.named({}) == ("Cloud TPU" if hosts > 1 else "")
    assert clusters.named({"TPU_SKIP_MDS_QUERY": "1"}) == ""


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (KUBERNETES, r"pip install 'jax\[k8s\]'"),
        (without(OPEN_MPI, "OMPI_MCA_orte_hnp_uri"), "--coordinator=HOST:PORT"),
    ],
)
def test_what_jax_lacks_is_named_in_a_line(environment, words, packages):
    with pytest.raises(UserError, match=words) as raised:
        clusters.named(environment)
    assert "--num_processes=1" in str(raised.value) and "\n" not in str(raised.value)


def test_a_cluster_that_does_not_answer_is_named(asked, monkeypatch):
    def refuse(*place):
        raise RuntimeError("Kubernetes API Error: 403\n  no permission")

    monkeypatch.setattr(jax.distributed, "initialize", refuse)
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RunError, match="Slurm names several .*403 no permission") as raised:
        distributed.initialize(None, None, None)
    assert len(str(raised.value).splitlines()) == 2


def test_a_single_process_imports_nothing_and_asks_no_network():
    code = """if True:
        import socket, sys
        def refused(*args, **kwargs): raise AssertionError("network")
        socket.socket.connect = socket.getaddrinfo = refused
        from vae.distributed import initialize
        initialize(None, None, None)
        print(sorted({"jax", "numpy", "kubernetes", "vae.members"} & set(sys.modules)))
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "OMPI", "TPU"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == "[]\n", done.stderr


def test_the_manifest_of_a_jobset_runs_one_command_on_every_pod():
    """An indexed Job, which JAX needs, and as many pods as completions: all are one run."""
    [account, role, binding, jobs] = yaml.safe_load_all((ROOT / "docs/jobset.yaml").read_text())
    assert jobs["kind"] == "JobSet"
    [replicated] = jobs["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    assert job["completionMode"] == "Indexed" and job["parallelism"] == job["completions"] > 1
    pod = job["template"]["spec"]
    [container] = pod["containers"]
    assert container["command"][:3] == ["vae", "train", "--config=mnist"]
    [workdir] = [word for word in container["command"] if word.startswith("--workdir=")]
    [mount] = container["volumeMounts"]
    assert workdir.partition("=")[2].startswith(mount["mountPath"])
    assert [volume["name"] for volume in pod["volumes"]] == [mount["name"]]
    # JAX reads pods, jobs and services: the account of the pods may.
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert binding["subjects"][0]["name"] == account["metadata"]["name"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    readable = {kind for rule in role["rules"] for kind in rule["resources"]}
    assert readable == {"pods", "services", "jobs"}, json.dumps(role)

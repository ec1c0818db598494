"""Which cluster started this process beside others, told before anything is asked of a network.

A cluster is told by environment variables alone, as JAX's own detection reads them; only where the
chips of a Cloud TPU are in the machine is its metadata server asked how many hosts there are. Then
`jax.distributed.initialize()` finds out the rest.
"""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec

from vae.errors import UserError

Environment = Mapping[str, str]

BY_HAND = "give --coordinator=HOST:PORT, --num_processes and --process_id"
ALONE = "or --num_processes=1 where each is a run of its own"
SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
OPEN_MPI_URI = "OMPI_MCA_orte_hnp_uri"


def named(environment: Environment = os.environ) -> str:
    """The cluster that says there are several processes, this one among them; "" where none does.

    Raises:
      UserError: JAX cannot join the processes of this one; the message says what it lacks.
    """
    for name, (several, lacking) in CLUSTERS.items():
        if several(environment):
            if lacks := lacking(environment):
                raise UserError(f"{name} started several processes and {lacks}, {ALONE}")
            return name
    return ""


def _open_mpi(environment: Environment) -> bool:
    return _number(environment, "OMPI_COMM_WORLD_SIZE") > 1


def _open_mpi_lacks(environment: Environment) -> str:
    """Open MPI 4 says where mpirun runs; 5 does not, and JAX has no other way to tell."""
    if OPEN_MPI_URI in environment:
        return ""
    return (
        f"does not say where the first one is ({OPEN_MPI_URI} is not set): {BY_HAND} "
        "($OMPI_COMM_WORLD_SIZE and $OMPI_COMM_WORLD_RANK)"
    )


def _slurm(environment: Environment) -> bool:
    """A task of srun; the script of a batch job is no task, and runs by itself."""
    there = all(name in environment for name in SLURM)
    return there and _number(environment, "SLURM_NTASKS") > 1


def _tpu(environment: Environment) -> bool:
    """Several hosts of a TPU slice, or several slices: on GKE by the environment, elsewhere by the
    metadata server of a machine that has the chips."""
    hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get("TPU_WORKER_HOSTNAMES")
    if hosts is not None:
        return len(hosts.split(",")) * _number(environment, "MEGASCALE_NUM_SLICES") > 1
    if "TPU_SKIP_MDS_QUERY" in environment or find_spec("libtpu") is None:
        return False
    import jax  # looks for chips on this machine's bus; sets TPU_SKIP_MDS_QUERY where there is none

    del jax
    from jax._src import cloud_tpu_init
    from jax._src.clusters.cloud_tpu_cluster import GceTpuCluster

    if not cloud_tpu_init.running_in_cloud_tpu_vm or "TPU_SKIP_MDS_QUERY" in environment:
        return False
    return bool(GceTpuCluster.is_env_present()) and GceTpuCluster.get_process_count() > 1


def _kubernetes(environment: Environment) -> bool:
    """A pod of an indexed Job, as those of a JobSet are: JAX takes it for one process of a run."""
    return {"KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"} <= set(environment)


def _kubernetes_lacks(environment: Environment) -> str:
    if find_spec("kubernetes") is not None:
        return ""
    return "JAX asks its API for them with the package kubernetes: pip install 'jax[k8s]'"


def _nothing(environment: Environment) -> str:
    return ""


def _number(environment: Environment, name: str) -> int:
    """A number of the environment; 1 where it is missing or none."""
    text = environment.get(name, "")
    return int(text) if text.isdecimal() else 1


# In JAX's order: whether it started several processes, and what JAX lacks to join them.
CLUSTERS: dict[str, tuple[Callable[[Environment], bool], Callable[[Environment], str]]] = {
    "Open MPI": (_open_mpi, _open_mpi_lacks),
    "Slurm": (_slurm, _nothing),
    "Cloud TPU": (_tpu, _nothing),
    "Kubernetes": (_kubernetes, _kubernetes_lacks),
}

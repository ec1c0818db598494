"""Several processes as one run: under Slurm by themselves, elsewhere by flags."""

import os
from typing import Any

import numpy as np

from vae.errors import UserError, needed


def initialize(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Joins the processes of a run, before JAX is first used; does nothing for a single one.

    Args:
      coordinator: host:port of process 0; None to ask Slurm (`srun` with several tasks).
      num_processes, process_id: with a coordinator; how many there are, and which this one is.

    Raises:
      UserError: one of the three without the others, or with a number that is none of a process.
    """
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if 0 < len(missing) < len(given):
        raise UserError(
            f"--coordinator, --num_processes and --process_id go together: {missing[0]} is missing"
        )
    if coordinator is not None:
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdecimal():
            raise UserError(f"--coordinator={coordinator} should be HOST:PORT of process 0")
        count, number = needed(num_processes, "count"), needed(process_id, "number")
        if not 0 <= number < count:
            raise UserError(
                f"--coordinator needs --num_processes of at least 1 (got {num_processes}) and "
                f"--process_id below it (got {process_id})"
            )
        import jax

        jax.distributed.initialize(coordinator, num_processes, process_id)
    elif int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ:
        import jax

        jax.distributed.initialize()


def barrier(name: str) -> None:
    """Waits until every process is here; at once where there is one."""
    import jax

    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def agree(values: Any) -> Any:
    """Process 0's values, in every process: clocks and signals differ between them."""
    import jax

    if jax.process_count() == 1:
        return values
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.broadcast_one_to_all(values))

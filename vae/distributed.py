"""Several processes as one run: joined by the cluster that started them, or by flags."""

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vae import clusters
from vae.errors import RunError, UserError, needed

if TYPE_CHECKING:
    from vae.members import Members

_members: "Members | None" = None  # of the run that this process has joined


def initialize(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    together: bool = True,
) -> None:
    """Joins the processes of a run, before JAX is first used; does nothing for a single one.

    Args:
      coordinator: host:port of process 0; None to ask the cluster (`vae.clusters`).
      num_processes, process_id: with a coordinator; how many there are, and which this one is. One
        process alone is a run of its own, whatever the cluster says.
      together: their devices are those of one run. Else each has its own alone, and JAX there knows
        of one process: they `share` and `meet`, and nothing else.

    Raises:
      UserError: one of the three without the others, or with a number that is none of a process; or
        JAX lacks what it takes to join the cluster's processes.
      RunError: the others could not be reached.
    """
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if num_processes == 1 and len(missing) == 2:
        return
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
        _join(together, "the command", coordinator, num_processes, process_id)
    elif cluster := clusters.named():
        _join(together, cluster)


def _join(together: bool, by: str, *place: Any) -> None:
    """Calls JAX, and watches the other processes from then on."""
    global _members
    # JAX says that another process is gone in pages of its log; `vae.members` says it in a line.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "4")
    import jax

    from vae.members import Members

    members = Members(together)
    try:
        jax.distributed.initialize(*place)
    except Exception as error:  # of many types: what a cluster lacks, or does not answer
        said = " ".join(str(error).split()) or type(error).__name__
        failure = UserError if isinstance(error, ImportError) else RunError
        raise failure(
            f"{by} names several processes, and JAX could not join them: {said}\n"
            f"{clusters.BY_HAND}, {clusters.ALONE}"
        ) from error
    from jax._src.distributed import global_state

    with suppress(ValueError):  # JAX has taken SIGTERM; not of the main thread: nothing to take
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    if global_state.num_processes > 1:
        members.watch(global_state)
        _members = members


def leave(code: int, message: str) -> None:
    """Before a command ends: tells the other processes of the run how; nothing for a single one."""
    if _members:
        _members.leave(code, message)


def suspect() -> None:
    """After an error that another process may be the reason of: where one is gone, this one ends
    and says so."""
    if _members and _members.together:
        _members.suspect()


def joined() -> bool:
    """Whether this process is one of several of a run."""
    return _members is not None


def first() -> bool:
    """Whether this process writes what the processes of a run have one of."""
    return _members is None or _members.number == 0


def place() -> tuple[int, int]:
    """Which process of a run this one is, and how many there are."""
    return (_members.number, _members.count) if _members else (0, 1)


def share(name: str, value: Any) -> Any:
    """Process 0's value, which JSON can hold; the others wait until it is there."""
    return _members.share(name, value) if _members else value


def meet(name: str) -> None:
    """Waits for every process, for however long, and not on the devices as `barrier` does."""
    if _members:
        _members.meet(name)


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
    return gathered(values)[0]


def gathered(values: Any) -> Any:
    """The values of every process, [P, ...]."""
    import jax
    import numpy as np

    if jax.process_count() == 1:
        return np.asarray(values)[None]
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(values))


def elsewhere(path: Any) -> str:
    """What is said where a process does not see what process 0 has written."""
    return (
        f"process 0 has written to {path}, and it is not there for process {place()[0]}: "
        "--workdir has to be on a file system that all hosts share"
    )

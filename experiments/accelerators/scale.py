"""One run and a sweep of 1,024 trials on 1 to 256 chips, by the compiler; and the host beside them.

The run's batch is split over the chips (1,024 examples in all), the sweep's trials are spread over
them. Bytes and collectives are of one chip and step. What the host does for each trial is measured
here: the rows of a call, a checkpoint, and the numbers read back after each call.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import result_files
from experiments.accelerators import rows
from vae import runs
from vae.hardware.plan import amount
from vae.reports.tables import format_table

GRIDS = ("1x1", "2x2", "4x4", "8x8", "16x16")
TRIALS, BATCH, ROUNDS = 1024, 1024, 5
KEPT = (
    "devices", "trials_a_device", "rounds", "compile_seconds", "needed_bytes", "argument_bytes",
    "temporary_bytes", "flops", "moved_bytes", "collectives", "collective_bytes",
    "roofline_seconds",
)


def main(data_dir: str, workdir: str) -> int:
    """Compiles what is not compiled yet and writes results/accelerators_scale.json."""
    found = []
    for grid in GRIDS:
        for what, extra in (
            ("run", [f"--config.train.batch_size={BATCH}", "--config.train.parallel=auto"]),
            ("population", [f"--seeds={TRIALS}"]),
        ):
            command = ["vae", "plan", "--config=mnist", f"--target=v5e:{grid}", *extra]
            command.append(f"--config.data.dir={data_dir}")
            path = Path(workdir) / "scale" / f"{what}-{grid}.json"
            result = rows.compiled(path, command, data_dir)
            if "error" in result:
                found.append({"what": what, "chips": grid, "reason": result["error"]})
                continue
            (row,) = result["programs"]
            kept = {key: row[key] for key in KEPT if key in row}
            found.append({"what": what, "chips": grid, "command": result["command"], **kept})
    host = on_host(data_dir)
    print(_table(found))
    for name, each in host.items():
        print(f"{name}, a trial: {1e3 * each['seconds']:.2f} ms, {amount(each['bytes'])}")
    result_files.write(
        "accelerators_scale",
        {
            **runs.environment(),
            "command": "python -m experiments.accelerators --scale --data_dir=DATA",
            "trials": TRIALS,
            "batch_of_the_run": BATCH,
            "rows": found,
            "host_a_trial": host,
        },
    )
    return 0


def on_host(data_dir: str) -> dict[str, dict[str, float]]:
    """What the host does for one trial of `configs/mnist.py`: median seconds, and bytes."""
    import jax

    from vae import automatic, data
    from vae.checkpoint import Checkpoints
    from vae.configs import mnist
    from vae.training import setup
    from vae.training.feed import Feed
    from vae.training.state import Creator

    config = mnist.get_config()
    config.data.dir = data_dir
    config = automatic.resolved(config)
    dataset = data.load(config.data)
    program = setup.program(config, dataset)
    state = Creator(program, dataset.shape)(setup.hyperparameters(config))
    train, steps = dataset.splits["train"], program.steps_per_epoch
    feeds = [Feed(train, seed, config.train.batch_size, False) for seed in range(ROUNDS)]
    taken = [feed.rows(0, steps) for feed in feeds]
    bytes_of_state = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    with tempfile.TemporaryDirectory() as folder, Checkpoints(Path(folder)) as checkpoints:

        def save(number: int) -> None:
            checkpoints.save(number + 1, state, float(number))
            checkpoints.wait()

        return {
            f"rows of an epoch ({steps} steps)": {
                "seconds": _median(lambda number: feeds[number].rows(steps, steps)),
                "bytes": taken[0].nbytes,
            },
            "a checkpoint": {"seconds": _median(save), "bytes": bytes_of_state},
            "what a call returns": {
                "seconds": _median(lambda number: jax.device_get(state.book())),
                "bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(state.book())),
            },
        }


def _median(work: Callable[[int], Any]) -> float:
    seconds = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _table(found: list[dict[str, Any]]) -> str:
    return format_table(
        [
            {"what": row["what"], "chips": row["chips"], "reason": row["reason"][:60]}
            if "reason" in row
            else {
                "what": row["what"],
                "chips": row["chips"],
                "trials a chip": row["trials_a_device"],
                "memory": amount(row["needed_bytes"]),
                "moved": amount(row["moved_bytes"]),
                "collectives": sum(row["collectives"].values()),
                "sent": amount(row["collective_bytes"]),
                "step": f"{1e6 * row['roofline_seconds']['step']:.3g} us",
            }
            for row in found
        ]
    )

"""One trial of a sweep in a process of its own: `python -m vae.sweeps.worker RUN_DIRECTORY`.

Trains the config that the directory holds, resuming what is there, then evaluates and reports.
Launchers start it with the devices it may use (`--cpus=0,1` pins it to cores). Exit codes are those
of the command line; training that diverged leaves `failure.json`.
"""

import os
import sys
from pathlib import Path


def run(workdir: Path) -> None:
    """Trains, evaluates and reports one run directory that has its config.

    Raises:
      UserError, RunError: as `vae.train` and `vae.evaluate`.
    """
    import vae
    from vae import runs
    from vae.reports.page import report

    vae.train(runs.read_config(workdir), str(workdir))
    vae.evaluate(str(workdir))
    report(workdir)


def main(arguments: list[str]) -> int:
    """Runs the trial; returns the exit code."""
    from vae.command import guarded

    *flags, workdir = arguments
    for flag in flags:
        cores = [int(core) for core in flag.removeprefix("--cpus=").split(",")]
        os.sched_setaffinity(0, cores)  # before any library counts them
    return guarded(lambda: run(Path(workdir)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

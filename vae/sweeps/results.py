"""Compares the seeds of a sweep's finished trials, and makes its table and its page."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae import run_files, runs
from vae.errors import RunError
from vae.reports import summary
from vae.sweeps.agreement import across_seeds
from vae.sweeps.directory import SweepDirectory

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained
    from vae.reports.sweep_panels import Samples

SHOWN = 16  # samples of each trial on the page


def finish(directory: SweepDirectory) -> None:
    """Compares seeds, writes table and page, prints the summary.

    Raises:
      RunError: trials failed.
    """
    from vae.reports.sweep_page import sweep_report

    print(f"{directory.path}: comparing the trials, drawing the page", flush=True)
    load = loader()
    across_seeds(directory, load)
    found = directory.write()
    page = sweep_report(directory.path, sampler(load))
    rows = summary.rows(found, directory.path)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    print(f"\n{narrowed(summary.summary_table(rows, found['keys']), width)}\n")
    print(f"  table   {directory.path / 'results.csv'}\n  report  {page}", flush=True)
    failed = directory.failed()
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise RunError(
            f"{len(failed)} of {len(directory.trials)} trials failed: {reasons}\n"
            f"the others are done; to try one again, delete its directory in "
            f"{directory.path / 'trials'}"
        )


def narrowed(table: str, width: int) -> str:
    """A table for the terminal without the columns that its width has no room for, and a line that
    says so; whole where the width is 0."""
    lines = table.splitlines()
    if not width or max(map(len, lines)) <= width:
        return table
    ends = [match.end() for match in re.finditer("─+", lines[1])]
    kept = max((end for end in ends if end <= width), default=ends[0])
    more = sum(end > kept for end in ends)
    shown = [line[:kept].rstrip() for line in lines]
    return "\n".join([*shown, f"{more} more column{'s' * (more > 1)}: see results.csv"])


def report(directory: str | Path, formats: Sequence[str] = ("png",)) -> Path:
    """Writes the page of a sweep: `sweep_report` with pictures of its trials."""
    from vae.reports.sweep_page import sweep_report

    return sweep_report(directory, sampler(loader()), formats)


def sampler(load: Callable[[Path], "Trained"]) -> "Samples":
    """Draws a few images of a run that `load` gives, as a sweep's page shows them."""
    from vae.reports.sampling import for_a_grid

    def samples(workdir: Path) -> tuple[np.ndarray, list[str]] | None:
        run = load(workdir)
        return for_a_grid(run, SHOWN) if len(run.shape) == 3 else None

    return samples


def loader() -> Callable[[Path], "Trained"]:
    """Loads runs; models of one shape compile once."""
    from vae.estimators.compiled import Compiled
    from vae.evaluation.trained import load

    known: dict[str, Compiled] = {}

    def loaded(workdir: Path) -> "Trained":
        described = run_files.read_data(workdir)
        config = runs.read_config(workdir).model.to_dict()
        seen = [described[name] for name in ("shape", "levels", "context_size")]
        key = json.dumps([config, *seen])
        run = load(workdir, compiled=known.get(key))
        known[key] = run.compiled
        return run

    return loaded

"""Runs a case through the command line, in this process, and says how it ended."""

import contextlib
import gc
import io
import json
import math
import shutil
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from tests.fuzzing.draw import Case
from vae.__main__ import main
from vae.config import flatten

MOST_LINES = 3  # of a message
ENDINGS = {1: "stopped", 2: "refused"}


class Fault(Exception):
    """A case that ended neither well nor in a message."""


def run(case: Case, folder: Path) -> dict[str, Any]:
    """Trains, evaluates, samples and reports a case.

    Args:
      folder: an empty one, for its data and its run.

    Returns:
      `outcome`: "trained", where every verb did what it does; "refused" or "stopped", where one
      ended in a message and the exit code 2 or 1; "failed", at a fault. Then `verb`, `message`;
      always `seconds`, of CPU time, and `warnings`, those that were printed.
    """
    began, warned = time.process_time(), []
    found: dict[str, Any] = {"outcome": "trained"}
    path = case.source.write(folder)
    workdir = folder / "run"
    verbs = [("train", [*case.flags(path), f"--workdir={workdir}"])]
    verbs += [("train again", verbs[0][1])] * case.resumes
    for verb in ("evaluate", "sample", "report"):
        verbs.append((verb, [f"--workdir={workdir}", *getattr(case, verb)]))
    for verb, flags in verbs:
        try:
            if verb == "train again":
                _lose_last_checkpoint(workdir)
            message, outcome = _command([verb.split()[0], *flags], warned)
            if not message:
                _check(verb, workdir)
        except (Exception, SystemExit) as error:
            text = str(error) if isinstance(error, Fault) else traceback.format_exc()
            message, outcome = text[-4000:], "failed"
        if message and found["outcome"] != "failed":
            earlier = found["outcome"] != "trained"
            if not earlier or outcome == "failed":
                found = {"outcome": outcome, "verb": verb, "message": message}
        if message and verb.startswith("train"):
            break
    found["seconds"] = round(time.process_time() - began, 2)
    return found | {"warnings": sorted(set(warned))}


def drop_programs() -> None:
    """Compiled programs take memory mappings, of which a process may have 65,530."""
    jax.clear_caches()
    gc.collect()


def _command(arguments: list[str], warned: list[str]) -> tuple[str, str]:
    """Runs a command: its error message and what that makes of the case, or ("", "")."""
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = main(arguments)
    lines = [line for line in err.getvalue().splitlines() if line.strip()]
    rest = [line for line in lines if not line.startswith("warning: ")]
    warned += [line for line in lines if line.startswith("warning: ")]
    message = "\n".join(rest)
    if code not in (0, 1, 2):
        raise Fault(f"exit code {code}: {message}")
    if code == 0:
        if rest:
            raise Fault(f"exit code 0, and on stderr: {message}")
        return "", ""
    if not message.startswith("error: ") or len(rest) > MOST_LINES or len(message) > 1500:
        raise Fault(f"exit code {code} and no message of {MOST_LINES} lines:\n{message}")
    return message, ENDINGS[code]


def _check(verb: str, workdir: Path) -> None:
    """Raises Fault where a verb that ended well left something that is not finite, or nothing."""
    if verb == "evaluate":
        result = json.loads((workdir / "evaluation.json").read_text())
        wrong = [name for name, value in _numbers(result) if not math.isfinite(value)]
        if wrong:
            raise Fault(f"evaluation.json is not finite: {', '.join(wrong[:5])}")
    if verb == "sample":
        mean = np.load(workdir / "samples.npz")["mean"]
        if not np.isfinite(mean).all():
            raise Fault("samples.npz is not finite")
    if verb == "report" and not (workdir / "report.html").stat().st_size:
        raise Fault("report.html is empty")


def _numbers(result: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for part in ("metrics", "arrays"):
        for name, value in flatten(result[part]):
            if isinstance(value, float | list):
                yield from ((name, float(number)) for number in np.ravel(value).tolist())


def _lose_last_checkpoint(workdir: Path) -> None:
    saved = [path for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()]
    if len(saved) > 1:
        shutil.rmtree(max(saved, key=lambda path: int(path.name)))

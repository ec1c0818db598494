"""One program a process, so that a compiler that crashes is a row and not the end."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from absl import flags

from experiments.result_files import ROOT
from vae import runs
from vae.hardware.targets import Target, parse, prepare
from vae.tied import tied

LIMIT = 1800  # seconds of one compilation


def asked(arguments: list[str], default: str) -> tuple[Target, Path]:
    """What a child process is to compile for, set up before JAX is used, and where it writes."""
    values = flags.FlagValues()
    flags.DEFINE_string("target", default, "devices to compile for", flag_values=values)
    flags.DEFINE_string("output", "", "the .json to write", flag_values=values)
    values(["rows", *arguments])
    target = parse(values.target)
    prepare(target)
    return target, Path(values.output)


def shown(command: list[str], data_dir: str = "") -> str:
    """A command as the result has it, with DATA for the data directory."""
    words = (word.replace(data_dir or "DATA", "DATA") for word in command)
    return " ".join(["python", "-m", *words])


def compiled(path: Path, command: list[str], data_dir: str = "") -> dict[str, Any]:
    """What a command writes to `path`, a .json, run where that is not there yet.

    Args:
      command: arguments of `python -m`; `--output` is added.
      data_dir: stands for DATA in the row's command.

    Returns:
      What it wrote; or {"error": why it did not}.
    """
    failed = path.with_suffix(".failed.json")
    for known in (path, failed):
        if known.exists():
            return runs.read_json(known) | {"command": shown(command, data_dir)}
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    try:
        done = subprocess.run(
            tied([sys.executable, "-m", *command, f"--output={path}"]), cwd=ROOT, text=True,
            env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            timeout=LIMIT,
        )  # fmt: skip
        said, code = done.stderr, done.returncode
    except subprocess.TimeoutExpired:
        said, code = f"not compiled after {LIMIT} s", 1
    print(f"{time.perf_counter() - began:6.0f} s  {' '.join(command)}", flush=True)
    if not path.exists():
        lines = said.strip().splitlines() or ["no message"]
        telling = (line for line in lines if "error:" in line or "Check fail" in line)
        reason = next(telling, lines[-1])
        found = {"error": f"exit code {code}: {' '.join(reason.split())[:300]}"}
        runs.write_json(failed, found | runs.environment())
    return compiled(path, command, data_dir)

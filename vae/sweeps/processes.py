"""Trials on this machine as a process each."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import vae
from vae import runs
from vae.errors import Interrupted
from vae.sweeps.directory import SweepDirectory
from vae.sweeps.plan import Trial
from vae.tied import tied

ATTEMPTS = 2  # of a process that dies
GRACE = 60.0  # seconds that processes get to save after Ctrl-C
PROBE = "import jax, json; print(json.dumps([jax.default_backend(), jax.local_device_count()]))"


def run(
    directory: SweepDirectory, trials: Sequence[Trial], slots: int, done: Callable[[Trial], None]
) -> None:
    """Runs trials as processes, at most one a slot; one that dies is started once more.

    Each writes to `log.txt` in its run directory, sees the devices of its slot alone, and on CPUs
    keeps to the slot's cores. Where this process is killed, each saves and ends.

    Args:
      slots: processes at a time; 0: one an accelerator, or one a core.

    Raises:
      KeyboardInterrupt: Ctrl-C, or SIGTERM (Interrupted); every process has saved.
    """
    visible = slots_of_machine(slots, len(trials))
    waiting = deque((trial, 1) for trial in trials)
    running: dict[int, tuple[subprocess.Popen, Trial, int]] = {}
    previous = signal.signal(signal.SIGTERM, _interrupt)
    directory.write()
    try:
        while waiting or running:
            for slot in range(len(visible)):
                if slot not in running and waiting:
                    trial, attempt = waiting.popleft()
                    process = _start(directory.claim(trial), visible[slot])
                    running[slot] = (process, trial, attempt)
            time.sleep(0.1)
            for slot, (process, trial, attempt) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[slot]
                reason = _reason(process, directory.workdir(trial))
                final = process.returncode == 2 or runs.failure(directory.workdir(trial))
                if reason and attempt < ATTEMPTS and not final:
                    waiting.append((trial, attempt + 1))
                    continue
                if reason:
                    directory.note(trial, "failed", reason)
                print(f"{trial.name}  {reason or 'done'}", flush=True)
                done(trial)
    finally:
        signal.signal(signal.SIGTERM, previous)
        _stop([process for process, _, _ in running.values()])


def _interrupt(number: int, frame: object) -> None:
    raise Interrupted(number)


def slots_of_machine(slots: int, trials: int) -> list[dict[str, str]]:
    """What each slot's process may use: {"cpus": "0,1"} or {"gpu": "3"}.

    Accelerators are counted in another process, so that this one holds none of them.
    """
    probe = tied([sys.executable, "-c", PROBE])
    asked = subprocess.run(probe, stdout=subprocess.PIPE, text=True)
    platform, devices = json.loads(asked.stdout) if asked.returncode == 0 else ("cpu", 1)
    cores = sorted(os.sched_getaffinity(0))
    count = max(1, min(trials, slots or (devices if platform != "cpu" else len(cores))))
    if platform == "gpu":
        return [{"gpu": str(slot % devices)} for slot in range(count)]
    shares = [cores[slot::count] or [cores[slot % len(cores)]] for slot in range(count)]
    return [{"cpus": ",".join(map(str, share))} for share in shares]


def _start(workdir: Path, visible: dict[str, str]) -> subprocess.Popen:
    root = str(Path(vae.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-P", "-m", "vae.sweeps.worker"]
    if "gpu" in visible:
        env["CUDA_VISIBLE_DEVICES"] = visible["gpu"]
    else:
        threads = str(visible["cpus"].count(",") + 1)
        env |= {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        env |= {"JAX_NUM_CPU_DEVICES": "1"}
        command.append(f"--cpus={visible['cpus']}")
    with open(workdir / "log.txt", "a") as log:
        return subprocess.Popen(
            tied([*command, str(workdir)]),
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C comes from here, once
        )


def _reason(process: subprocess.Popen, workdir: Path) -> str:
    """Why a process did not end well, in a line; "" where it did."""
    if process.returncode == 0:
        return ""
    if reason := runs.failure(workdir):
        return reason
    lines = (workdir / "log.txt").read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("error:")]
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return f"its process was killed ({name}); see {workdir / 'log.txt'}"
    said = errors[-1].removeprefix("error: ") if errors else lines[-1] if lines else "no message"
    return f"{said}; see {workdir / 'log.txt'}"


def _stop(processes: list[subprocess.Popen]) -> None:
    """Asks processes to save and waits; those that do not end in time are killed."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()

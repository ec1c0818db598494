"""The run directory: everything that is known of a run, and the lock that keeps it single."""

import fcntl
import functools
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ml_collections import ConfigDict

from vae import config as configs
from vae import in_memory, lengths, npz, parts
from vae.errors import UserError, typed
from vae.npz import replacing
from vae.paths import absolute, located, moved, of_data

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "ml-collections", "numpy")


def write_atomic(path: Path, text: str) -> None:
    """Writes a whole file or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Writes all of a JSON file at once, so that no reader finds half of it."""
    write_atomic(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path, remedy: str = "restore it or delete the run") -> Any:
    """Reads a JSON file of a run; a missing or damaged one is a UserError that names it."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: {remedy}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}): {remedy}") from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads an .npz of a run; a damaged one is a UserError that names it."""
    try:
        return npz.read(path)
    except npz.NOT_ARRAYS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} cannot be read ({reason}): evaluate the run again") from None


def read_config(workdir: Path) -> ConfigDict:
    """The config that a run directory holds; relative paths of an older run start at the current
    directory, and data that the run keeps are where it is.

    Raises:
      UserError: `workdir` is no run directory, or its config is damaged.
    """
    path = workdir / "config.json"
    if not path.exists():
        raise UserError(f"{workdir} is not a run directory (no config.json): train one first")
    text = json.dumps(read_json(path))
    try:
        config = configs.from_json(text)
        unknown = configs.unknown(config)
        if unknown is None:
            config = configs.completed(config)
            configs.check(config)
    except (UserError, ValueError, TypeError, AttributeError, KeyError) as error:
        reason = error if isinstance(error, UserError) else "it holds no config"
        raise UserError(f"{path}: {reason}: restore it or delete the run") from None
    if unknown is not None:
        raise UserError(
            f"{path} has the key {unknown!r}, which this version of vae does not know: use the one "
            "that wrote it (git_revision in environment.json), or take the key out"
        )
    return _with_own_data(workdir, located(config))


def _with_own_data(workdir: Path, config: ConfigDict) -> ConfigDict:
    """A config whose data are those that the run keeps, if it keeps any: they move with it."""
    own = workdir / Path(config.data.path).name
    if own.name not in in_memory.NAMES or not own.exists():
        return config
    copy = ConfigDict(config.to_dict())
    copy.data.path = absolute(str(own))
    return copy.lock()


def claim(workdir: Path, config: ConfigDict, extend: bool = False, contents: str = "") -> None:
    """Writes `config` into a new run directory, or checks it against the one that is there.

    A run may go on for longer: environment.json notes it, and earlier measurements are put aside.

    Args:
      extend: see `lengths.goes_on`.
      contents: the checksum of the data at hand; "" if they have not been read. If the run knows
        its own checksum, `data.path` may differ: the data have moved.

    Raises:
      UserError: the directory holds another config (the difference is shown), a run trained on
        other data, or files that are no run's, or cannot be written.
    """
    path = workdir / "config.json"
    if path.exists():
        before, known = read_config(workdir), _known_contents(workdir)
        theirs = moved(before, config) if known else before
        longer = lengths.goes_on(f"{workdir} holds a run", config, theirs, extend)
        check_contents(workdir, config, known, contents)
        warn_of_changed_parts(workdir, config)
        if longer:
            _extend(workdir, before.train.epochs, longer)
    elif any(item.name not in ("lock", *in_memory.NAMES) for item in workdir.iterdir()):
        raise UserError(f"{workdir} holds other files and no config.json: use another --workdir")
    write_atomic(path, configs.to_json(config))


def _extend(workdir: Path, epochs: int, longer: str) -> None:
    """Runs before the longer config is written, so that an interruption here is made good by the
    next call."""
    found = _environment_of(workdir)
    if longer not in found.get("extended", []):
        found["extended"] = [*found.get("extended", []), longer]
        write_json(workdir / "environment.json", found)
    measured = workdir / "evaluation.json"
    if measured.exists():
        measured.replace(workdir / f"evaluation_{epochs}_epochs.json")


def _environment_of(workdir: Path) -> dict[str, Any]:
    """What environment.json holds; nothing where it is missing or damaged: a launch mends it."""
    try:
        found = read_json(workdir / "environment.json")
    except UserError:
        return {}
    is_whole = isinstance(found, dict) and isinstance(found.get("extended", []), list)
    return found if is_whole else {}


def write_environment(workdir: Path, config: ConfigDict) -> None:
    """Writes environment.json: this launch, where parts from outside came from, and how earlier
    launches made the run longer."""
    kept = {key: v for key, v in _environment_of(workdir).items() if key == "extended"}
    if origins := parts.origins(configs.outside(config)):
        kept["parts"] = origins
    write_json(workdir / "environment.json", environment() | kept)


def warn_of_changed_parts(workdir: Path, config: ConfigDict) -> None:
    """Warns where a part from outside is not what it was when the run was last trained."""
    names = configs.outside(config)
    before = _environment_of(workdir).get("parts", {}) if names else {}
    for said in parts.changed(before, names):
        warnings.warn(f"{workdir} was trained with another one: {said}", stacklevel=3)


def check_contents(workdir: Path, config: ConfigDict, known: str, contents: str) -> None:
    """Raises UserError where both checksums of data are known, and differ."""
    if known and contents and known != contents:
        raise UserError(
            f"{of_data(config)} does not hold what {workdir} was trained on: its contents differ\n"
            "bring those back, or train anew with another --workdir"
        )


def _known_contents(workdir: Path) -> str:
    """The checksum of what a run was trained on; "" where it is older than that, or damaged."""
    try:
        return str(read_json(workdir / "data.json").get("contents", ""))
    except (UserError, AttributeError):
        return ""  # training writes that file again


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Holds the run directory for this process; the system releases it when the process ends.

    Raises:
      UserError: another process holds it, or it cannot be made.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        handle = open(workdir / "lock", "a+")
    except OSError as error:
        raise UserError(f"cannot write to {workdir}: {error.strerror}") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{workdir} is in use by another process ({_signature(handle)}): wait for it, or "
                "use another --workdir"
            ) from None
        with suppress(OSError):  # a full disk: the lock holds without its holder's name
            handle.truncate(0)
            handle.write(f"{os.getpid()} on {platform.node()}\n")
            handle.flush()
        yield


def holder(workdir: Path) -> str:
    """The process that holds a run directory, as "1234 on HOST"; "" where none does."""
    try:
        handle = open(workdir / "lock")
    except OSError:
        return ""
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _signature(handle)
    return ""


def _signature(lock: TextIO) -> str:
    """What the holder of a lock wrote into it."""
    lock.seek(0)
    return lock.readline().strip() or "unknown"


@functools.cache  # one process runs one revision, and a sweep asks for it with every trial
def git_revision() -> str:
    """The revision of this code, "-dirty" behind it where files differ, or "unknown"."""
    root = Path(__file__).parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


@functools.cache
def source(*rooms: str) -> str:
    """A hash of this package's text, or of folders of it: of what keeps the work of that code."""
    root = Path(__file__).parent
    found = hashlib.sha256()
    for room in rooms or ("",):
        for path in sorted((root / room).rglob("*.py")):
            found.update(f"{path.relative_to(root)}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


@functools.cache
def versions() -> dict[str, str]:
    """Of the packages that a result depends on."""
    return {name: metadata.version(name) for name in PACKAGES}


def command() -> str:
    """How the program was called, to be pasted into a shell."""
    here = Path(sys.argv[0]).name == "vae" or Path(sys.argv[0]).parent == Path(__file__).parent
    called = typed() if here else shlex.quote(sys.argv[0])
    return " ".join([called, *map(shlex.quote, sys.argv[1:])])


def environment() -> dict[str, Any]:
    """Versions, devices, git revision, command and time: what a result needs to be repeated."""
    import jax

    devices = jax.devices()
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": command(),
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "versions": versions(),
        "platform": platform.platform(),
        "devices": [device.device_kind for device in devices],
        "processes": jax.process_count(),
        "cpu_count": os.cpu_count(),
    }


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, oldest first; a last line cut short by a kill is left out.

    Each has a `step` and a `split`, and beside them numbers alone.

    Raises:
      UserError: another line is damaged.
    """
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        *lines, last = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): move it away") from None
    records = []
    for number, line in enumerate(lines):
        record = _record(line)
        if record is None:
            raise UserError(f"{path} is damaged at line {number + 1}: delete that line")
        records.append(record)
    return records + [record for record in [_record(last)] if record]


def _record(line: bytes) -> dict[str, Any] | None:
    """A line of metrics.jsonl; None where it is damaged."""
    try:
        found = json.loads(line)
        numbers = [value for name, value in found.items() if name != "split"]
        right = isinstance(found["split"], str) and isinstance(found["step"], int)
    except (ValueError, KeyError, AttributeError, RecursionError):
        return None
    are_numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    return found if right and are_numbers and found["step"] >= 0 else None


def rewind_metrics(workdir: Path, step: int) -> None:
    """Drops the lines after `step`, which a resumed run is about to write again."""
    records = [record for record in read_metrics(workdir) if record["step"] <= step]
    write_atomic(workdir / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in records))


def training_seconds(workdir: Path) -> float:
    """Seconds of training so far, without compilation, from the speeds in metrics.jsonl."""
    batch_size = read_config(workdir).train.batch_size
    seconds, before = 0.0, 0
    for record in read_metrics(workdir):
        if record["split"] != "train":
            continue
        if record.get("examples_per_second", 0.0) > 0.0:
            seconds += (record["step"] - before) * batch_size / record["examples_per_second"]
        before = record["step"]
    return seconds


def failure(workdir: Path) -> str:
    """Why the run in a directory failed for good; "" where it did not."""
    path = workdir / "failure.json"
    if not path.exists():
        return ""
    remedy = "delete it, and train with the same config to see why the run failed"
    found = read_json(path, remedy)
    if not isinstance(found, dict) or not isinstance(found.get("reason"), str):
        raise UserError(f"{path} is damaged (it holds no reason): {remedy}")
    return found["reason"]

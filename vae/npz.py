"""Arrays in NumPy's files: read no further than a file goes, written whole or not at all."""

import contextlib
import glob
import math
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from vae.errors import UserError

DEFLATES = 1032  # bytes that one byte of a deflated file can stand for, at most
NOT_ARRAYS = (
    OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, struct.error,
    RuntimeError,  # a flipped bit says that a member is encrypted, or of an unknown method
)  # fmt: skip


def opened(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of an .npz by name, or of an .npy as "x"; read when they are asked for.

    NumPy makes room for as much as a header says before it reads. Here the header is first compared
    with the file's size. Pickles are refused, because they can run any code.

    Raises:
      NOT_ARRAYS: no such file, or a damaged one; also raised when an array is read.
    """
    if path.suffix == ".npy":
        with open(path, "rb") as file:
            _check(file, path.stat().st_size, path.name)
        return {"x": np.load(path, mmap_mode="r")}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            most = DEFLATES if member.compress_type == zipfile.ZIP_DEFLATED else 1
            if member.file_size > most * member.compress_size + DEFLATES:
                raise ValueError(f"{member.filename} is said to be larger than it can be")
            with archive.open(member) as file:
                _check(file, member.file_size, member.filename)
    return np.load(path)


def read(path: Path) -> dict[str, np.ndarray]:
    """All of `opened`, in memory.

    Raises:
      NOT_ARRAYS: as `opened`.
    """
    found: Any = opened(path)
    with contextlib.nullcontext() if path.suffix == ".npy" else found:
        return {name: np.asarray(found[name]) for name in found}


def _check(file: IO[bytes], size: int, name: str) -> None:
    """Raises ValueError where the header of an .npy of `size` bytes declares more."""
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0
    if version != (1, 0):
        header = np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    needed = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and needed > size - file.tell():
        raise ValueError(
            f"the header of {name} declares {needed:,} bytes of {dtype} {shape}, and "
            f"{size - file.tell():,} follow"
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to; it takes the place of `path` once it is whole.

    Raises:
      UserError: a directory stands in its place.
    """
    if path.is_dir():
        raise UserError(f"{path} is a directory and should be a file: move it away")
    sweep_up(path.parent, path.name)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep_up(folder: Path, name: str) -> None:
    """Deletes what killed processes left in a folder: files `.PID.name` whose process is gone."""
    for left in folder.glob(f".*.{glob.escape(name)}"):
        pid = left.name.split(".")[1]
        if not pid.isdecimal() or _lives(int(pid)):
            continue
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes an .npz."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def write_in_parts(
    path: Path, name: str, shape: tuple[int, ...], parts: Iterator[np.ndarray], **rest: Any
) -> None:
    """Writes an .npz with one float32 array that need not fit in memory.

    Args:
      shape: of the whole array.
      parts: its rows from the first on, [n, ...] each.
      rest: the other arrays.

    Raises:
      UserError: the disk has no room for it.
    """
    needed, free = 4 * math.prod(shape), shutil.disk_usage(path.parent).free
    if needed > free:
        raise UserError(
            f"{name} of shape {shape} takes up to {needed / 2**30:,.1f} GiB and {path.parent} has "
            f"{free / 2**30:,.1f} GiB free: ask for fewer"
        )
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_2_0(file, header)
            for part in parts:
                file.write(np.ascontiguousarray(part, "<f4").tobytes())
        for other, value in rest.items():
            with archive.open(f"{other}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(value), allow_pickle=False)

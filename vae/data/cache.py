"""Arrays that took work to make, kept as .npy files: a folder is there whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vae import npz
from vae.errors import RunError


def root() -> Path:
    """The user's cache: $XDG_CACHE_HOME/vae, or ~/.cache/vae."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vae"


def arrays(folder: Path, build: Callable[[Path], None]) -> dict[str, np.ndarray]:
    """Returns the arrays in `folder`, memory-mapped, by file name without '.npy'.

    Args:
      folder: where they are, or will be.
      build: called to write them into a folder where they are missing or damaged.

    Raises:
      RunError: the folder cannot be written.
    """
    try:
        return _read(folder)
    except FileNotFoundError:
        pass
    except (OSError, ValueError):  # damaged after it was written
        shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        npz.sweep_up(folder.parent, folder.name)
        new = folder.parent / f".{os.getpid()}.{folder.name}"
        try:
            new.mkdir()
            build(new)
            try:
                new.rename(folder)  # a reader sees all of it or nothing
            except OSError:
                if not folder.is_dir():  # not another process that was faster
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
        return _read(folder)
    except OSError as error:
        raise RunError(
            f"cannot write the cache {folder}: {error.strerror or error}\n"
            "Make room there, or set XDG_CACHE_HOME to a folder that can be written."
        ) from error


def _read(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(folder.glob("*.npy"))
    if not files:
        raise FileNotFoundError(folder)
    return {file.stem: np.load(file, mmap_mode="r") for file in files}

"""The original files of CIFAR-10 in their binary layout: read and checked, without TensorFlow."""

import lzma
import tarfile
import zlib
from pathlib import Path

import numpy as np

from vae.errors import UserError

ARCHIVE = "cifar-10-binary.tar.gz"
FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
LABELS = "batches.meta.txt"
EACH = 10_000  # examples of a file
SIZE = 1 + 3 * 32 * 32  # bytes of one: its label, then its red, green and blue


def read_split(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads one split: from the files, each as it is or as .xz, or from the archive.

    Returns:
      Images, uint8 [N, 32, 32, 3], and labels, int64 [N], in the order of the files.

    Raises:
      UserError: a file is missing or damaged.
    """
    parts = [_rows(folder, name) for name in FILES[split]]
    rows = np.concatenate(parts)
    images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, rows[:, 0].astype(np.int64)


def read_names(folder: Path) -> list[str]:
    """Names of the labels 0 to 9."""
    names = [name for name in _content(folder, LABELS).decode().split("\n") if name.strip()]
    if len(names) != 10:
        raise UserError(f"{folder}: {LABELS} names {len(names)} classes, cifar10 has 10")
    return names


def _rows(folder: Path, name: str) -> np.ndarray:
    content = _content(folder, name)
    if len(content) != EACH * SIZE:
        raise UserError(
            f"{folder}: {name} is damaged or not of cifar10: it has {len(content):,} bytes, not "
            f"{EACH * SIZE:,}"
        )
    rows = np.frombuffer(content, np.uint8).reshape(EACH, SIZE)
    if rows[:, 0].max() > 9:
        raise UserError(f"{folder}: {name} is damaged: it has a label {rows[:, 0].max()} above 9")
    return rows


def _content(folder: Path, name: str) -> bytes:
    """A file's content: its own, unpacked where it is .xz, or out of the archive."""
    path = folder
    try:
        if (folder / name).is_file():
            path = folder / name
            return path.read_bytes()
        if (folder / f"{name}.xz").is_file():
            path = folder / f"{name}.xz"
            return lzma.decompress(path.read_bytes())
        path = folder if folder.is_file() else folder / ARCHIVE
        with tarfile.open(path) as archive:
            member = archive.extractfile(f"cifar-10-batches-bin/{name}")
            assert member is not None
            return member.read()
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no {name}, {name}.xz or {ARCHIVE}: give --from the folder of CIFAR-10 "
            "in its binary version"
        ) from None
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}): fetch it again") from error

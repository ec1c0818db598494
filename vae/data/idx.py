"""The IDX files of the MNIST family: read, and checked before anything is made of them."""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

from vae.errors import UserError

# MNIST's contents once unpacked (gzip headers differ between copies). The relatives were published
# without such sums: their magic numbers, counts and sizes are checked.
_MNIST_MD5 = {
    "train-images": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels": "a25bea736e30d166cdddb491f175f624",
    "t10k-images": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels": "27ae3e4e09519cfbb04c329615203637",
}
_PREFIX = {
    "mnist": {"train": "train", "test": "t10k"},
    "fashion_mnist": {"train": "train", "test": "t10k"},
    "kmnist": {"train": "train", "test": "t10k"},
    "emnist/letters": {"train": "emnist-letters-train", "test": "emnist-letters-test"},
}
FAMILY = tuple(_PREFIX)


def read_split(
    name: str, folder: Path, split: str, count: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Reads one split from its two files, gzipped or not.

    Returns:
      Images, uint8 [count, 28, 28, 1], and labels, int64 [count].

    Raises:
      UserError: a file is missing, damaged, or not what this data set has.
    """
    prefix = _PREFIX[name][split]
    images = _read(name, folder, f"{prefix}-images", (count, 28, 28))
    labels = _read(name, folder, f"{prefix}-labels", (count,))
    if labels.max() >= classes:
        raise UserError(
            f"{folder}: {prefix}-labels holds {labels.max()}, {name} has 0..{classes - 1}"
        )
    return images[..., None], labels.astype(np.int64)


def _read(name: str, folder: Path, stem: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array in the file of that stem, uint8, after checking all there is to check."""
    path = _find(folder, f"{stem}-idx{len(shape)}-ubyte")
    content = _unpacked(path)
    header = struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape), *shape)  # 08: unsigned bytes
    size = len(header) + int(np.prod(shape))
    if content[: len(header)] != header or len(content) != size:
        raise UserError(
            f"{path} is damaged or not of {name}: expected {size:,} bytes unpacked, "
            f"IDX of shape {'x'.join(map(str, shape))}"
        )
    digest = hashlib.md5(content).hexdigest()
    if name == "mnist" and digest != _MNIST_MD5[stem]:
        raise UserError(f"{path} is damaged: its unpacked md5 is {digest}, not {_MNIST_MD5[stem]}")
    if name != "mnist" and digest in _MNIST_MD5.values():
        raise UserError(f"{path} belongs to mnist, not to {name}: give --from the folder of {name}")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _find(folder: Path, name: str) -> Path:
    for candidate in (name, f"{name}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise UserError(
        f"{folder} holds no {name} or {name}.gz: give --from the original files' folder"
    )


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":  # not gzip, whatever the name says
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}): fetch it again") from error

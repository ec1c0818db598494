"""The user's own folder of pictures: which files are read, and as what.

Every PNG, JPEG, WebP, BMP and TIFF in the folder and below it, through links too, is an example;
sub-folders train, validation and test make the splits. Hidden files and folders, and those named
__MACOSX, are skipped. A warning counts other files that look like pictures and are not read.
"""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from vae.data import images
from vae.data.dataset import Lazy, Split
from vae.errors import UserError

SPLITS = ("train", "validation", "test")
READ = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
UNREAD = (
    ".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".ico", ".psd", ".svg", ".tga",
    ".pgm", ".ppm", ".pnm", ".exr", ".hdr", ".dng", ".cr2", ".nef", ".arw", ".dcm",
)  # fmt: skip


def load(folder: Path, image_size: int) -> dict[str, Split]:
    """Returns the splits of a folder; a picture is decoded when it is indexed.

    Args:
      image_size: side that every picture gets; 0 for the size they have.

    Raises:
      UserError: no pictures, one that cannot be read, or several sizes and no `image_size`.
    """
    files = list(_files(folder))
    by_split = _splits(folder, files)
    headers = {path: images.header(path) for paths in by_split.values() for path in paths}
    _warn(folder, files, list(headers.values()))
    channels = max(header.channels for header in headers.values())
    sizes = {(header.height, header.width): path for path, header in headers.items()}
    if len(sizes) > 1 and not image_size:
        (one, path), (two, other) = list(sizes.items())[:2]
        raise UserError(
            f"{path} is {one[0]}x{one[1]} and {other} is {two[0]}x{two[1]}: "
            "set data.image_size to bring all pictures to one size"
        )
    height, width = (image_size, image_size) if image_size else next(iter(sizes))

    def lazy(paths: list[Path]) -> Lazy:
        def read(rows: np.ndarray) -> np.ndarray:
            read_one = (images.read(paths[row], channels) for row in rows)
            return np.stack([images.fit(image, image_size) for image in read_one])

        return Lazy(read, (len(paths), height, width, channels), np.uint8)

    return {split: Split(lazy(paths)) for split, paths in by_split.items()}


def found(folder: Path) -> list[Path]:
    """The pictures that are read in a folder and below it, by name."""
    return _read(_files(folder))


def _read(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in READ)


def _files(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every file below a folder that is not hidden; a link to a folder above it ends there."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for item in os.scandir(folder):
        if item.name.startswith(".") or item.name == "__MACOSX":
            continue
        if item.is_dir():
            yield from _files(folder / item.name, (*above, real))
        else:
            yield folder / item.name


def _splits(folder: Path, files: list[Path]) -> dict[str, list[Path]]:
    """The pictures of each split; all are of 'train' where there are no sub-folders of splits."""
    splits = [split for split in SPLITS if (folder / split).is_dir()]
    if splits and "train" not in splits:
        raise UserError(
            f"{folder} holds {' and '.join(splits)} and no train: name the folder of training "
            "pictures train"
        )
    below = {split: folder / split for split in splits} or {"train": folder}
    by_split = {
        split: _read(path for path in files if path.is_relative_to(each))
        for split, each in below.items()
    }
    for split, paths in by_split.items():
        if not paths:
            raise UserError(f"{below[split]} holds no picture ({', '.join(READ)}){_unread(files)}")
    return by_split


def _warn(folder: Path, files: list[Path], headers: list[images.Header]) -> None:
    """Says what of a folder is not read, and what of its pictures is changed."""
    beside = len(_read(files)) - len(headers)
    alpha = sum(header.alpha for header in headers)
    moving = sum(header.frames > 1 for header in headers)
    unread = _unread(files)
    said = {
        f": {beside:,} pictures beside train, validation and test are not read": beside,
        f": {alpha:,} of {len(headers):,} pictures have an alpha channel, and what is transparent "
        "in them becomes white": alpha,
        f": {moving:,} of {len(headers):,} pictures have several frames, and the first of each is "
        "read": moving,
        unread: len(unread),
    }
    for line, count in said.items():
        if count:
            warnings.warn(f"{folder}{line}", stacklevel=2)


def _unread(files: list[Path]) -> str:
    """How many pictures are of a type that is not read."""
    suffixes = Counter(path.suffix.lower() for path in files)
    counts = [f"{suffixes[suffix]:,} {suffix}" for suffix in UNREAD if suffixes[suffix]]
    return f": not read: {', '.join(counts)}; convert them to PNG" if counts else ""

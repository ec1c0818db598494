"""The user's own folder of pictures: which files are read, and as what.

Every PNG, JPEG, WebP, BMP and TIFF in the folder and below it, through links too, is an example;
sub-folders train, validation and test make the splits. Where all pictures of the splits are in
sub-folders, one deep, and there are several, the names of those are labels. Hidden files and
folders, and those named __MACOSX, are no one's pictures. What else looks like one and is not read
is counted in a warning.
"""

import dataclasses
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from vae.data import images
from vae.data.dataset import Lazy, Split
from vae.data.misfits import Misfits
from vae.errors import UserError

SPLITS = ("train", "validation", "test")
READ = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
UNREAD = (
    ".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".ico", ".psd", ".svg", ".tga",
    ".pgm", ".ppm", ".pnm", ".exr", ".hdr", ".dng", ".cr2", ".nef", ".arw", ".dcm",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Folder:
    """The pictures of a folder; none where no header could be read."""

    splits: dict[str, Split]
    classes: tuple[str, ...] = ()  # names of the sub-folders that labels are from


def load(folder: Path, image_size: int, labelled: bool, misfits: Misfits) -> Folder:
    """Returns the splits of a folder; a picture is decoded when it is indexed.

    Args:
      image_size: side that every picture gets; 0 for the size they have.
      labelled: whether sub-folders may be classes.
      misfits: takes pictures that cannot be read, and several sizes without an `image_size`.

    Raises:
      UserError: no pictures.
    """
    files = list(_files(folder))
    by_split = _splits(folder, files)
    headers = {}
    for path in (path for paths in by_split.values() for path in paths):
        with misfits.noted():
            headers[path] = images.header(path)
    if not headers:
        return Folder({})
    _warn(folder, files, sum(map(len, by_split.values())), list(headers.values()))
    channels = max(header.channels for header in headers.values())
    sizes = {(header.height, header.width): path for path, header in headers.items()}
    if len(sizes) > 1 and not image_size:
        (one, path), (two, other) = list(sizes.items())[:2]
        misfits.append(
            f"{path} is {one[0]}x{one[1]} and {other} is {two[0]}x{two[1]}: "
            "set data.image_size to bring all pictures to one size"
        )
    height, width = (image_size, image_size) if image_size else next(iter(sizes))

    def lazy(paths: list[Path]) -> Lazy:
        def read(rows: np.ndarray) -> np.ndarray:
            damaged = Misfits()
            found = np.zeros((len(rows), height, width, channels), np.uint8)
            for place, row in enumerate(rows):
                with damaged.noted():
                    found[place] = images.fit(images.read(paths[row], channels), image_size)
            damaged.check(folder)
            return found

        return Lazy(read, (len(paths), height, width, channels), np.uint8)

    labels, classes = _classes(folder, by_split) if labelled else ({}, ())
    splits = {split: Split(lazy(paths), labels.get(split)) for split, paths in by_split.items()}
    return Folder(splits, classes)


def _classes(
    folder: Path, by_split: dict[str, list[Path]]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Labels of each split, int32 [N], by the sub-folder that a picture is in, and the names of
    those; none where pictures are in no sub-folders, or in some alone, or deeper, which is said."""
    places: dict[str, list[tuple[str, ...]]] = {}
    for split, paths in by_split.items():
        below = folder if len(by_split) == 1 and not (folder / split).is_dir() else folder / split
        places[split] = [path.relative_to(below).parts[:-1] for path in paths]
    every = [place for found in places.values() for place in found]
    names = sorted({place[0] for place in every if place})
    if any(len(place) != 1 for place in every):
        if names:
            warnings.warn(
                f"{folder}: no labels, because pictures are not all in sub-folders one deep: "
                "where sub-folders are classes, put each picture into that of its class",
                stacklevel=3,
            )
        return {}, ()
    if len(names) < 2:
        return {}, ()
    labels = {
        split: np.array([names.index(place[0]) for place in found], np.int32)
        for split, found in places.items()
    }
    return labels, tuple(names)


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


def _warn(folder: Path, files: list[Path], read: int, headers: list[images.Header]) -> None:
    """Says what of a folder is not read, and what of its pictures is changed."""
    beside = len(_read(files)) - read
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

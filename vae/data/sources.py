"""Data sets that are a few files of numbers: from their public source, or a folder, to one .npz.

`prepare` writes `DATA_DIR/NAME/VERSION/arrays.npz`, with the arrays that `data.name=files` takes;
where they have names, `columns` are those of the numbers of an example, and `vocabulary` those of
token ids.
"""

import dataclasses
import functools
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from vae import npz
from vae.data import adbench, files, freyfaces, movielens, qm9
from vae.data.dataset import Dataset
from vae.data.records import not_prepared
from vae.data.table import Row
from vae.errors import RunError
from vae.paths import data_dir


@dataclasses.dataclass(frozen=True)
class Original:
    """Where the files of a data set are, and what makes arrays of a folder of them."""

    url: str
    arrays: Callable[[Path], Mapping[str, np.ndarray]]


ORIGINALS = {
    "freyfaces": Original(freyfaces.URL, freyfaces.arrays),
    "qm9": Original(qm9.URL, functools.partial(qm9.arrays, tokens="selfies")),
    "qm9_smiles": Original(qm9.URL, functools.partial(qm9.arrays, tokens="smiles")),
    **{
        name: Original(url, functools.partial(movielens.arrays, size=size))
        for name, (size, url) in movielens.SETS.items()
    },
    **{
        name: Original(adbench.url(name), functools.partial(adbench.arrays, name=name))
        for name in adbench.NAMES
    },
}


def path(name: str, row: Row, directory: str) -> Path:
    """The file that holds a prepared data set's arrays."""
    return data_dir(directory) / name / row.version / "arrays.npz"


def load(name: str, row: Row, directory: str, kind: str = "", columns: str = "") -> Dataset:
    """A prepared data set with the splits that its source has.

    Args:
      kind: `config.data.kind`; "": the row's.
      columns: `config.data.columns`.

    Raises:
      UserError: it is not there, or damaged.
    """
    where = path(name, row, directory)
    if not where.exists():
        raise not_prepared(name, where, directory)
    found = files.load(str(where), 0, kind or row.kind, columns=columns)
    return dataclasses.replace(found, name=name, version=row.version)


def prepare(name: str, row: Row, directory: str, source_dir: str | None) -> Path:
    """Makes the .npz of a data set, whole or not at all, and returns its folder.

    Raises:
      UserError: the original files are missing or wrong.
      RunError: the download or the writing failed.
    """
    where, original = path(name, row, directory), ORIGINALS[name]
    if where.exists():
        return where.parent
    try:
        if source_dir is not None:
            arrays = original.arrays(Path(source_dir).expanduser())
        else:
            with tempfile.TemporaryDirectory(prefix="vae-") as temporary:
                download(original.url, Path(temporary))
                arrays = original.arrays(Path(temporary))
        where.parent.mkdir(parents=True, exist_ok=True)
        npz.write(where, arrays)
    except OSError as error:
        raise RunError(f"preparing {name} failed: {error.strerror or error}") from error
    return where.parent


def download(url: str, folder: Path) -> None:
    """Fetches a file into a folder; a .zip is unpacked, all its files beside each other.

    Raises:
      RunError: no answer, or not what was asked for.
    """
    file = folder / url.rsplit("/", 1)[-1]
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, open(file, "wb") as target:
            shutil.copyfileobj(answer, target)
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    if not member.is_dir():
                        with archive.open(member) as source:
                            (folder / Path(member.filename).name).write_bytes(source.read())
    except (urllib.error.URLError, TimeoutError, zipfile.BadZipFile) as error:
        reason = getattr(error, "reason", error)
        raise RunError(
            f"{url} could not be fetched ({reason}): fetch it yourself, and give its folder by "
            "--from"
        ) from error

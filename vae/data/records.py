"""Data sets in TFDS's format (array_record files), read without TensorFlow.

The pictures are decoded once into a cache beside the data set, unless they are streamed: then each
is decoded when it is asked for, and nothing is kept.
"""

import contextlib
import hashlib
import io
import json
import os
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from vae.data import cache, images
from vae.data.dataset import Dataset, Lazy, Split
from vae.data.table import Row
from vae.errors import UserError, typed
from vae.parts import TFDS
from vae.paths import data_dir

_DECODER = 1  # part of the cache's name: raise it when decoding changes
_CHUNK = 256  # records decoded by one task of the thread pool


def folder(row: Row, directory: str) -> Path:
    """Where the data set of that row is, or will be."""
    return data_dir(directory) / row.tfds / row.version


def is_other(name: str) -> bool:
    """Whether `data.name` is a data set of TFDS that the table need not have: "tfds:NAME"."""
    return name.startswith(TFDS)


def other(name: str, directory: str) -> Row:
    """A row for a data set of TFDS that the table does not have, by what TFDS says of it: its first
    picture or vector of numbers is x, its first class label the labels.

    Raises:
      UserError: it is not prepared, or holds neither pictures nor vectors of one size.
    """
    called = name.removeprefix(TFDS)
    parent = data_dir(directory) / called
    versions = sorted((each.name for each in parent.glob("*.*.*") if each.is_dir()), key=_version)
    if not called or not versions:
        raise UserError(
            f"data.name={name}: no version of it in {parent}\n"
            "prepare it with TFDS there, as file_format='array_record', or set data.dir"
        )
    where = parent / versions[-1]
    check(where, name, directory)
    import tensorflow_datasets as tfds

    try:
        info = tfds.builder_from_directory(str(where)).info
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _damaged(where, error) from error
    features = dict(info.features.items())
    label = next((k for k, v in features.items() if isinstance(v, tfds.features.ClassLabel)), "")
    is_picture = {k: isinstance(v, tfds.features.Image) for k, v in features.items()}
    x = next((k for k in features if is_picture[k]), "") or next(
        (k for k, v in features.items() if _is_vector(v)), ""
    )
    shape = tuple(features[x].shape) if x else ()
    if not x or None in shape:
        listed = ", ".join(f"{k} {tuple(v.shape)}" for k, v in features.items())
        raise UserError(
            f"data.name={name} holds {listed}: it needs pictures or vectors of one size"
        )
    if is_picture[x] and shape[0] != shape[1]:
        raise UserError(f"data.name={name} holds pictures of {shape[0]}x{shape[1]}: of those that "
                        "are not square the table has to say more")  # fmt: skip
    sizes = {k: info.splits[k].num_examples for k in ("train", "validation", "test")
             if k in info.splits}  # fmt: skip
    if "train" not in sizes:
        raise UserError(f"data.name={name} has no split called train, but {', '.join(info.splits)}")
    kind, levels = ("grey", 256) if is_picture[x] else ("real", 0)
    return Row("tfds", versions[-1], shape, sizes, kind, levels, shuffle=True, tfds=called,
               image=x, label=label)  # fmt: skip


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdecimal())


def _is_vector(feature: Any) -> bool:
    """Whether a feature of TFDS is numbers [D]."""
    import tensorflow_datasets as tfds

    is_plain = isinstance(feature, tfds.features.Tensor) and not isinstance(
        feature, tfds.features.ClassLabel
    )
    return is_plain and len(feature.shape) == 1 and feature.np_dtype in (
        np.float32, np.float64, np.int32, np.int64, np.uint8
    )


def load(name: str, row: Row, directory: str, image_size: int, stream: bool) -> Dataset:
    """Returns the splits that TFDS has.

    Args:
      name: of the data set.
      row: of the table.
      directory: TFDS's data_dir, or ''.
      image_size: side of the pictures; 0 for the row's.
      stream: leave everything on the disk and return `Lazy` arrays.

    Raises:
      UserError: the data set is not there, in another file format, or damaged.
    """
    where = folder(row, directory)
    info = check(where, name, directory)
    size = image_size or row.shape[0]
    splits = {}
    for split in row.sizes:
        reader = _Reader(where, split, row, size)
        splits[split] = reader.lazy() if stream else _cached(reader, info)
    return Dataset(
        name,
        row.version,
        row.kind,
        row.levels,
        splits,
        tuple(key.removeprefix("label_") for key, _ in row.factors),
        tuple(count for _, count in row.factors),
    )


def check(where: Path, name: str, directory: str) -> bytes:
    """Returns TFDS's description of the data set, after checking that it can be read.

    Raises:
      UserError: it is not there, damaged, or in a format that only TensorFlow reads.
    """
    if not where.exists():
        raise not_prepared(name, where, directory)
    try:
        content = (where / "dataset_info.json").read_bytes()
        file_format = json.loads(content).get("fileFormat", "tfrecord")
    except (OSError, ValueError, AttributeError) as error:
        raise _damaged(where, error) from error
    if file_format != "array_record":
        raise UserError(
            f"{where} holds {file_format} files, which only TensorFlow reads\n"
            f"Prepare it in another folder: {typed()} prepare {name} --data_dir DIR"
        )
    return content


def not_prepared(name: str, where: Path, directory: str) -> UserError:
    """The error that says how to make a data set."""
    option = f" --data_dir {shlex.quote(directory)}" if directory else ""
    return UserError(
        f"{name} is not prepared: no {where}\nRun: {typed()} prepare {name}{option}"
    )


def _damaged(folder: Path, error: Exception) -> UserError:
    reason = str(error).split("\n")[0] or type(error).__name__
    return UserError(
        f"{folder} is damaged ({reason})\nDelete that folder and prepare the data set again."
    )


class _Reader:
    """One split on the disk; opened when the first record is asked for."""

    def __init__(self, folder: Path, split: str, row: Row, size: int):
        self.folder, self.split, self.row, self.size = folder, split, row, size
        self._source: Any = None

    def source(self) -> Any:
        """Returns TFDS's random-access source of serialised examples."""
        if self._source is None:
            import tensorflow_datasets as tfds

            try:
                builder = tfds.builder_from_directory(str(self.folder))
                self._source = builder.as_data_source(
                    self.split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
                )
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                raise _damaged(self.folder, error) from error
        return self._source

    def columns(self, rows: np.ndarray, pictures: bool = True) -> dict[str, np.ndarray]:
        """Reads records: x (unless `pictures` is False), and labels and factors where there are."""
        from tensorflow_datasets.proto import tf_example_pb2

        try:
            records = self.source().__getitems__(rows.tolist())
            examples = [tf_example_pb2.Example.FromString(record) for record in records]
            features = [example.features.feature for example in examples]
            columns = {}
            if pictures:
                read = self.vector if len(self.row.shape) == 1 else self.picture
                columns["x"] = np.stack([read(each) for each in features])
            if self.row.label:
                columns["labels"] = _integers(features, (self.row.label,))[:, 0]
            if self.row.factors:
                columns["factors"] = _integers(features, [key for key, _ in self.row.factors])
        except (OSError, ValueError, IndexError, SyntaxError, RuntimeError) as error:
            raise _damaged(self.folder, error) from error
        return columns

    def vector(self, features: Any) -> np.ndarray:
        """The numbers of an example: float32 [D]."""
        stored = features[self.row.image]
        values = stored.float_list.value or stored.int64_list.value
        return np.asarray(values, np.float32).reshape(self.row.shape)

    def picture(self, features: Any) -> np.ndarray:
        """Decodes one picture and brings it into the row's form: uint8 [size, size, C]."""
        from PIL import Image

        encoded = features[self.row.image].bytes_list.value[0]
        image = np.asarray(Image.open(io.BytesIO(encoded)))
        image = image.reshape(*image.shape[:2], -1)
        if self.row.crop:
            image = images.centre(image, self.row.crop)
        if self.row.transpose:
            image = image.transpose(1, 0, 2)
        if self.row.ink:
            image = 255 - image[..., :1]
        return images.fit(image, self.size, self.row.levels)

    def shapes(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Shape and type of each column there is, without reading a record."""
        count = len(self.source())
        found: dict[str, tuple[tuple[int, ...], type]] = {}
        found["x"] = ((count, self.size, self.size, self.row.shape[-1]), np.uint8)
        if len(self.row.shape) == 1:
            found["x"] = ((count, *self.row.shape), np.float32)
        if self.row.label:
            found["labels"] = ((count,), np.int32)
        if self.row.factors:
            found["factors"] = ((count, len(self.row.factors)), np.int32)
        return found

    def lazy(self) -> Split:
        """Returns arrays whose rows are read and decoded when they are indexed."""

        def column(key: str) -> Callable[[np.ndarray], np.ndarray]:
            return lambda rows: self.columns(rows, pictures=key == "x")[key]

        self.columns(np.array([0, len(self.source()) - 1]))  # a file cut short is found now
        found: Any = {key: Lazy(column(key), *what) for key, what in self.shapes().items()}
        return Split(**found)

    def decode_all(self, folder: Path) -> None:
        """Writes every column as a .npy file into `folder`."""
        count = len(self.source())
        chunks = [np.arange(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]
        with contextlib.ExitStack() as stack:
            files = {}
            for key, (shape, dtype) in self.shapes().items():
                files[key] = stack.enter_context(open(folder / f"{key}.npy", "wb"))
                header = {"shape": shape, "fortran_order": False, "descr": np.dtype(dtype).str}
                np.lib.format.write_array_header_1_0(files[key], header)
            pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))
            for columns in pool.map(self.columns, chunks):
                for key, values in columns.items():
                    files[key].write(values.tobytes())  # a full disk is an error here, not a signal


def _integers(features: list[Any], keys: Any) -> np.ndarray:
    """Returns int32 [N, len(keys)]."""
    return np.array(
        [[each[key].int64_list.value[0] for key in keys] for each in features], np.int32
    )


def _cached(reader: _Reader, info: bytes) -> Split:
    """Returns the decoded split; the cache's name changes with all that its contents depend on."""
    what = [info.hex(), _DECODER, reader.size, repr(reader.row)]
    key = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]
    folder = reader.folder / f"decoded-{key}" / reader.split
    if not os.access(reader.folder, os.W_OK):
        folder = cache.root() / reader.row.tfds.replace("/", "-") / key / reader.split
    columns: Any = cache.arrays(folder, reader.decode_all)
    return Split(**columns)

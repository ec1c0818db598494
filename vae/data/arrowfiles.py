"""Tables of Arrow: Parquet and Feather files, and folders of Hugging Face's `save_to_disk`.

A column of pictures, or of lists of numbers that are all of one length, is the examples; without
one a row is an example and its columns are the features, as in a table of text.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae.data import frames, images, labels
from vae.data.content import Content, of_table
from vae.data.dataset import Lazy
from vae.data.misfits import Misfits
from vae.errors import UserError

SPLITS = {"train": "train", "validation": "validation", "valid": "validation",
          "val": "validation", "dev": "validation", "test": "test"}  # fmt: skip


def parquet(path: Path, label: str, identifier: str, misfits: Misfits) -> Content:
    """A Parquet file."""
    from pyarrow import parquet as reader

    return _content({"train": _opened(path, reader.read_table)}, path, label, identifier, misfits)


def feather(path: Path, label: str, identifier: str, misfits: Misfits) -> Content:
    """A Feather or Arrow file, of either form of Arrow's."""
    tables = {"train": _opened(path, _of_file)}
    return _content(tables, path, label, identifier, misfits)


def table(path: Path) -> frames.Table:
    """The columns of numbers and words of a Parquet, Feather or Arrow file."""
    from pyarrow import parquet as reader

    read = reader.read_table if path.suffix == ".parquet" else _of_file
    return frame(_opened(path, read), path, Misfits())


def of_pandas(table: Any) -> frames.Table:
    """The columns of numbers and words of a DataFrame, its index left out."""
    import pyarrow

    columns = pyarrow.Table.from_pandas(table, preserve_index=False)
    return frame(columns, Path("the table"), Misfits())


def is_hub(folder: Path) -> bool:
    """Whether a folder is what `save_to_disk` writes."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def hub_files(folder: Path) -> list[Path]:
    """The files of such a folder that hold the data."""
    return sorted(folder.rglob("*.arrow"))


def hub(folder: Path, label: str, identifier: str, misfits: Misfits) -> Content:
    """A data set, or several splits of one, that `datasets` saved."""
    if (folder / "state.json").is_file():
        parts = {"train": folder}
    else:
        names = _json(folder / "dataset_dict.json")["splits"]
        parts = {SPLITS[name]: folder / name for name in names if name in SPLITS}
        if "train" not in parts:
            raise UserError(f"{folder} holds the splits {', '.join(names)}: call one train")
    tables = {}
    for split, part in parts.items():
        files = [part / each["filename"] for each in _json(part / "state.json")["_data_files"]]
        tables[split] = _joined([_opened(file, _of_file) for file in files])
    return _content(tables, folder, label, identifier, misfits)


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _opened(path: Path, read: Callable[[Path], Any]) -> Any:
    """A table of pyarrow's.

    Raises:
      UserError: the file is damaged.
    """
    import pyarrow

    try:
        return read(path)
    except (pyarrow.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path} is damaged or of another form ({reason}): write it anew") from None


def _of_file(path: Path) -> Any:
    import pyarrow
    from pyarrow import feather as reader

    if path.suffix == ".feather":
        return reader.read_table(path)
    with pyarrow.memory_map(str(path)) as source:
        try:
            return pyarrow.ipc.open_file(source).read_all()
        except pyarrow.ArrowInvalid:
            source.seek(0)
            return pyarrow.ipc.open_stream(source).read_all()


def _joined(tables: list[Any]) -> Any:
    import pyarrow

    return tables[0] if len(tables) == 1 else pyarrow.concat_tables(tables)


def _content(
    tables: Mapping[str, Any], path: Path, label: str, identifier: str, misfits: Misfits
) -> Content:
    """Examples, labels and ids of the splits."""
    whole = _joined(list(tables.values()))
    if not len(whole) or not whole.column_names:
        raise UserError(f"{path} has no rows or no columns: give a row an example")
    ends = np.cumsum([len(table) for table in tables.values()])
    rows = dict(zip(tables, map(slice, [0, *ends[:-1]], ends), strict=True))
    nested = [name for name in whole.column_names if _is_nested(whole[name].type)]
    if len(nested) > 1:
        raise UserError(
            f"{path}: the columns {', '.join(nested)} each hold lists or pictures: keep one of them"
        )
    named = _class_names(whole)
    if not label and len(named) == 1:
        label = next(iter(named))
    if nested:
        found = _of_nested(whole, nested[0], path, label, misfits)
    else:
        found = of_table(frame(whole, path, misfits), label, identifier, misfits)
    classes = named.get(found.label, ())
    return _divided(found, rows, classes)


def _divided(found: Content, rows: Mapping[str, slice], classes: tuple[str, ...]) -> Content:
    """The rows of each split as arrays of their own."""
    arrays: dict[str, Any] = {
        name: found.arrays[name] for name in ("columns",) if name in found.arrays
    }
    for split, part in rows.items():
        x = found.arrays["x"]
        arrays[split] = x if len(rows) == 1 else _part(x, part)
        if "labels" in found.arrays:
            arrays[f"{split}_labels"] = found.arrays["labels"][part]
    ids = None if found.ids is None else found.ids[rows["train"]]
    return Content(
        arrays, found.label, classes, ids, found.identifier, found.categories, found.missing,
        table=found.table, kept=found.kept, plain=found.plain,
    )  # fmt: skip


def _part(x: Any, part: slice) -> Any:
    if not isinstance(x, Lazy):
        return x[part]
    shape = (part.stop - part.start, *x.shape[1:])
    return Lazy(lambda rows: x[rows + part.start], shape, x.dtype)


def _class_names(table: Any) -> dict[str, tuple[str, ...]]:
    """Names of classes by column, where Hugging Face's features say them."""
    said = (table.schema.metadata or {}).get(b"huggingface")
    features = json.loads(said)["info"]["features"] if said else {}
    return {
        name: tuple(feature["names"])
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


def _is_nested(kind: Any) -> bool:
    from pyarrow import types

    kind = getattr(kind, "storage_type", kind)
    return types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind)


def _of_nested(table: Any, name: str, path: Path, label: str, misfits: Misfits) -> Content:
    """A column of pictures or of lists, and the labels beside it."""
    import pyarrow

    column = table[name].combine_chunks()
    column = getattr(column, "storage", column)
    others = [other for other in table.column_names if other != name]
    chosen = ""
    with misfits.noted():
        chosen = labels.column(others, label, path)
    is_list = pyarrow.types.is_list(column.type) or pyarrow.types.is_large_list(
        column.type) or pyarrow.types.is_fixed_size_list(column.type)  # fmt: skip
    x = _stacked(column, name, path) if is_list else _pictures(column, name, path, misfits)
    arrays: dict[str, Any] = {"x": x}
    if chosen:
        cells = frame(table.select([chosen]), path, misfits)
        arrays["labels"] = cells.cells(0)
    return Content(arrays, chosen)


def _stacked(column: Any, name: str, path: Path) -> np.ndarray:
    """Lists of numbers, all of one length, as an array [N, ...].

    Raises:
      UserError: their lengths differ, some are missing, or they hold no numbers.
    """
    from pyarrow import compute, types

    shape = [len(column)]
    while types.is_nested(column.type) and not types.is_struct(column.type):
        lengths = compute.unique(compute.list_value_length(column)).to_pylist()
        if len(lengths) > 1 or lengths == [None]:
            given = ", ".join(map(str, lengths[:5])).replace("None", "missing")
            raise UserError(
                f"{path}: the lists of {name} have different lengths ({given}): give all one length"
            )
        shape.append(lengths[0])
        column = column.flatten()
    if not (types.is_integer(column.type) or types.is_floating(column.type)
            or types.is_boolean(column.type)):  # fmt: skip
        raise UserError(f"{path}: the lists of {name} hold {column.type}: give numbers")
    return column.to_numpy(zero_copy_only=False).reshape(shape)


class _Picture(io.BytesIO):
    """The bytes of a picture, which messages call by their row."""

    def __init__(self, content: bytes, name: str):
        super().__init__(content)
        self.called = name

    def __str__(self) -> str:
        return self.called


def _pictures(column: Any, name: str, path: Path, misfits: Misfits) -> Lazy:
    """Encoded pictures, decoded as they are indexed: uint8 [N, H, W, C]."""
    import pyarrow

    is_struct = pyarrow.types.is_struct(column.type)
    if is_struct and "bytes" not in {field.name for field in column.type}:
        raise UserError(f"{path}: {name} holds {column.type}: give numbers, lists or pictures")
    encoded = column.field("bytes") if is_struct else column

    def opened(row: int) -> Any:
        content = encoded[row].as_py()
        if content is None and is_struct and column.field("path")[row].as_py():
            return Path(column.field("path")[row].as_py())
        return _Picture(content or b"", f"{path}: {name} of example {row}")

    headers = {}
    for row in range(len(column)):
        with misfits.noted():
            headers[row] = images.header(opened(row))
    sizes = {(header.height, header.width) for header in headers.values()}
    if len(sizes) > 1:
        (one, other) = list(sizes)[:2]
        misfits.append(
            f"{path}: the pictures of {name} are of {len(sizes)} sizes, such as "
            f"{one[0]}x{one[1]} and {other[0]}x{other[1]}: bring them to one"
        )
    size = next(iter(sizes), (1, 1))
    channels = max((header.channels for header in headers.values()), default=1)

    def read(rows: np.ndarray) -> np.ndarray:
        return np.stack([images.read(opened(int(row)), channels) for row in rows])

    if misfits:
        return Lazy(lambda rows: np.zeros((len(rows), *size, channels), np.uint8),
                    (len(column), *size, channels), np.uint8)  # fmt: skip
    return Lazy(read, (len(column), *size, channels), np.uint8)


def frame(table: Any, path: Path, misfits: Misfits) -> frames.Table:
    """Numbers as float64, words as text; columns of anything else are noted as misfits."""
    names, columns = [], []
    for name in table.column_names:
        column = _plain(table[name])
        if column is None:
            misfits.append(
                f"{path}: {name} holds {table[name].type}: write it as numbers or leave it out"
            )
            continue
        names.append(name)
        columns.append(column)
    if not names:
        misfits.check(path)
    return frames.Table(path, tuple(names), tuple(columns))


def _plain(column: Any) -> Any:
    """A column as float64 or text, "" where there is nothing; None where it is neither."""
    import pyarrow
    from pyarrow import compute, types

    kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if types.is_string(kind) or types.is_large_string(kind):
        return compute.fill_null(column.cast(pyarrow.string()), "")
    if types.is_null(kind):
        return pyarrow.chunked_array([pyarrow.array([""] * len(column))])
    if types.is_integer(kind):
        ends = compute.min_max(column).as_py()
        if ends["min"] is not None and max(-ends["min"], ends["max"]) >= frames.EXACT:
            return compute.fill_null(column.cast(pyarrow.string()), "")  # every digit
    if types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind):
        return compute.fill_null(column.cast(pyarrow.float64(), safe=False), float("nan"))
    if types.is_date(kind) or types.is_timestamp(kind):
        whole = types.is_date(kind) or not compute.any(
            compute.not_equal(column, compute.floor_temporal(column, unit="day"))
        ).as_py()
        written = compute.strftime(column, "%Y-%m-%d" if whole else "%Y-%m-%d %H:%M:%S")
        return compute.fill_null(written.cast(pyarrow.string()), "")
    if types.is_boolean(kind):
        return compute.fill_null(column.cast(pyarrow.int8()).cast(pyarrow.float64()), float("nan"))
    return None

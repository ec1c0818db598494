"""The user's own data: an .npz, .npy or .csv file, or a folder of pictures.

- `.npz`: `x`, or `train`, `validation` and `test` (also `x_train`, ...); labels in `labels` or `y`,
  or `train_labels`, ... (also `y_train`, ...);
  any other numbers of each example [N, C], for a conditional model, in `context`, or
  `train_context`, ...; names of the D columns in `columns`, and of token ids
  in `vocabulary`;
- `.npy`: one array;
- `.csv`: a row an example, names of the columns first; one column may be labels, which
  `data.label` names, or it is called `label`, `labels`, `y`, `class` or `target`;
- folder: pictures in it and below (`vae.data.pictures`).

Arrays are [N, H, W, C], [N, H, W] or [N, D]; [N, C, H, W] is seen to be so where C is small. Zeros
and ones are binary data, other whole numbers 0..255 grey levels, and anything else real numbers;
unless `data.kind` says what they are:

- `binary`: 0 and 1;
- `grey`: whole numbers 0..255, brightness;
- `real`: any numbers;
- `counts`: [N, D], whole numbers from 0 on, such as how often each word occurs;
- `tokens`: [N, D], sequences of ids from 0 on; the largest of all splits sets their number.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from vae import npz
from vae.choices import choose
from vae.data import csvfiles, labels, layout, pictures, qm9
from vae.data.dataset import Dataset, Lazy, Split
from vae.errors import UserError

_CHUNK = 4096  # examples looked at together
_KINDS = ("binary", "grey", "real", "counts", "tokens")
_MOST = {  # the largest value of each kind: what float32 counts to, and what one-hot can be
    "binary": 1,
    "grey": 255,
    "counts": 2**24,
    "tokens": 2**16 - 1,
}


def load(path: str, image_size: int, kind: str = "", label: str = "") -> Dataset:
    """Returns what is at `path`, with the splits it has: 'train' at least. Real numbers keep their
    type, because later arithmetic decides how much of it is needed.

    Args:
      path: `config.data.path`.
      image_size: side that the pictures of a folder get; 0 for the size they have.
      kind: what the numbers are; "" to see it from them.
      label: column of a table that is labels; "" to see it from the names, "none" for none.

    Raises:
      UserError: nothing there, damaged, or not data for a VAE (NaN, unequal shapes, ...),
        or not of that kind.
    """
    if not path:
        raise UserError("data.name=files needs data.path: an .npz, .npy or .csv file, or a folder")
    if kind:
        choose(dict.fromkeys(_KINDS), kind, "data.kind")
    where = Path(path).expanduser()
    if label and where.suffix != ".csv":
        raise UserError(f"data.label={label!r} is a column of a .csv: set data.label=''")
    if where.is_dir():
        if kind not in ("", "grey"):
            raise UserError(f"data.kind={kind!r}: {path} is a folder of pictures, which are grey")
        return _dataset(pictures.load(where, image_size), "grey", 256)
    if not where.is_file():
        raise UserError(f"data.path={path}: no such file or folder")
    if where.suffix not in (".npz", ".npy", ".csv"):
        raise UserError(
            f"data.path={path}: give an .npz, .npy or .csv file, or a folder of pictures"
        )
    columns: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    content: Mapping[str, Any]
    try:
        if where.suffix == ".csv":
            table = csvfiles.features(csvfiles.read(where), label)
            columns, label = table.columns, table.label
            content = {"x": table.x} | ({"labels": table.labels} if label else {})
        else:
            content = npz.opened(where)
        if "columns" in content:
            columns = _names(content["columns"], "columns", where)
        if "vocabulary" in content:
            vocabulary = _names(content["vocabulary"], "vocabulary", where)
        arrays = layout.arrays(content, where)
    except npz.NOT_ARRAYS as error:
        raise UserError(
            f"{where} is damaged or not of numbers ({error}): write it again"
        ) from error
    kind, most = _kind([x for x, *_ in arrays.values()], where, kind)
    found, classes = _labels(arrays, f"{where}: {label}" if label else str(where))
    splits = {
        split: Split(
            _examples(x, x.dtype if kind == "real" else _storage(most)),
            found[split],
            context=_context(context, len(x), where),
        )
        for split, (x, _, context) in arrays.items()
    }
    _check_names(columns, vocabulary, splits["train"].x.shape, kind, most, where)
    levels = {"binary": 2, "grey": 256, "tokens": max(2, int(most) + 1, len(vocabulary))}
    whole = _dataset(splits, kind, levels.get(kind, 0), columns, vocabulary)
    return dataclasses.replace(whole, label=label, classes=classes)


def _names(values: np.ndarray, what: str, path: Path) -> tuple[str, ...]:
    """The names in an array of texts or whole numbers [D], no two the same."""
    if values.ndim != 1 or values.dtype.kind not in "USiu":
        raise UserError(
            f"{path} holds {values.dtype} of shape {values.shape} as {what}: give names [D]"
        )
    names = tuple(str(v.decode() if isinstance(v, bytes) else v) for v in values.tolist())
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: {what} has {twice!r} twice: give each a name of its own")
    return names


def _check_names(
    columns: tuple[str, ...],
    vocabulary: tuple[str, ...],
    shape: tuple[int, ...],
    kind: str,
    most: float,
    path: Path,
) -> None:
    """Raises UserError where there are not as many names as columns, or ids."""
    if columns and shape[1:] != (len(columns),):
        raise UserError(
            f"{path}: columns has {len(columns)} names, and an example has shape {shape[1:]}: give "
            "a name for each of its numbers, or leave columns out"
        )
    if vocabulary and kind == "tokens" and most >= len(vocabulary):
        raise UserError(
            f"{path}: vocabulary has {len(vocabulary)} names, and {int(most)} is among the ids: "
            "give a name for each id from 0 on"
        )


def _dataset(
    splits: dict[str, Split],
    kind: str,
    levels: int,
    columns: tuple[str, ...] = (),
    vocabulary: tuple[str, ...] = (),
) -> Dataset:
    shapes = {split: examples.x.shape[1:] for split, examples in splits.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(f"data.path: the splits differ in the shape of an example: {shapes}")
    return Dataset(
        "files", "local", kind, levels, splits, columns=columns, vocabulary=vocabulary,
        never_first=qm9.never_first(vocabulary),
    )  # fmt: skip


def _chunks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(array), _CHUNK):
        yield start, np.asarray(array[start : start + _CHUNK])


def _kind(arrays: list[np.ndarray], path: Path, kind: str) -> tuple[str, float]:
    """The kind of the numbers (`kind` if it is given) and the largest of them, in one pass."""
    binary, whole, low, high = True, True, np.inf, -np.inf
    for array in arrays:
        if array.dtype.kind not in "buif" or array.ndim not in (2, 3, 4) or not array.size:
            raise UserError(
                f"{path} holds {array.dtype} of shape {array.shape}: give numbers, "
                "[N, H, W, C], [N, H, W] or [N, D]"
            )
        for start, chunk in _chunks(array):
            finite = _fits_single(chunk).reshape(len(chunk), -1).all(axis=1)
            if not finite.all():
                raise UserError(
                    f"{path} holds NaN, infinity or numbers beyond 3e38, first in example "
                    f"{start + np.argmin(finite)}: fill or remove such values"
                )
            binary = binary and bool(((chunk == 0) | (chunk == 1)).all())
            if whole and chunk.dtype.kind == "f":
                whole = bool((chunk == np.floor(chunk)).all())
            low, high = min(low, chunk.min()), max(high, chunk.max())
    if kind:
        _check_kind(kind, path, arrays[0].ndim, whole, low, high)
        return kind, high
    if binary:
        return "binary", high
    if any(array.dtype.kind == "f" for array in arrays):
        return "real", high
    if low < 0 or high > 255:
        raise UserError(
            f"{path} holds whole numbers from {low} to {high}: give 0..255, or say what they are "
            "with data.kind: counts, tokens or real"
        )
    return "grey", high


def _fits_single(values: np.ndarray) -> np.ndarray:
    """Whether numbers are finite, in single precision too."""
    with np.errstate(over="ignore"):
        return np.isfinite(values.astype(np.float32))


def _check_kind(kind: str, path: Path, ndim: int, whole: bool, low: float, high: float) -> None:
    """Raises UserError where the numbers are not what `data.kind` says."""
    if kind == "real":
        return
    if kind in ("counts", "tokens") and ndim != 2:
        raise UserError(f"data.kind={kind!r} is for vectors [N, D]: {path} has {ndim} axes")
    most = _MOST[kind]
    if not whole:
        wrong = "fractions"
    elif low < 0:
        wrong = f"{low}"
    elif high > most:
        wrong = f"{high}"
    else:
        return
    remedy = "scale and round them" if kind == "grey" else "write others, or set another data.kind"
    raise UserError(
        f"data.kind={kind!r} is for whole numbers from 0 to {most}, and {path} holds {wrong}: "
        f"{remedy}"
    )


def _storage(most: float) -> type:
    """The smallest type that holds whole numbers up to `most`."""
    return next(t for t in (np.uint8, np.uint16, np.int32) if most <= np.iinfo(t).max)


def _examples(array: np.ndarray, dtype: DTypeLike) -> Lazy:
    """Returns numbers of that type, with a channel axis for images; read when they are indexed."""
    shape = (*array.shape, 1) if array.ndim == 3 else array.shape

    def read(rows: np.ndarray) -> np.ndarray:
        return np.asarray(array[rows]).astype(dtype).reshape(len(rows), *shape[1:])

    return Lazy(read, shape, dtype)


def _context(context: Any, count: int, path: Path) -> np.ndarray | None:
    """[N, C], if there is any, of the type it has."""
    if context is None:
        return None
    context = np.asarray(context)
    numbers = context.dtype.kind in "buif" and _fits_single(context).all()
    if context.ndim != 2 or len(context) != count or not numbers:
        raise UserError(
            f"{path} holds {context.dtype} of shape {context.shape} as context: give finite "
            f"numbers [{count}, C]"
        )
    return context


def _labels(
    arrays: Mapping[str, tuple[np.ndarray, Any, Any]], where: str
) -> tuple[dict[str, np.ndarray | None], tuple[str, ...]]:
    """Labels of each split that has any, int32 [N], and names of classes where they are text."""
    for split, (x, given, _) in arrays.items():
        if given is not None and given.shape not in ((len(x),), (len(x), 1)):
            raise UserError(
                f"{where}: labels of shape {given.shape} do not fit {len(x)} examples of {split}"
            )
    return labels.numbered({split: given for split, (_, given, _) in arrays.items()}, where)

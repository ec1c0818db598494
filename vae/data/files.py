"""The user's own data: a file of numbers or a table, or a folder of pictures.

- `.npz`: `x`, or `train`, `validation` and `test` (also `x_train`, ...); labels in `labels` or `y`,
  or `train_labels`, ... (also `y_train`, ...);
  any other numbers of each example [N, C], for a conditional model, in `context`, or
  `train_context`, ...; names of the D columns in `columns`, and of token ids
  in `vocabulary`; or counts `x` beside the names in `genes` and `cells`; or a sparse matrix of
  SciPy's `save_npz`;
- `.npy`: one array;
- `.csv`, `.parquet`, `.arrow`, `.feather`: a row an example (`vae.data.frames`); one column may be
  labels, which `data.label` names, or it is called `label`, `labels`, `y`, `class` or `target`;
- `.h5ad`: the matrix X of AnnData, a cell an example (`vae.data.cells`);
- folder: pictures in it and below (`vae.data.pictures`), or a data set of Hugging Face's
  `save_to_disk` (`vae.data.hub`).

Arrays are [N, H, W, C], [N, H, W] or [N, D]; [N, C, H, W] is seen to be so where C is small. Zeros
and ones are binary data, other whole numbers 0..255 grey levels, and anything else real numbers;
unless `data.kind` says what they are:

- `binary`: 0 and 1;
- `grey`: whole numbers 0..255, brightness;
- `real`: any numbers;
- `counts`: [N, D], whole numbers from 0 on, such as how often each word occurs;
- `tokens`: [N, D], sequences of ids from 0 on; the largest of all splits sets their number;
- `columns`: [N, D] or a table, columns of several kinds, NaN where a cell is missing
  (`vae.data.mixed`).

All that is wrong with a file is said together (`vae.data.misfits`).
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from vae import npz
from vae.choices import choose
from vae.data import covariates as beside
from vae.data import labels, layout, mixed, numbers, pictures, qm9
from vae.data.content import Content
from vae.data.dataset import Dataset, Lazy, Split
from vae.data.fitting import WHITE, Facts
from vae.data.forms import MORE, reader
from vae.data.frames import NONE
from vae.data.misfits import Misfits
from vae.errors import UserError

_KINDS = ("binary", "grey", "real", "counts", "tokens", "columns")


@dataclasses.dataclass(frozen=True)
class Found:
    """What is at a path, looked at and not yet a data set."""

    path: Path
    what: str  # the form of the file, in words
    arrays: Mapping[str, tuple[Any, Any, Any]]  # by split: examples, labels, context
    facts: Facts
    misfits: Misfits  # all that is wrong with it, whatever its numbers are
    content: Content = dataclasses.field(default_factory=lambda: Content({}))
    columns: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    asked: str = ""  # `config.data.columns`

    @functools.cached_property
    def mixed(self) -> mixed.Read:
        """The examples of all splits, one after the other, as columns of several kinds."""
        table = self.content.table
        if table is not None:
            return mixed.of_table(table, self.content.kept, self.asked)
        x = np.concatenate([np.asarray(x[:], np.float64) for x, *_ in self.arrays.values()])
        return mixed.of_array(x, self.columns, self.asked, self.path)

    def wrong(self, kind: str) -> Misfits:
        """All that is wrong with it where its numbers are of a kind; "": of that they look like."""
        facts, found = self.facts, Misfits(self.misfits)
        if kind == "columns" and not facts.vectors:
            found.append(f"data.kind='columns' is for tables and vectors [N, D]: {self.path} has "
                         f"{facts.axes} axes")  # fmt: skip
        if kind == "columns":
            if self.content.table is not None or not found:
                found += self.mixed.misfits
            return found
        found += self.content.plain
        if not facts.shape:
            return found
        with found.noted():
            if not (kind or facts.kind):
                raise UserError(
                    f"{self.path} holds whole numbers from {facts.low} to "
                    f"{facts.high}: give 0..255, or say what they are with data.kind: "
                    "counts, tokens or real"
                )
            if kind:
                _check_kind(kind, self.path, facts)
        with found.noted():
            kind = kind or facts.kind
            _check_names(self.columns, self.vocabulary, facts, kind, self.path)
        return found

    def dataset(self, kind: str) -> Dataset:
        """The data set, with the splits that are there.

        Raises:
          UserError: it is damaged or not data for a VAE (NaN, unequal shapes, ...), or not of that
            kind.
        """
        self.wrong(kind).check(self.path)
        if kind == "columns":
            return self._of_columns()
        kind, most = kind or self.facts.kind, self.facts.high
        numbered, classes = labels.numbered(
            {split: given for split, (_, given, _) in self.arrays.items()}, self.labels_at
        )
        splits = {
            split: Split(
                _examples(x, x.dtype if kind == "real" else _storage(most)),
                numbered[split],
                context=None if context is None else np.asarray(context),
                ids=self.content.ids if split == "train" else None,
            )
            for split, (x, _, context) in self.arrays.items()
        }
        levels = {
            "binary": 2, "grey": 256, "tokens": max(2, int(most) + 1, len(self.vocabulary))
        }  # fmt: skip
        return Dataset(
            "files", "local", kind, levels.get(kind, 0), splits, columns=self.columns,
            label=self.content.label, classes=self.content.classes or classes,
            vocabulary=self.vocabulary, never_first=qm9.never_first(self.vocabulary),
            identifier=self.content.identifier, categories=self.content.categories,
            covariates=self.content.covariates,
        )  # fmt: skip

    def _of_columns(self) -> Dataset:
        """The data set as columns of several kinds: their own numbers, float64, and codes."""
        numbered, classes = labels.numbered(
            {split: given for split, (_, given, _) in self.arrays.items()}, self.labels_at
        )
        splits, first = {}, 0
        for split, (x, _, context) in self.arrays.items():
            splits[split] = Split(
                self.mixed.x[first : first + len(x)], numbered[split],
                context=None if context is None else np.asarray(context),
                ids=self.content.ids if split == "train" else None,
            )  # fmt: skip
            first += len(x)
        return Dataset(
            "files", "local", "columns", 0, splits, columns=self.mixed.names,
            column_kinds=self.mixed.columns, label=self.content.label,
            classes=self.content.classes or classes, identifier=self.content.identifier,
            covariates=self.content.covariates,
        )  # fmt: skip

    @property
    def labels_at(self) -> str:
        """Where labels are, for messages."""
        label = self.content.label
        return f"{self.path}: {label}" if label else str(self.path)


def load(
    path: str, image_size: int, kind: str = "", label: str = "", identifier: str = NONE,
    columns: str = "", covariates: Sequence[str] = (),
) -> Dataset:  # fmt: skip
    """Returns what is at `path`, with the splits it has: 'train' at least. Real numbers stay of the
    type they have there: what is done with them decides what of it is left.

    Args:
      path: `config.data.path`.
      image_size: side that the pictures of a folder get; 0 for the size they have.
      kind: what the numbers are; "" to see it from them.
      label: column of a table that is labels; "" to see it from the names, "none" for none.
      identifier: column that names the rows; "auto" to find it, "none" for none.
      columns: `config.data.columns`.
      covariates: `config.data.covariates`.

    Raises:
      UserError: nothing there, damaged, or not data for a VAE (NaN, unequal shapes, ...),
        or not of that kind.
    """
    found = look(path, image_size, kind, label, identifier, columns, covariates)
    return found.dataset(kind)


def look(
    path: str, image_size: int = 0, kind: str = "", label: str = "", identifier: str = NONE,
    columns: str = "", covariates: Sequence[str] = (),
) -> Found:  # fmt: skip
    """Looks at every number of what is at `path`. Arguments as those of `load`.

    Raises:
      UserError: nothing there that can be read; what else is wrong is in `misfits`.
    """
    if not path:
        raise UserError("data.name=files needs data.path: an .npz, .npy or .csv file, or a folder")
    if kind:
        choose(dict.fromkeys(_KINDS), kind, "data.kind")
    where = Path(path).expanduser()
    read = reader(where)
    if label and not (read and read.table) and not (where.is_dir() and label == NONE):
        raise UserError(f"data.label={label!r} is a column of a .csv: set data.label=''")
    if where.is_dir() and read is None:
        if kind not in ("", "grey"):
            raise UserError(f"data.kind={kind!r}: {path} is a folder of pictures, which are grey")
        return _pictures(where, image_size, label)
    if not where.exists():
        raise UserError(f"data.path={path}: no such file or folder")
    if read is None:
        raise UserError(
            f"data.path={path}: give an .npz, .npy or .csv file, {', '.join(MORE)}, or a "
            "folder of pictures"
        )
    misfits = Misfits()
    try:
        content = read.read(where, label, identifier, misfits)
        if covariates:
            content = beside.attached(content, where, covariates)
        arrays = layout.arrays(content.arrays, where)
        return _found(where, read.what, content, arrays, misfits, columns)
    except npz.NOT_ARRAYS as error:
        raise UserError(
            f"{where} is damaged or not of numbers ({error}): write it again"
        ) from error


def _pictures(folder: Path, image_size: int, label: str) -> Found:
    misfits = Misfits()
    found = pictures.load(folder, image_size, label != NONE, misfits)
    first = next(iter(found.splits.values()), None)
    shape = tuple(first.x.shape[1:]) if first is not None else ()
    arrays = {name: (split.x, split.labels, None) for name, split in found.splits.items()}
    one = bool(shape) and shape[-1] == 1 and not misfits
    extremes = one and all(map(_black_and_white, (split.x for split in found.splits.values())))
    facts = Facts(
        "grey", shape, own=True, whole=True, high=WHITE, bytes=True, black_and_white=extremes
    )
    content = Content({}, classes=found.classes)
    return Found(folder, "a folder of pictures", arrays, facts, misfits, content)


def of_arrays(arrays: Mapping[str, Any], name: str, columns: str = "") -> Found:
    """Arrays of a program, by name as an .npz has them (`vae.data.layout`).

    Raises:
      UserError: they are none; what else is wrong is in `misfits`.
    """
    if not isinstance(arrays, Mapping):
        arrays = {"x": arrays}
    path, content, misfits = Path(name), Content(dict(arrays)), Misfits()
    found = layout.arrays(content.arrays, path)
    return _found(path, "arrays", content, found, misfits, columns)


def _black_and_white(x: Any, chunk: int = 64) -> bool:
    """Whether pictures are of 0 and 255 alone; looks no further than the first other value."""
    parts = (np.asarray(x[start : start + chunk]) for start in range(0, len(x), chunk))
    return all(bool(((part == 0) | (part == WHITE)).all()) for part in parts)


def _found(
    path: Path, what: str, content: Content, arrays: layout.Arrays, misfits: Misfits,
    asked: str = "",
) -> Found:  # fmt: skip
    """What the arrays of a file are, each number looked at once."""
    columns: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    with misfits.noted():
        if "columns" in content.arrays:
            columns = _names(content.arrays["columns"], "columns", path)
    with misfits.noted():
        if "vocabulary" in content.arrays:
            vocabulary = _names(content.arrays["vocabulary"], "vocabulary", path)
    facts = numbers.facts([x for x, *_ in arrays.values()], path, content, misfits)
    shapes = {split: tuple(x.shape[1:]) for split, (x, *_) in arrays.items()}
    if facts.shape and len(set(shapes.values())) > 1:
        misfits.append(f"data.path: the splits differ in the shape of an example: {shapes}")
    found = Found(path, what, arrays, facts, misfits, content, columns, vocabulary, asked)
    fitting: dict[str, Any] = {}
    for split, (x, given, context) in arrays.items():
        with misfits.noted():
            _check_context(context, len(x), path)
        fitting[split] = given
        if given is not None and given.shape not in ((len(x),), (len(x), 1)):
            fitting[split] = None
            misfits.append(
                f"{found.labels_at}: labels of shape {given.shape} do not fit {len(x)} examples of "
                f"{split}"
            )
    with misfits.noted():
        labels.numbered(fitting, found.labels_at)
    return found


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
    columns: tuple[str, ...], vocabulary: tuple[str, ...], facts: Facts, kind: str, path: Path
) -> None:
    """Raises UserError where there are not as many names as columns, or ids."""
    if columns and facts.shape != (len(columns),):
        raise UserError(
            f"{path}: columns has {len(columns)} names, and an example has shape {facts.shape}: "
            "give a name for each of its numbers, or leave columns out"
        )
    if vocabulary and kind == "tokens" and facts.high >= len(vocabulary):
        raise UserError(
            f"{path}: vocabulary has {len(vocabulary)} names, and {int(facts.high)} is among the "
            "ids: give a name for each id from 0 on"
        )


def _check_kind(kind: str, path: Path, facts: Facts) -> None:
    """Raises UserError where the numbers are not what `data.kind` says."""
    if kind == "real":
        return
    if kind in ("counts", "tokens") and not facts.vectors:
        raise UserError(f"data.kind={kind!r} is for vectors [N, D]: {path} has {facts.axes} axes")
    most = numbers.MOST[kind]
    if not facts.whole:
        wrong = "fractions"
    elif facts.low < 0:
        wrong = f"{facts.low}"
    elif facts.high > most:
        wrong = f"{facts.high}"
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


def _examples(array: Any, dtype: DTypeLike) -> Lazy:
    """Returns numbers of that type, with a channel axis for images, read as it is indexed."""
    shape = (*array.shape, 1) if array.ndim == 3 else array.shape

    def read(rows: np.ndarray) -> np.ndarray:
        return np.asarray(array[rows]).astype(dtype, copy=False).reshape(len(rows), *shape[1:])

    return Lazy(read, shape, dtype)


def _check_context(context: Any, count: int, path: Path) -> None:
    """Raises UserError where a context is not finite numbers [N, C]."""
    if context is None:
        return
    context = np.asarray(context)
    fits = context.dtype.kind in "buif" and numbers.fits_single(context).all()
    if context.ndim != 2 or len(context) != count or not fits:
        raise UserError(
            f"{path} holds {context.dtype} of shape {context.shape} as context: give finite "
            f"numbers [{count}, C]"
        )

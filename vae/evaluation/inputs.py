"""Examples for a trained run: a file, read as the run's own data were, or a split of those."""

import dataclasses
from collections.abc import Container, Mapping
from pathlib import Path

import numpy as np

from vae import npz
from vae.data import arrowfiles, covariates, csvfiles, files, forms, frames
from vae.data.dataset import Dataset, Lazy, Rows, Split
from vae.data.observe import observed
from vae.errors import UserError
from vae.evaluation.trained import Trained

ARROW = (".parquet", ".feather", ".arrow")
ARRAYS = ("x", "X", "test", "x_test", "X_test")
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Given:
    """Examples, and what stands beside them."""

    raw: Rows  # [N, *shape], as the file holds them
    beside: Mapping[str, np.ndarray]  # by name, [N]: ids, labels, the other columns of a table
    # Of a table that the run's columns are in: those as they are written, and the order of all.
    written: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    order: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.raw)

    def beside_of(self, own: Container[str]) -> dict[str, np.ndarray]:
        """What stands beside the examples, by names that an output does not have itself."""
        return {f"input_{n}" if n in own else n: np.asarray(v) for n, v in self.beside.items()}


def given(source: str | Path, run: Trained) -> tuple[Given, Rows, np.ndarray | None]:
    """Examples of a file, a folder or a split, what the model sees of them, and their context.

    Raises:
      UserError: as `read`; or a file for a conditional model.
    """
    if source in SPLITS:
        found = of_run(str(source), run)
        return found, found.raw, run.context(str(source))
    found = read(source, run)
    if run.facts.conditional and run.config.data.covariates:
        wanted = tuple(run.config.data.covariates)
        return found, seen(found, run), covariates.of_file(Path(source), wanted, run.described)
    if run.facts.conditional:
        raise UserError(
            f"{run.workdir} is of a conditional model: give --input=train, validation or test, "
            "whose context is known"
        )
    return found, seen(found, run), None


def read(source: str | Path, run: Trained) -> Given:
    """The examples of a file or a folder; those of a table in the order of the run's columns.

    Raises:
      UserError: nothing there, columns are missing, or no finite numbers.
    """
    path = Path(source)
    form = forms.reader(path)
    if path.suffix == ".csv":
        return _of_table(csvfiles.read(path, text=True), run)
    if path.suffix in ARROW and path.is_file() and "columns" in run.described:
        return _of_table(arrowfiles.table(path), run)
    if path.suffix in (".npz", ".npy"):
        return Given(_array(path, holes="column_kinds" in run.described), {})
    if not path.exists():
        raise UserError(f"--input={path}: no such file; or give train, validation or test")
    if form is None and not path.is_dir():
        known = ", ".join(forms.READERS)
        raise UserError(f"--input={path}: give one of {known}, or a folder of pictures")
    config, described = run.config.data, run.described
    found = files.load(
        str(path), config.image_size, described["kind"], config.label, config.id, config.columns
    )
    return _of_split(next(iter(found.splits.values())), found)


def of_run(split: str, run: Trained) -> Given:
    """The examples of a split of the run's own data, as the model sees them."""
    part = run.dataset.splits[split]
    return dataclasses.replace(_of_split(part, run.dataset), raw=run.seen(split))


def seen(given: Given, run: Trained) -> Rows:
    """Examples as the model sees them, float32 [N, *shape]: standardised as the training data were,
    grey levels in [0, 1], or zeros and ones by a fixed seed."""
    raw, described = given.raw, run.described
    levels = described["kind"] == "grey" and raw.dtype.kind in "bui"
    if not levels:
        return raw if isinstance(raw, Lazy) else run.prepare(raw)
    x = raw[..., None] if raw.ndim == 3 and run.shape[-1] == 1 else raw
    whole = Dataset("", "", "grey", described["levels"], {"test": Split(x)})
    return observed(whole, "test", described["observed"])


def _of_split(split: Split, dataset: Dataset) -> Given:
    beside: dict[str, np.ndarray] = {}
    if split.ids is not None:
        beside[dataset.identifier or "id"] = np.asarray(split.ids[:])
    if split.labels is not None:
        labels = np.asarray(split.labels[:])
        named = np.array(dataset.classes)[labels] if dataset.classes else labels
        beside[dataset.label or "label"] = named
    return Given(split.x, beside)


def _array(path: Path, holes: bool) -> np.ndarray:
    if not path.exists():
        raise UserError(f"{path}: no such file")
    try:
        arrays = npz.read(path)
    except npz.NOT_ARRAYS as error:
        raise UserError(f"{path} cannot be read ({error}): write it again") from None
    name = next((name for name in ARRAYS if name in arrays), None)
    if name is None:
        raise UserError(f"{path} holds {', '.join(arrays) or 'nothing'}: name the array x")
    values = arrays[name]
    if values.dtype.kind not in "buif" or not values.ndim or not len(values):
        raise UserError(f"{path} holds {values.dtype} of shape {values.shape}: give numbers [N, D]")
    finite = ~np.isinf(values) if holes else np.isfinite(values)
    finite = finite.reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{path} holds {'' if holes else 'NaN or '}infinity, first in example "
            f"{np.argmin(finite)}: fill or remove it"
        )
    return values


def _of_table(table: frames.Table, run: Trained) -> Given:
    """The columns of a table that the run takes, and the rest."""
    names, wanted = table.names, run.described.get("columns")
    if wanted is None:  # it was trained on an array, whose columns have no names
        found = csvfiles.features(table, run.config.data.label)
        return Given(found.x, {} if found.labels is None else {found.label: found.labels})
    several = "column_kinds" in run.described
    used = set(wanted) if several else frames.sources(wanted, names)
    rest = {name: table.cells(n) for n, name in enumerate(names) if name not in used}
    written = {name: table.cells(names.index(name)) for name in used if name in names}
    return Given(run.own_numbers(table), rest, written, names)

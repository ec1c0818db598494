"""The `detect` verb: anomaly scores of a user's table by trained runs, as a CSV file."""

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import npz
from vae.choices import choose
from vae.data import csvfiles, frames
from vae.errors import UserError
from vae.evaluation import anomaly_scores
from vae.evaluation.trained import Trained, load
from vae.scores import anomaly

ARRAYS = ("x", "X", "test", "x_test", "X_test")
Carried = list[tuple[str, np.ndarray]]  # columns of a table that are not scored: name, cells [N]


def detect(
    workdirs: Sequence[str | Path], source: str | Path, output: str | Path,
    score: str = "negative_elbo", share: float = 0.01,
) -> dict[str, Any]:  # fmt: skip
    """Scores every example of a file, and marks those above a threshold.

    Args:
      workdirs: runs; of several of one data set the scores are an ensemble's.
      source: a .csv with the columns of the training table, in any order, or an .npz or .npy with
        an array of examples, both as they were before the run standardised them.
      output: the CSV to write: `example`, the columns of a .csv that the run does not take as they
        are written (`input_` before a name that the output has itself), a column a score, `anomaly`
        (0 or 1). A score is infinite where a number is too large for the model.
      score: that decides what is an anomaly: one of `anomaly_scores.names`.
      share: of ordinary examples, that may be marked: the rate of false alarms. The threshold is
        found on validation examples; what few of them cannot tell is said.

    Returns:
      How many `examples` there are and `marked`, the `threshold`, and the `share` it stands for.

    Raises:
      UserError: a run or the file cannot be used; nothing is written.
    """
    source, output = Path(source), Path(output)
    if output.suffix != ".csv":
        raise UserError(f"--output={output}: give a name that ends in .csv")
    members = [load(workdir) for workdir in workdirs]
    for run in members[1:]:
        same = ("shape", "observed", "columns", "mean", "std")
        if any(run.described.get(k) != members[0].described.get(k) for k in same):
            raise UserError(f"{run.workdir} and {members[0].workdir} are of different data")
    names = anomaly_scores.names(members[0])
    choose(dict.fromkeys(names), score, "score")
    raw, carried = read(source, members[0])
    usual = [anomaly_scores.scores(run, run.examples("validation")) for run in members]
    found = [scores(run, raw) for run in members]
    if len(members) == 1:
        (scored,), (ordinary,) = found, usual
    else:
        scored, ordinary = anomaly.ensemble(found, usual), anomaly.ensemble(usual, usual)
    limit, possible = anomaly.threshold(ordinary[score], share)
    if possible > share:
        warnings.warn(
            f"{len(ordinary[score]):,} validation examples tell a share of false alarms down to "
            f"{possible:.2g}, not {share:g}: the threshold is the largest of their scores",
            stacklevel=2,
        )
    marked = (scored[score] > limit).astype(int)
    own = ("example", *names, "anomaly")
    header = [f"input_{name}" if name in own else name for name, _ in carried]
    columns: list[Any] = [cells for _, cells in carried]
    columns += [[f"{value:.6g}" for value in scored[name]] for name in names]
    output.parent.mkdir(parents=True, exist_ok=True)
    with npz.replacing(output) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["example", *header, *names, "anomaly"])
        writer.writerows(zip(range(len(raw)), *columns, marked, strict=True))
    return {
        "examples": len(raw), "marked": int(marked.sum()), "threshold": limit, "share": possible
    }  # fmt: skip


def scores(run: Trained, raw: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of examples as the file holds them: infinite where numbers are too large for one."""
    with np.errstate(over="ignore"):
        x = np.asarray(run.prepare(raw)).astype(np.float32)
    fits = np.isfinite(x).reshape(len(x), -1).all(axis=1)
    x[~fits] = 0.0  # any number: they are given no score below
    with np.errstate(over="ignore", invalid="ignore"):
        found = anomaly_scores.scores(run, x)
    found = {
        name: np.where(fits & np.isfinite(values), values, np.inf)
        for name, values in found.items()
    }
    beyond = np.flatnonzero(np.isinf(list(found.values())).any(axis=0))
    if len(beyond):
        warnings.warn(
            f"{len(beyond):,} examples are so far out that a score is infinite: "
            f"{', '.join(map(str, beyond[:10]))}{', ...' * (len(beyond) > 10)}",
            stacklevel=2,
        )
    return found


def read(path: Path, run: Trained) -> tuple[np.ndarray, Carried]:
    """The examples of a file, their columns in the order of the run's training table, and the other
    columns as they are written.

    Raises:
      UserError: no such file, nothing in it, columns are missing, or no finite numbers.
    """
    if path.suffix == ".csv":
        return _columns(csvfiles.read(path, text=True), run)
    if path.suffix not in (".npz", ".npy"):
        raise UserError(f"--input={path}: give a .csv, .npz or .npy file")
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
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        raise UserError(
            f"{path} holds NaN or infinity, first in example {np.argmin(finite)}: fill or remove it"
        )
    return values, []


def _columns(table: csvfiles.Table, run: Trained) -> tuple[np.ndarray, Carried]:
    """What of a table the run takes, and the rest."""
    names, wanted = table.names, run.described.get("columns")
    if wanted is None:  # it was trained on an array, whose columns have no names
        found = csvfiles.features(table, run.config.data.label)
        labels = found.labels
        return found.x, [] if labels is None else [(found.label, labels)]
    x, used = frames.taken(table, wanted), frames.sources(wanted, names)
    return x, [(name, table.cells(n)) for n, name in enumerate(names) if name not in used]

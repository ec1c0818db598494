"""The `detect` verb: anomaly scores of a user's table by trained runs, as a CSV file."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import npz
from vae.choices import choose
from vae.data import csvfiles
from vae.errors import UserError
from vae.evaluation import anomaly
from vae.evaluation.trained import Trained, load

ARRAYS = ("x", "X", "test", "x_test", "X_test")


def detect(
    workdirs: Sequence[str | Path], source: str | Path, output: str | Path,
    score: str = "elbo", share: float = 0.01,
) -> dict[str, Any]:  # fmt: skip
    """Scores every example of a file, and marks those above a threshold.

    Args:
      workdirs: runs; of several of one data set the scores are an ensemble's.
      source: a .csv with the columns of the training table, in any order, or an .npz or .npy with
        an array of examples, both as they were before the run standardised them.
      output: the CSV to write: `example`, a column a score, `anomaly` (0 or 1).
      score: that decides what is an anomaly: one of `anomaly.names`.
      share: of the validation examples, that would be marked: the rate of false alarms.

    Returns:
      How many `examples` there are and `marked`, and the `threshold`.

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
    names = anomaly.names(members[0])
    choose(dict.fromkeys(names), score, "score")
    raw = read(source, members[0])
    usual = [anomaly.scores(run, run.examples("validation")) for run in members]
    found = [anomaly.scores(run, run.prepare(raw)) for run in members]
    if len(members) == 1:
        (scored,), (ordinary,) = found, usual
    else:
        scored, ordinary = anomaly.ensemble(found, usual), anomaly.ensemble(usual, usual)
    limit = anomaly.threshold(ordinary[score], share)
    marked = scored[score] > limit
    output.parent.mkdir(parents=True, exist_ok=True)
    with npz.replacing(output) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["example", *names, "anomaly"])
        for number in range(len(raw)):
            values = (f"{scored[name][number]:.6g}" for name in names)
            writer.writerow([number, *values, int(marked[number])])
    return {"examples": len(raw), "marked": int(marked.sum()), "threshold": limit}


def read(path: Path, run: Trained) -> np.ndarray:
    """The examples of a file, their columns in the order of the run's training table.

    Raises:
      UserError: no such file, nothing in it, columns are missing, or no finite numbers.
    """
    if path.suffix == ".csv":
        values, names = csvfiles.read(path)
        wanted = run.described.get("columns")
        if wanted is None:
            wanted = [name for name in names if name not in csvfiles.LABELS]
        missing = [name for name in wanted if name not in names]
        if missing:
            raise UserError(
                f"{path} lacks {len(missing)} of the {len(wanted)} columns that the run was "
                f"trained on: {', '.join(missing[:5])}{', ...' * (len(missing) > 5)}"
            )
        return values[:, [names.index(name) for name in wanted]]
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
    return values

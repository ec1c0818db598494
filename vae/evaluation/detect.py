"""The `detect` verb: anomaly scores of a user's examples by trained runs, as a table."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae.choices import choose
from vae.errors import UserError
from vae.evaluation import anomaly_scores, inputs, outputs
from vae.evaluation.trained import load
from vae.scores import anomaly


def detect(
    workdirs: Sequence[str | Path], source: str | Path, output: str | Path,
    score: str = "negative_elbo", share: float = 0.01,
) -> dict[str, Any]:  # fmt: skip
    """Scores every example of a file, and marks those above a threshold.

    Args:
      workdirs: one run, or several of one data set, whose scores are then an ensemble's.
      source: a table with the columns of the training table, in any order, an .npz or .npy with an
        array of examples, or a folder of pictures, all as they were before the run standardised or
        scaled them.
      output: the .csv, .parquet or .npz to write: `example`, what stands beside the examples as it
        is written (`input_` before a name that the output has itself), a column for each score, and
        `anomaly` (0 or 1). A score is infinite where a number is too large for the model.
      score: decides what is an anomaly: one of `anomaly_scores.names`.
      share: how many ordinary examples may be marked: the rate of false alarms. Validation examples
        give the threshold; a message says where they are too few for it.

    Returns:
      How many `examples` there are and `marked`, the `threshold`, and the `share` it stands for.

    Raises:
      UserError: a run or the file cannot be used; nothing is written.
    """
    path = outputs.check(output)
    members = [load(workdir) for workdir in workdirs]
    for run in members[1:]:
        same = ("shape", "observed", "columns", "column_kinds", "mean", "std")
        if any(run.described.get(k) != members[0].described.get(k) for k in same):
            raise UserError(f"{run.workdir} and {members[0].workdir} are of different data")
    names = anomaly_scores.names(members[0])
    choose(dict.fromkeys(names), score, "score")
    given = inputs.read(source, members[0])
    usual = [anomaly_scores.scores(run, run.examples("validation")) for run in members]
    found = [
        anomaly_scores.bounded(run, np.asarray(inputs.seen(given, run)[:])) for run in members
    ]
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
    own = {"example": np.arange(len(given)), **scored, "anomaly": marked}
    beside = given.beside_of(own)
    outputs.write(path, {"example": own.pop("example"), **beside, **own})
    return {
        "examples": len(given), "marked": int(marked.sum()), "threshold": limit, "share": possible
    }  # fmt: skip

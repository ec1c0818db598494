"""The `impute` verb: the missing cells of a table, from what is observed of each row, by a trained
run of `model.likelihood=columns`."""

from pathlib import Path
from typing import Any

import numpy as np

from vae.columns import cells, kept, own
from vae.evaluation import inputs, missing_cells, outputs
from vae.evaluation.trained import Trained, load

EFFECTIVE = "effective_draws"  # the column that tells them
DRAW = "draw"  # the column that numbers imputations, from 1 on


def impute(
    workdir: str | Path, source: str | Path, output: str | Path, samples: int = 1000,
    draws: int = 0, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Writes a table with its missing cells filled, and all others as they are.

    Args:
      source: a table or an array with the run's columns, whatever else it has.
      output: .csv or .parquet: the columns of the table, in its order, then `effective_draws`, how
        many of the draws of z a row rests on; .npz: the same as arrays.
      samples: draws of z an example.
      draws: if not 0, each row so many times, with draws of the missing cells given the observed
        ones rather than their means and most probable levels, numbers in the range and with the
        digits that the training set has; a first column `draw` counts them.
      seed: of all draws.

    Returns:
      How many `rows` there are, `filled` cells, and the smallest `effective` number of draws.

    Raises:
      UserError: no such run, or a file that does not fit; nothing is written.
    """
    path, run = outputs.check(output), load(workdir)
    kinds = run.column_kinds
    given = inputs.read(source, run)
    raw = np.asarray(given.raw, np.float64)
    found, effective = missing_cells.filled(run, run.prepare(raw), samples, draws, seed)
    missing = np.isnan(raw)
    made = own(found, kinds)  # [M, N, D]
    values = np.where(missing, kept(made, kinds) if draws else made, raw)
    columns = table(given, run, values, missing)
    if not draws:
        columns = {name: column[0] for name, column in columns.items()}
        columns |= {EFFECTIVE: effective}
    else:
        columns = {name: column.reshape(-1) for name, column in columns.items()}
        numbers = np.repeat(np.arange(1, draws + 1), len(raw))
        columns = {DRAW: numbers, **columns, EFFECTIVE: np.tile(effective, draws)}
    outputs.write(path, columns)
    return {
        "rows": len(raw), "filled": int(missing.sum()), "effective": float(effective.min())
    }  # fmt: skip


def table(
    given: inputs.Given, run: Trained, values: np.ndarray, missing: np.ndarray
) -> dict[str, np.ndarray]:
    """The columns of a table [M, N] in its own order: own numbers [M, N, D] where a cell is
    missing, and what it had, as it was written, elsewhere."""
    names, kinds = run.column_names, run.column_kinds
    found: dict[str, np.ndarray] = {}
    for name in given.order or (*given.beside, *names):
        if name not in names:
            beside = np.asarray(given.beside[name])
            found[name] = np.broadcast_to(beside, (len(values), len(beside)))
            continue
        d = names.index(name)
        made = np.stack([cells(each[:, d], kinds[d]) for each in values])
        written = given.written.get(name)
        if written is not None and missing[:, d].any():
            made = np.where(missing[:, d], made.astype(object), written.astype(object))
        elif written is not None:
            made = np.broadcast_to(written, made.shape)
        found[name] = made
    return found

"""Differential expression between two groups of cells (Lopez et al. 2018; Boyeau et al. 2019)."""

from pathlib import Path

import numpy as np

from vae.data import covariates
from vae.errors import UserError
from vae.evaluation import inputs, outputs
from vae.evaluation.cell_files import LIBRARY
from vae.evaluation.trained import Trained, load

DELTA = 0.25  # |log2 fold change| that counts, as scvi-tools has it
PAIRS = 5000
LEAST = 1e-6  # added to shares: a count in a million


def differential(
    workdir: str | Path, source: str | Path, groups: str, a: str, b: str, output: str | Path,
    delta: float = DELTA, pairs: int = PAIRS, seed: int = 0,
) -> dict[str, int]:  # fmt: skip
    """Writes how genes differ between two groups of a file's cells, the surest first.

    Args:
      source: an `.h5ad` or a table like the run's data.
      groups: a column of `obs` or of the table.
      a, b: two values of it; b "": all cells that are not of a.
      output: .csv, .parquet or .npz: `gene`, then the numbers of `compare`.

    Returns:
      Numbers of cells of each group, `a` and `b`, and of `genes` with a probability above 0.95.

    Raises:
      UserError: no run, no such file, column or value.
    """
    path, run = outputs.check(output), load(workdir)
    given, x, context = inputs.given(source, run)
    of = covariates.read(Path(source), (f"{groups}{covariates.CATEGORICAL}",))[groups]
    values = np.unique(of).tolist()
    for value in (a, *([b] if b else [])):
        if value not in values:
            raise UserError(
                f"{source}: {groups} has no value {value!r}; it has {', '.join(values[:10])}"
                f"{', ...' * (len(values) > 10)}"
            )
    of_a, of_b = of == a, (of == b if b else of != a)
    if not of_b.any():
        raise UserError(f"{source}: all cells have {groups} {a!r}: name two of its values")
    x = np.asarray(x[:], np.float32)
    rows = [np.flatnonzero(each) for each in (of_a, of_b)]
    found = compare(run, x, rows[0], rows[1], context, delta, pairs, seed)
    order = np.lexsort((-np.abs(found["lfc_mean"]), -found["probability"]))
    names = np.array(run.column_names)
    outputs.write(path, {"gene": names[order], **{k: v[order] for k, v in found.items()}})
    sure = int((found["probability"] > 0.95).sum())
    return {"a": len(rows[0]), "b": len(rows[1]), "genes": sure}


def compare(
    run: Trained, x: np.ndarray, a: np.ndarray, b: np.ndarray, context: np.ndarray | None = None,
    delta: float = DELTA, pairs: int = PAIRS, seed: int = 0,
) -> dict[str, np.ndarray]:  # fmt: skip
    """How each gene's share differs between two groups, by draws of z from q(z|x).

    A pair is a cell of each group, drawn evenly, and a draw of z of each; the log2 fold change is
    that of the shares that their means are of, so neither library nor gate counts.

    Args:
      x: counts [N, D].
      a, b: numbers of the cells of each group.
      delta: of log2: a change is one above it.

    Returns:
      Of each gene [D]: `mean_a` and `mean_b`, normalised expression of a library of 10,000;
      `lfc_mean`, `lfc_median` and `lfc_std` of a over b; `probability` of |lfc| > delta; and
      `bayes_factor`, the logarithm of its odds, kept to what so many pairs can tell.

    Raises:
      UserError: the likelihood has no shares, or a number is out of range.
    """
    if not (0.0 <= delta < np.inf and pairs > 0):
        raise UserError(f"delta={delta}, pairs={pairs}: give a delta of 0 or more, and a pair")
    rng = np.random.default_rng(seed)
    shares = []
    for number, rows in enumerate((a, b)):
        chosen = rows[rng.integers(0, len(rows), pairs)]
        given = None if context is None else context[chosen]
        z = run.posterior_draws(x[chosen], 2 * seed + number, given)
        shares.append(run.shares(z, given).astype(np.float64))
    lfc = np.log2(shares[0] + LEAST) - np.log2(shares[1] + LEAST)
    changed = (np.abs(lfc) > delta).mean(0)
    kept = np.clip(changed, 0.5 / pairs, 1.0 - 0.5 / pairs)
    return {
        "mean_a": LIBRARY * shares[0].mean(0), "mean_b": LIBRARY * shares[1].mean(0),
        "lfc_mean": lfc.mean(0), "lfc_median": np.median(lfc, axis=0), "lfc_std": lfc.std(0),
        "probability": changed, "bayes_factor": np.log(kept) - np.log1p(-kept),
    }  # fmt: skip

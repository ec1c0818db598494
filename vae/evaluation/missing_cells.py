"""Filling the missing cells of examples from what is observed of each, by a trained run."""

import warnings
from typing import Any, Protocol

import numpy as np

from vae.columns import Column, limits
from vae.errors import UserError
from vae.estimators import conditional
from vae.estimators.compiled import Compiled
from vae.evaluation import accepted

FEW = 10.0  # effective draws, fewer than which are said


class Imputing(Protocol):
    """What is needed of a `vae.evaluation.trained.Trained`."""

    compiled: Compiled

    @property
    def variables(self) -> Any: ...

    @property
    def column_kinds(self) -> tuple[Column, ...]: ...

    @property
    def column_names(self) -> list[str]: ...

    def cells(self, x: np.ndarray, drawn: bool = False) -> dict[str, np.ndarray]: ...


def filled(
    run: Imputing, x: np.ndarray, samples: int, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """x [N, D] as the model sees it with its missing cells filled, [max(1, draws), N, D], and the
    effective number of draws of each row [N]. Numbers are kept to the training set's range: means
    of long tails lie far out where a model extrapolates."""
    low, high = limits(run.column_kinds)
    if not 1 <= samples <= conditional.MOST:
        raise UserError(f"--samples={samples}: give a number from 1 to {conditional.MOST:,}")
    if not 0 <= draws <= samples:
        raise UserError(f"--draws={draws}: give a number from 0 to --samples={samples}")
    evaluator = run.compiled(conditional.conditional, samples, draws)
    size = conditional.batch_size(samples)
    given = evaluator(run.variables, x, accepted.key(seed), size)
    found, effective = given["x"].swapaxes(0, 1), given["effective"]
    few = int((effective < min(FEW, samples)).sum())
    if few:
        warnings.warn(
            f"{few:,} of {len(x):,} rows rest on fewer than {FEW:g} effective draws of "
            f"{samples:,}: give --samples={min(10 * samples, conditional.MOST)}",
            stacklevel=3,
        )
    return np.where(np.isnan(x), np.clip(found, low, high), x), effective


def frame(run: Imputing, given: Any, x: np.ndarray, made: np.ndarray, drawn: bool) -> Any:
    """A DataFrame with the missing cells of x [N, D], what a model sees of it, from another [N, D],
    which may be drawn, and all others as they are."""
    found, own = given.copy(), run.cells(made, drawn)
    for d, name in enumerate(run.column_names):
        missing = np.isnan(x[:, d])
        if missing.any():
            column = given[name].astype(object).where(~missing, own[name])
            found[name] = column.infer_objects()
    return found

"""What a trained run takes: examples, contexts, numbers of draws, seeds; checked, or refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vae.columns import LINKS, Column, of_described
from vae.data.context import one_hot
from vae.errors import UserError
from vae.probability import noise

MOST_DRAWS = 2**32  # a draw's noise is of its number, 32 bits


def shaped(x: Any, shape: tuple[int, ...]) -> np.ndarray:
    """x as an array [N, *shape] of one example or more; a UserError where it is of another
    shape."""
    x = np.asarray(x)
    if x.ndim == 3 and shape[-1] == 1 and x.shape[1:] == shape[:-1]:
        x = x[..., None]  # grey images without a channel axis
    if x.shape[1:] != shape or len(x) == 0:
        wanted = ", ".join(map(str, shape))
        turned = x.ndim == 4 and (*x.shape[2:], x.shape[1]) == shape
        remedy = ": channels last, x.transpose(0, 2, 3, 1)" if turned else " with N > 0"
        raise UserError(f"x has shape {x.shape}; this model takes [N, {wanted}]{remedy}")
    return x


def examples(x: Any, shape: tuple[int, ...], described: Mapping[str, Any]) -> np.ndarray:
    """x as float32 [N, *shape]; a UserError where the model cannot take it.

    Args:
      described: what the run's `data.json` holds.
    """
    x = shaped(x, shape).astype(np.float32)
    observed_as = described["observed"]
    if observed_as == "binary" and not np.isin(x, (0.0, 1.0)).all():
        raise UserError(
            "x holds other values than 0 and 1 and this model is one of zeros and ones: "
            "binarise it, for instance x > 0.5"
        )
    if observed_as == "grey" and not ((x >= 0) & (x <= 1)).all():
        raise UserError("x holds values outside [0, 1]: divide by the largest grey level first")
    if observed_as == "columns":
        _check_columns(x, of_described(described["column_kinds"]))
        return x
    if not np.isfinite(x).all():
        raise UserError("x holds values that are not finite")
    if observed_as in ("counts", "tokens") and not ((x >= 0) & (x == np.floor(x))).all():
        raise UserError(f"x holds no {observed_as}: give whole numbers from 0 on")
    if observed_as == "tokens" and x.max() >= described["levels"]:
        most = described["levels"] - 1
        raise UserError(f"x holds the token {x.max():g}; this model knows 0 to {most}")
    return x


def _check_columns(x: np.ndarray, columns: Sequence[Column]) -> None:
    """Raises UserError where x [N, D] as the model sees it, NaN aside, is not what its columns
    take."""
    if np.isinf(x).any():
        raise UserError("x holds values that are not finite, and not NaN, which is a missing cell")
    for d, column in enumerate(columns):
        if column.kind in LINKS:
            continue
        given = x[~np.isnan(x[:, d]), d]
        most = len(column.levels) - 1 if column.levels else np.inf
        if not ((given >= 0) & (given <= most) & (given == np.floor(given))).all():
            what = f"codes from 0 to {most}" if column.levels else "whole numbers from 0 on"
            raise UserError(f"x holds no {what} in column {d}, which is {column.kind}")


def context(given: Any, count: int, size: int, labels: bool) -> np.ndarray | None:
    """The context of `count` examples [N, size]; a UserError where it does not fit.

    Args:
      size: numbers of a context; 0: the model takes none.
      labels: whether it is labels, which may be given as they are, [N].
    """
    if not size:
        if given is not None:
            raise UserError("this model takes no context: it was trained with data.context=''")
        return None
    given = None if given is None else np.asarray(given)
    if given is not None and labels and given.ndim == 1:
        given = one_hot(given, size)
    numbers = given is not None and given.dtype.kind in "buif" and np.isfinite(given).all()
    if given is None or given.shape != (count, size) or not numbers:
        found = "no context"
        if given is not None:
            unfit = "" if numbers else " that is not of numbers"
            found = f"a context of shape {given.shape}{unfit}"
        also = " or labels [N]" if labels else ""
        raise UserError(
            f"{found} for {count} examples: this model takes context [N, {size}]{also}"
        )
    return given.astype(np.float32)


def draws(num: int, seed: int, first: int = 0) -> None:
    """Raises UserError where the number of draws or the seed is out of range."""
    if num < 1 or first + num > MOST_DRAWS:
        raise UserError(f"num={num:,}: give a whole number from 1 to {MOST_DRAWS:,}")
    key(seed)


def key(seed: int) -> jax.Array:
    """The key of a run's draws; a UserError where the seed is out of range."""
    if not 0 <= seed < 2**32:
        raise UserError(f"seed={seed}: give a whole number from 0 to {2**32 - 1}")
    return noise.key_for(seed, "sample")

"""What every metric reads: codes and factors, checked once and on one scale."""

import dataclasses

import numpy as np

from vae.errors import UserError, needed

LEAST = 10  # examples: half of them have to teach a classifier and half to test it
INACTIVE = 0.05  # share of a latent's variance below which its mean tells nothing (`active`)
CONSTANT = 1e-9  # spread of a column, relative to its largest value, that is rounding alone


@dataclasses.dataclass(frozen=True)
class Table:
    """Codes and factors of the same examples.

    Attributes:
      z: codes, [N, L]; each latent has mean 0 and variance 1, so that no metric sees its scale; a
        constant one is 0.
      v: which of its values each factor takes, 0 to sizes[k] - 1, [N, F]; none is constant.
      values: the values themselves, as they were given, [N, F].
      sizes: number of values of each factor, F numbers.
      std: of q(z|x) on the scale of z, [N, L]; None where none was given.
      over: the examples and factors in words, for a metric's unit.
    """

    z: np.ndarray
    v: np.ndarray
    values: np.ndarray
    sizes: tuple[int, ...]
    std: np.ndarray | None
    over: str

    @property
    def spread(self) -> np.ndarray:
        """`std`, where it is known to be there."""
        return needed(self.std, "std")


def read(codes: np.ndarray, factors: np.ndarray, std: np.ndarray | None = None) -> Table:
    """Checks codes [N, L], factors [N, F] and std [N, L]; leaves constant factors out.

    Raises:
      UserError: a shape is wrong, lengths differ, there are fewer than 10 examples, a code is not
        finite, a factor is no whole number, a std is not positive, or every factor is constant.
    """
    z, spread = standardised(codes, std)
    v = _whole(factors)
    if len(v) != len(z):
        raise UserError(
            f"{len(z)} codes and {len(v)} rows of factors: give both for the same examples"
        )
    varies = v.min(0) != v.max(0)
    if not varies.any():
        raise UserError("every factor has the same value in all examples: give more examples")
    constant = int((~varies).sum())
    over = f"{len(z):,} examples, {varies.sum()} factors"
    if constant:
        over += f" ({constant} more of one value left out)"
    v = v[:, varies]
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in v.T], axis=1)
    sizes = tuple(int(size) for size in ranks.max(0) + 1)
    return Table(z, ranks, v, sizes, spread, over)


def standardised(
    codes: np.ndarray, std: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Codes [N, L] with mean 0 and variance 1 each, a constant one 0; std [N, L] on their scale.

    Raises:
      UserError: as `read`, of the codes and std.
    """
    z = np.asarray(codes)
    if z.ndim != 2 or not z.shape[1] or z.dtype.kind not in "fiub":
        raise UserError(f"codes should be numbers [N, L], not {z.dtype} {list(z.shape)}")
    z = z.astype(np.float64)
    if len(z) < LEAST:
        raise UserError(f"{len(z)} codes are too few to score: give {LEAST} or more")
    wrong = ~np.isfinite(z)
    if wrong.any():
        latents = ", ".join(map(str, np.flatnonzero(wrong.any(0))[:8]))
        raise UserError(
            f"codes are not finite in {wrong.any(1).sum()} of {len(z)} examples (latents "
            f"{latents}): leave those examples out, or find where the model has diverged"
        )
    if std is not None:
        std = np.asarray(std, np.float64)
        if std.shape != z.shape:
            raise UserError(f"std is {list(std.shape)}, codes are {list(z.shape)}: give one a code")
        if not (np.isfinite(std).all() and (std > 0.0).all()):
            raise UserError("std holds values that are not positive numbers: give that of q(z|x)")
    scale = z.std(0)
    constant = scale <= CONSTANT * np.abs(z).max(0)
    scale[constant] = 1.0
    z = np.where(constant, 0.0, z - z.mean(0)) / scale
    return z, None if std is None else std / scale


def _whole(factors: np.ndarray) -> np.ndarray:
    v = np.asarray(factors)
    if v.ndim != 2 or not v.shape[1] or v.dtype.kind not in "fiub":
        raise UserError(f"factors should be whole numbers [N, F], not {v.dtype} {list(v.shape)}")
    if v.dtype.kind == "f" and not (np.isfinite(v).all() and (v == np.round(v)).all()):
        raise UserError("factors should be whole numbers: number the values of each, or bin them")
    return v.astype(np.int64)


def active(table: Table) -> np.ndarray:
    """The latents of a table that `kept` keeps, [L] bool."""
    return kept(table.z, table.std)


def kept(z: np.ndarray, std: np.ndarray | None) -> np.ndarray:
    """Latents that differ between examples, [L] bool, of what `standardised` returns.

    With std: those whose mean has at least 5% of the variance that draws of the aggregate
    posterior have, Var[mean] / (Var[mean] + E[std^2]); without: those that are not constant. The
    usual bound, a variance of the mean of 0.05, is the same where the aggregate has variance 1,
    and this one does not change with the scale of a latent.
    """
    variance = z.var(0)
    if std is None:
        return variance > 0.0
    return variance >= INACTIVE * (variance + np.square(std).mean(0))


def pruning(table: Table) -> str:
    """In words, how many latents `active` keeps and by what rule."""
    rule = "not constant"
    if table.std is not None:
        rule = f"the mean has {INACTIVE:g} of the variance of q(z) or more"
    return f"{active(table).sum()} of {table.z.shape[1]} latents ({rule})"


def split(num: int, seed: int, most: int, train: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, that share of at most `most` random rows, and the others, to test on."""
    if most < LEAST:
        raise UserError(f"examples={most} should be {LEAST} or more")
    rows = np.random.default_rng(seed).permutation(num)[:most]
    middle = int(np.ceil(train * len(rows)))
    return rows[:middle], rows[middle:]


def share(right: np.ndarray) -> tuple[float, float]:
    """Share of true values and its standard error, of independent ones."""
    p = float(np.mean(right))
    return p, float(np.sqrt(p * (1.0 - p) / len(right)))

"""Gaps of mutual information between the two latents that tell most of a factor."""

import numpy as np
from scipy.special import ndtr

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement import information
from vae.scores.disentanglement.information import BINS, describe, edges
from vae.scores.disentanglement.inputs import Table, read

MIG_HISTOGRAM = Kind("mig_histogram", "MIG, histogram", "up", shown="sweep")
MIG_SAMPLED = Kind("mig_sampled", "MIG, sampled", "up")
RMIG = Kind("rmig", "RMIG", "up")
BLOCK = 2**22  # densities held at a time


def mig_histogram(
    codes: np.ndarray, factors: np.ndarray, *, bins: int | str = BINS
) -> dict[str, Metric]:
    """MIG of posterior means in bins (Locatello et al. 2019).

    mean_k (I(z_j1; v_k) - I(z_j2; v_k)) / H(v_k), where j1 and j2 are the two latents that tell
    most of factor k. It is 1 where one latent determines each factor and no other tells anything of
    it, and 0 where a second latent tells as much as the best. A factor with more values than there
    are bins cannot reach 1.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F]; bins: see `information.edges`.

    Raises:
      UserError: as `inputs.read` and `information.edges`.
    """
    table = read(codes, factors)
    gaps = information.gaps(information.matrix(table.z, table.v, bins))
    value = (gaps / information.factor_entropies(table.v)).mean()
    unit = f"gap of mutual information over the factor's entropy, means in {describe(bins)}"
    return by_name(MIG_HISTOGRAM.of(value, unit=f"{unit}, {table.over}"))


def mig_sampled(
    codes: np.ndarray,
    factors: np.ndarray,
    std: np.ndarray,
    *,
    samples: int = 2_000,
    seed: int = 0,
) -> dict[str, Metric]:
    """MIG of draws of the posteriors (Chen et al. 2018, section 4).

    The gaps of `mig_histogram` with I(z_j; v_k) = H(z_j) - H(z_j|v_k) under the Gaussians
    q(z_j|x_n). q(z_j) is their mean over all examples, and q(z_j|v_k) over those with the same
    value; both are exact. The expectation is over draws z of examples picked at random. Where the
    posteriors are much narrower than the distance between neighbours every latent tells each
    example apart, and so each factor.

    Args:
      codes: means of q(z|x), [N, L]; factors: whole numbers, [N, F]; std: of q(z|x), [N, L].
      samples: draws of z; the time is in proportion to samples * N * L.

    Returns:
      `mig_sampled`; its stderr is over the draws, with j1 and j2 as found.

    Raises:
      UserError: as `inputs.read`.
    """
    table = _with_std(codes, factors, std, "mig_sampled")
    each = _pointwise(table, samples, seed)
    H = information.factor_entropies(table.v)
    first, second = information.top_two(each.mean(0))
    factor = np.arange(len(H))
    best, next_best = each[:, first, factor], each[:, second, factor]
    if table.z.shape[1] == 1:
        next_best = np.zeros_like(best)
    gap = ((best - next_best) / H).mean(1)  # [samples]
    unit = "gap of mutual information over the factor's entropy, Gaussian posteriors"
    unit += f", {samples:,} draws, seed {seed}, {table.over}"
    return by_name(MIG_SAMPLED(gap, unit))


def rmig(
    codes: np.ndarray, factors: np.ndarray, std: np.ndarray, *, bins: int | str = BINS
) -> dict[str, Metric]:
    """RMIG over the factor's entropy (Do & Tran 2020): q(z|x) in bins.

    As `mig_histogram`, but an example counts in each bin with the probability that q(z_j|x) gives
    it, so that noise of the posterior lowers it. Nothing is drawn. The paper has 100 bins of
    [-4, 4]; here they are those of every other metric, so that no latent's scale matters.

    Args:
      codes: means of q(z|x), [N, L]; factors: whole numbers, [N, F]; std: of q(z|x), [N, L].
      bins: of the means, see `information.edges`; what falls outside counts in the outer ones.

    Raises:
      UserError: as `inputs.read` and `information.edges`.
    """
    table = _with_std(codes, factors, std, "rmig")
    I = np.zeros((table.z.shape[1], len(table.sizes)))  # noqa: E741
    for j, (mean, spread) in enumerate(zip(table.z.T, table.spread.T, strict=True)):
        below = ndtr((edges(mean, bins) - mean[:, None]) / spread[:, None])
        mass = np.diff(below, axis=1, prepend=0.0, append=1.0)  # [N, B]
        for k, (v, size) in enumerate(zip(table.v.T, table.sizes, strict=True)):
            p = np.eye(size)[v].T @ mass / len(v)
            I[j, k] = information.mutual_information(p)
    value = (information.gaps(I) / information.factor_entropies(table.v)).mean()
    unit = f"gap of mutual information over the factor's entropy, q(z|x) in {describe(bins)}"
    return by_name(RMIG.of(value, unit=f"{unit}, {table.over}"))


def _with_std(codes: np.ndarray, factors: np.ndarray, std: np.ndarray | None, name: str) -> Table:
    if std is None:
        raise UserError(f"{name} is of q(z|x): give std, or take mig_histogram, of the means alone")
    return read(codes, factors, std)


def _pointwise(table: Table, samples: int, seed: int) -> np.ndarray:
    """log q(z_j|v_k) - log q(z_j) at draws of z and of the example's v: [samples, L, F]."""
    if samples < 2:
        raise UserError(f"samples={samples} should be 2 or more")
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(table.z), size=samples)
    z = table.z[rows] + table.spread[rows] * rng.standard_normal((samples, table.z.shape[1]))
    each = np.zeros((samples, table.z.shape[1], len(table.sizes)))
    size = max(1, BLOCK // len(table.z))
    for start in range(0, samples, size):
        part = slice(start, start + size)
        for j in range(z.shape[1]):
            each[part, j] = _log_ratios(z[part, j], table, j, table.v[rows[part]])
    return each


def _log_ratios(z: np.ndarray, table: Table, j: int, own: np.ndarray) -> np.ndarray:
    """log q(z_j|v_k) - log q(z_j) [S, F] at draws z [S] of latent j; `own` is their v [S, F]."""
    scaled = (z[:, None] - table.z[:, j]) / table.spread[:, j]
    log_q = -0.5 * np.square(scaled) - np.log(table.spread[:, j])  # [S, N], the constant cancels
    highest = log_q.max(1, keepdims=True)
    density = np.exp(log_q - highest)
    total = np.log(density.mean(1))
    parts = []
    for k, size in enumerate(table.sizes):
        within = np.zeros(len(z))
        for value in range(size):
            draws, same = own[:, k] == value, table.v[:, k] == value
            within[draws] = density[np.ix_(draws, same)].mean(1)
        parts.append(np.log(within) - total)
    return np.stack(parts, axis=1)

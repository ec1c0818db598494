"""How far a latent moves while the factor that it stands for is held fixed."""

import numpy as np

from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement.inputs import active, pruning, read

IRS = Kind("irs", "IRS", "up")


def irs(
    codes: np.ndarray,
    factors: np.ndarray,
    std: np.ndarray | None = None,
    *,
    quantile: float = 0.99,
) -> dict[str, Metric]:
    """IRS: interventional robustness score (Suter et al. 2019).

    1 - E_v max |z_j - E[z_j|v_k = v]| / max |z_j - E[z_j]| for the factor k that makes it largest,
    averaged over active latents. 1 where each depends on one factor alone. 0 where no latent is
    active. The factors are taken to be independent and their values equally likely, as in the
    paper's estimate from a table; a high quantile replaces both maxima. All latents have the same
    weight, where the paper weighs them by their deviation, which depends on their scale.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      std: of q(z|x), [N, L], to tell which latents are active; see `inputs.active`.
      quantile: 1 for the paper's maxima, which one example may decide.

    Raises:
      UserError: as `inputs.read`.
    """
    table = read(codes, factors, std)
    z = table.z[:, active(table)]
    within = np.zeros((z.shape[1], len(table.sizes)))
    for k, (v, size) in enumerate(zip(table.v.T, table.sizes, strict=True)):
        for value in range(size):
            same = z[v == value]
            within[:, k] += np.quantile(np.abs(same - same.mean(0)), quantile, axis=0) / size
    deviation = np.abs(z - z.mean(0))
    overall = np.quantile(deviation, quantile, axis=0)
    overall = np.where(overall > 0.0, overall, deviation.max(0))  # of a code that is rarely not 0
    each = np.maximum(0.0, 1.0 - within.min(1) / overall)
    unit = f"1 - deviation at a fixed factor over that of the data, quantile {quantile:g} of both"
    unit += f", {pruning(table)}, {table.over}"
    return by_name(IRS.of(each.mean() if len(each) else 0.0, unit=unit))

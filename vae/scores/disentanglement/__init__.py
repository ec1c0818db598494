"""Scores of codes against the factors that made the data, from plain arrays.

Every metric is a pure function of codes [N, L] (posterior means, or any) and factors [N, F] (whole
numbers, each column its own alphabet), and some of the std [N, L] of q(z|x) too. It returns
metrics by name (`vae.metrics.Metric`), whose units say in words what was set. Apart from random
draws, none depends on the scale, the sign or the order of latents.

`scores` computes all of them, by name. `udr` is apart: it compares several models.
"""

import inspect
from collections.abc import Sequence

import numpy as np

from vae.choices import choose
from vae.errors import UserError
from vae.metrics import Metric
from vae.scores.disentanglement.fixed_factors import beta_vae, factor_vae
from vae.scores.disentanglement.importances import dci_linear, dci_trees
from vae.scores.disentanglement.information import BINS
from vae.scores.disentanglement.interventions import irs
from vae.scores.disentanglement.latent_gaps import mig_histogram, mig_sampled, rmig
from vae.scores.disentanglement.modular import explicitness, modularity
from vae.scores.disentanglement.rankings import udr
from vae.scores.disentanglement.thresholds import sap
from vae.scores.disentanglement.usable_information import infomec

METRICS = {
    "beta_vae": beta_vae,
    "factor_vae": factor_vae,
    "mig_histogram": mig_histogram,
    "mig_sampled": mig_sampled,
    "rmig": rmig,
    "sap": sap,
    "dci_trees": dci_trees,
    "dci_linear": dci_linear,
    "modularity": modularity,
    "explicitness": explicitness,
    "irs": irs,
    "infomec": infomec,
}
OF_POSTERIORS = ("mig_sampled", "rmig")  # these need std

__all__ = [*METRICS, "scores", "udr"]


def scores(
    codes: np.ndarray,
    factors: np.ndarray,
    std: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    bins: int | str = BINS,
) -> dict[str, Metric]:
    """All metrics of codes, or those named, in one mapping.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      std: of q(z|x), [N, L]; without it the metrics of posteriors are left out.
      names: keys of METRICS.
      seed: of whatever draws; bins: of whatever bins (see `information.edges`).

    Raises:
      UserError: no such name, a metric of posteriors is named and std is None, or as the metrics.
    """
    if names is None:
        names = [name for name in METRICS if std is not None or name not in OF_POSTERIORS]
    chosen = [choose(METRICS, name, "names") for name in names]
    missing = [name for name in names if std is None and name in OF_POSTERIORS]
    if missing:
        raise UserError(f"{', '.join(missing)}: give the std of q(z|x) too, or leave them out")
    given = {"std": std, "seed": seed, "bins": bins}
    result: dict[str, Metric] = {}
    for metric in chosen:
        takes = inspect.signature(metric).parameters
        result |= metric(codes, factors, **{k: v for k, v in given.items() if k in takes})
    return result

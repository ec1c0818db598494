"""What the latents carry, from per-example arrays."""

import numpy as np

from vae.metrics import Kind, Metric, by_name

ACTIVE_UNITS = Kind("active_units", "Active units", "none", shown="sweep")
CODES_USED = Kind("codes_used", "Codes used", "up", shown="sweep")
PERPLEXITY = Kind("codebook_perplexity", "Codebook perplexity", "up", shown="sweep")


def active_units(posterior_mean: np.ndarray, threshold: float) -> tuple[int, np.ndarray]:
    """Latents whose posterior mean varies over the data (Burda et al. 2015, section 5.2).

    Args:
      posterior_mean: E_q[z|x], [N, L].
      threshold: least variance over the N examples of an active latent.

    Returns:
      Number of active latents; the variances [L].
    """
    variance = np.asarray(posterior_mean, np.float64).var(0)
    return int((variance > threshold).sum()), variance


def codebook(
    indices: np.ndarray, codes: int
) -> tuple[dict[str, Metric], dict[str, np.ndarray]]:
    """How much of a codebook a data set uses: metrics by name, and arrays.

    Args:
      indices: codes of every example, [N, P].
      codes: there are, K.
    """
    counts = np.bincount(indices.ravel(), minlength=codes)
    share = counts[counts > 0] / counts.sum()
    arrays = {"code_share": counts / counts.sum()}
    over = f"of {codes}, over {len(indices):,} examples"
    perplexity = np.exp(-(share * np.log(share)).sum())
    return by_name(
        CODES_USED.of(int((counts > 0).sum()), unit=f"codes {over}"),
        PERPLEXITY.of(perplexity, unit=f"exp of the entropy of the codes' shares, {over}"),
    ), arrays

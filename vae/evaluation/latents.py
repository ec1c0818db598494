"""What the latents carry, from per-example arrays."""

from typing import Any

import numpy as np


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
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """How much of a codebook a data set uses: metrics and arrays as in `evaluation.json`.

    Args:
      indices: codes of every example, [N, P].
      codes: there are, K.
    """
    counts = np.bincount(indices.ravel(), minlength=codes)
    share = counts[counts > 0] / counts.sum()
    arrays = {"code_share": counts / counts.sum()}
    over = f"of {codes}, over {len(indices):,} examples"
    return {
        "codes_used": {"value": int((counts > 0).sum()), "stderr": None, "unit": f"codes {over}"},
        "codebook_perplexity": {
            "value": float(np.exp(-(share * np.log(share)).sum())),
            "stderr": None,
            "unit": f"exp of the entropy of the codes' shares, {over}",
        },
    }, arrays

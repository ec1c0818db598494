"""What the latents carry, from per-example arrays."""

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

"""Latents as whole numbers: bins of equal mass under p(z), and what q(z|x) puts into each.

A latent of N(0, 1) is given by the number of one of 2^precision bins that are as likely, so that
its code under the prior has `precision` bits exactly; the decoder sees the middle of the bin, by
mass (Townsend et al. 2019, section 2.5 and appendix B).
"""

import dataclasses
import functools

import numpy as np
from scipy import special


@dataclasses.dataclass(frozen=True)
class Bins:
    """2^precision bins of N(0, 1)."""

    precision: int  # bits

    @property
    def count(self) -> int:
        """How many bins there are."""
        return 2**self.precision

    @functools.cached_property
    def edges(self) -> np.ndarray:
        """Between the bins: [count - 1]."""
        return special.ndtri(np.arange(1, self.count) / self.count)

    @functools.cached_property
    def middles(self) -> np.ndarray:
        """What the decoder sees of a bin: [count] in float32."""
        return special.ndtri((np.arange(self.count) + 0.5) / self.count).astype(np.float32)

    def masses(self, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
        """Share of N(mean, std^2) in each bin, for mean and std [...]: [..., count]."""
        mean, std = (np.asarray(a, np.float64)[..., None] for a in (mean, std))
        below = special.ndtr((self.edges - mean) / std)
        ends = np.zeros((*below.shape[:-1], 1)), np.ones((*below.shape[:-1], 1))
        return np.diff(np.concatenate([ends[0], below, ends[1]], axis=-1), axis=-1)

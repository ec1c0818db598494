"""Latents as whole numbers: bins of equal mass under p(z), and what q(z|x) puts into each.

A latent of N(0, 1) is given by the number of one of 2^precision bins that are as likely, so that
its code under the prior has `precision` bits exactly; the decoder sees the middle of the bin, by
mass (Townsend et al. 2019, section 2.5 and appendix B). Under q(z|x) the number is coded digit by
digit, the highest first: a few tables of 2^DIGIT shares instead of one of 2^precision.
"""

import dataclasses
import functools

import numpy as np
from scipy import special

DIGIT = 3  # bits


@dataclasses.dataclass(frozen=True)
class Bins:
    """2^precision bins of N(0, 1)."""

    precision: int  # bits

    @property
    def count(self) -> int:
        """How many bins there are."""
        return 2**self.precision

    @property
    def digits(self) -> list[int]:
        """Bits of each digit of a bin's number, the highest first."""
        whole, rest = divmod(self.precision, DIGIT)
        return [DIGIT] * whole + [rest] * (rest > 0)

    @functools.cached_property
    def edges(self) -> np.ndarray:
        """Where bins begin and end: [count + 1], the ends infinite."""
        return special.ndtri(np.arange(self.count + 1) / self.count)

    @functools.cached_property
    def middles(self) -> np.ndarray:
        """What the decoder sees of a bin: [count] in float32."""
        return special.ndtri((np.arange(self.count) + 0.5) / self.count).astype(np.float32)

    def masses(
        self, mean: np.ndarray, std: np.ndarray, digit: int, before: np.ndarray,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Of N(mean, std^2), the share of each value of a digit, given those before it.

        Args:
          mean, std: [...]; of a mixture [..., C].
          weights: of a mixture, [..., C].
          digit: its number, 0 for the highest.
          before: the number that the digits before it make, [...].

        Returns:
          [..., 2^digits[digit]]; they sum to 1, or are all 0 where q has no mass in reach.
        """
        bits = self.digits[digit]
        width = 2 ** (self.precision - sum(self.digits[: digit + 1]))  # bins of a value
        at = self.edges[:: width][before[..., None] * 2**bits + np.arange(2**bits + 1)]
        if weights is not None:
            at = at[..., None, :]  # [..., C, values + 1]
        at = (at - np.asarray(mean, np.float64)[..., None]) / np.asarray(std, np.float64)[..., None]
        below = special.ndtr(at)
        if weights is not None:
            below = (weights[..., None] * below).sum(-2)
        total = below[..., -1:] - below[..., :1]
        return np.diff(below, axis=-1) / np.maximum(total, 1e-300)

    def digit(self, number: np.ndarray, digit: int) -> np.ndarray:
        """A digit of bins' numbers [...]."""
        below = sum(self.digits[digit + 1 :])
        return (number >> below) % 2 ** self.digits[digit]

    def before(self, number: np.ndarray, digit: int) -> np.ndarray:
        """The number that the digits before this one make, of bins' numbers [...]."""
        return number >> sum(self.digits[digit:])

"""Latents as whole numbers: bins of equal mass under p(z), and what q(z|x) puts into each.

A latent of N(0, 1) is given by the number of one of 2^precision bins that are as likely, so that
its code under the prior has `precision` bits exactly; the decoder sees the middle of the bin, by
mass (Townsend et al. 2019, section 2.5 and appendix B). Under q(z|x) the number is coded digit by
digit, the highest first: a few tables of 2^DIGIT shares instead of one of 2^precision.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
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
        first = before[..., None] * 2**bits + np.arange(2**bits + 1)
        at = self.edges[first * width]  # [..., values + 1]
        if weights is not None:
            at = at[..., None, :]  # [..., C, values + 1]
        at = (at - np.asarray(mean, np.float64)[..., None]) / np.asarray(std, np.float64)[..., None]
        masses = _between(at)
        if weights is not None:
            masses = (weights[..., None] * masses).sum(-2)
        return masses / np.maximum(masses.sum(-1, keepdims=True), 1e-300)

    def digit(self, number: np.ndarray, digit: int) -> np.ndarray:
        """A digit of bins' numbers [...]."""
        below = sum(self.digits[digit + 1 :])
        return (number >> below) % 2 ** self.digits[digit]

    def before(self, number: np.ndarray, digit: int) -> np.ndarray:
        """The number that the digits before this one make, of bins' numbers [...]."""
        return number >> sum(self.digits[digit:])


def _between(at: np.ndarray) -> np.ndarray:
    """Of N(0, 1), the mass between neighbours along the last axis [..., n]: [..., n - 1]."""
    # XLA's erfc takes a third of SciPy's time; on the host, in double precision.
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        beyond = np.asarray(_tail(at))
    low, high = beyond[..., :-1], beyond[..., 1:]
    found = np.abs(high - low)  # small numbers on either side of 0
    return np.where((at[..., :-1] <= 0) & (at[..., 1:] > 0), 1.0 - low - high, found)


@jax.jit
def _tail(at: jax.Array) -> jax.Array:
    """Mass of N(0, 1) further from 0 than `at`, on its side."""
    return 0.5 * jax.lax.erfc(jnp.abs(at) * np.sqrt(0.5))

"""Likelihoods of whole numbers from 0 on, [B, D]: words, purchases, transcripts of genes.

All are probabilities, with every factor that depends on x alone, so that they sum to 1. Bits per
dimension are not given for them: with no bound on a value there is no code length to compare with.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from vae.errors import UserError
from vae.probability.elementwise import (
    BOUND,
    HALF_LOG_2PI,
    bounded,
    flat,
    log_ratio,
    softplus,
    stirling_error,
    unbounded,
)
from vae.protocols import Likelihood

LEAST = -18.420681  # log of 1e-8, which scVI adds to a mean: no count is impossible
MOST = 20.0  # of a log library: 5e8 transcripts


def _log_shares(mean: np.ndarray) -> np.ndarray:
    """Logs of the data's shares, but a hundredth of an equal share at least."""
    shares = mean / max(mean.sum(), 1e-12)
    return np.log(np.maximum(shares, 0.01 / mean.size))


@dataclasses.dataclass(frozen=True)
class multinomial(Likelihood):  # noqa: N801  (the name is the config value)
    """x [B, D] as n = sum(x) draws from softmax(theta): Liang et al. 2018, section 2.1.

    n is taken as given: log p(x | n, z) has the coefficient n! / prod(x!), which they leave out, so
    it sums to 1 over the x of one n. Nothing models n, so `mean` and `sample` are those of a single
    draw: shares that sum to 1, and a one among zeros. The encoder sees x / |x|_2, as theirs does.
    """

    kinds = ("counts", "binary")
    vectors = True  # the softmax is over the values of a vector
    shares = True

    def encoder_input(self, x: jax.Array) -> jax.Array:
        """x [B, D], each row scaled to length 1; rows of zeros stay zeros."""
        length = jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
        return x / jnp.where(length > 0, length, 1.0)

    def channels(self, data_channels: int) -> int:
        """One logit for each item."""
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Logs of the data's shares."""
        return _log_shares(mean)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """By Stirling's formula and what it leaves: exact, and precise for millions of draws."""
        x, log_share = flat(x, x), jax.nn.log_softmax(flat(theta, x))
        n = x.sum(-1)
        there = jnp.where(x > 0, x, 1.0)
        found = jnp.log(there / jnp.maximum(n, 1.0)[..., None])
        half_log = 0.5 * jnp.log(there) + HALF_LOG_2PI
        terms = x * (log_share - found) - jnp.where(x > 0, stirling_error(there) + half_log, 0.0)
        drawn = jnp.maximum(n, 1.0)
        total = stirling_error(drawn) + 0.5 * jnp.log(drawn) + HALF_LOG_2PI
        return terms.sum(-1) + jnp.where(n > 0, total, 0.0)

    def mean(self, theta: jax.Array) -> jax.Array:
        """Each item's share, [..., D, 1]: they sum to 1."""
        return jax.nn.softmax(theta, axis=-2)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """One item, one-hot: [..., D, 1]."""
        chosen = jax.random.categorical(key, theta[..., 0])
        return jax.nn.one_hot(chosen, theta.shape[-2], dtype=jnp.float32)[..., None]


def log_negative_binomial(x: jax.Array, log_mean: jax.Array, log_r: jax.Array) -> jax.Array:
    """log NB(x; mean m, inverse dispersion r), variance m + m^2 / r, of each value, in nats.

    Gamma(x + r) / (Gamma(r) x!) (r / (r + m))^r (m / (r + m))^x, as Loader (2000) writes such
    probabilities: their deviance, and what Stirling's formula leaves. Differences of log Gamma
    would lose all digits near the Poisson (r large) and at large counts.
    """
    m, r = jnp.exp(log_mean), jnp.exp(log_r)
    none = -r * jnp.log1p(m / r)  # x = 0
    some = jnp.where(x > 0, x, 1.0)
    n = some + r
    deviance = some * log_ratio(some * (r + m), n * m, r * (some - m))
    deviance = deviance + r * log_ratio(r + m, n, m - some)
    rest = stirling_error(n) - stirling_error(r) - stirling_error(some) - HALF_LOG_2PI
    # log(r / n) + log(n / (r x)) / 2
    return jnp.where(x > 0, rest - deviance + 0.5 * (log_r - jnp.log(n * some)), none)


def log_counts(
    x: jax.Array, log_mean: jax.Array, log_r: jax.Array, gate: jax.Array | None
) -> jax.Array:
    """log p of each value, with the zeros of a gate where there is one."""
    counted = log_negative_binomial(x, log_mean, log_r)
    if gate is None:
        return counted
    return jnp.where(x > 0, counted, jnp.logaddexp(gate, counted)) - softplus(gate)


def log_gated(x: jax.Array, log_mean: jax.Array, log_r: jax.Array, gate: jax.Array) -> jax.Array:
    """log p of each value with the gate's zeros, of raw outputs."""
    return log_counts(x, bounded(log_mean), bounded(log_r), gate)


def draw_negative_binomial(key: jax.Array, log_mean: jax.Array, log_r: jax.Array) -> jax.Array:
    """A Poisson draw at a rate that is a Gamma draw of mean m and shape r."""
    rate_key, count_key = jax.random.split(key)
    log_rate = jax.random.loggamma(rate_key, jnp.exp(log_r)) + log_mean - log_r
    rate = jnp.exp(jnp.minimum(log_rate, 20.0))  # 5e8: an int32 holds the draw
    return jax.random.poisson(count_key, rate).astype(jnp.float32)


def _start(mean: np.ndarray) -> list[np.ndarray]:
    """Raw log means, of the data but 0.001 at least, and raw log inverse dispersions of 1."""
    log_mean = np.log(np.clip(np.asarray(mean, np.float64), 1e-3, 1e6))
    return [unbounded(log_mean), np.zeros_like(log_mean)]


def _log1p(x: jax.Array) -> jax.Array:
    """log(1 + x): counts range over orders of magnitude (Lopez et al. 2018)."""
    return jnp.log1p(x)


@dataclasses.dataclass(frozen=True)
class negative_binomial(Likelihood):  # noqa: N801
    """Independent counts, each Poisson with a Gamma-distributed rate.

    theta [..., D, channels], block after block: log mean, log inverse dispersion, both `bounded`.
    Or by the conventions of scVI (Lopez et al. 2018, online methods):

    - `library`: the first block are logits, and the mean is the library l times their softmax.
      "observed": l is the sum of x, and the density is p(x | l, z); `mean` and `sample`, which see
      no x, are of the training set's typical l, the geometric mean. "latent": log l is m + s times
      the first latent, which the decoder does not see, where m and s are the mean and deviation of
      the training set's log libraries; so l has their log-normal prior where latents have N(0, 1).
      scVI has a further encoder for l; here the one encoder gives all latents.
    - `dispersion`: "gene": the log inverse dispersion is no output but a learned number a gene, the
      block after the outputs; "gene_batch": one a gene and class of the context. A context of
      several columns contributes the sum over them.
    """

    levels: int = 0  # that `log_table` is of, though counts have no highest
    library: str = ""
    dispersion: str = "cell"
    genes: int = 1  # D, for learned numbers
    classes: int = 0  # C, numbers of the context
    libraries: tuple[float, float] = (0.0, 1.0)  # m and s

    kinds = ("counts",)
    encoder_input = staticmethod(_log1p)
    gates: ClassVar[int] = 0  # blocks of a gate's logits

    @property
    def own_latents(self) -> int:
        """One, where the library is one."""
        return int(self.library == "latent")

    @property
    def scalars_by_context(self) -> bool:
        """Whether there are learned numbers of each class."""
        return self.dispersion == "gene_batch"

    def channels(self, data_channels: int) -> int:
        """A log mean or a logit for each count, its log inverse dispersion unless that is shared,
        and a gate where there are gates."""
        return (1 + (self.dispersion == "cell") + self.gates) * data_channels

    def initial_scalars(self) -> np.ndarray:
        """Log inverse dispersions of 1: none, [D] or [C D]."""
        sets = {"cell": 0, "gene": 1, "gene_batch": self.classes}[self.dispersion]
        return np.zeros(sets * self.genes, np.float32)

    def joined(self, theta: jax.Array, scalars: jax.Array) -> jax.Array:
        """theta [..., D, channels] and the log inverse dispersions [D] or [B, D], a block more."""
        if self.dispersion == "cell":
            return theta
        shared = jnp.broadcast_to(scalars[..., None], theta[..., :1].shape)
        return jnp.concatenate([theta, shared], axis=-1)

    def with_latents(self, theta: jax.Array, z: jax.Array) -> jax.Array:
        """theta and the log library of the first latent [..., 1], a block more."""
        mean, deviation = self.libraries
        log_library = jnp.clip(mean + deviation * z, -BOUND, MOST)
        block = jnp.broadcast_to(log_library[..., None], theta[..., :1].shape)
        return jnp.concatenate([theta, block], axis=-1)

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Raw outputs [D, channels] that give the data's mean [D, 1], or its shares, and inverse
        dispersion 1, beside gates of one tenth."""
        log_mean, log_r = _start(np.asarray(mean) / 0.9**self.gates)
        first = _log_shares(np.asarray(mean)) if self.library else log_mean
        own = [log_r] if self.dispersion == "cell" else []
        return np.concatenate(
            [first, *own, *[np.full_like(log_r, -np.log(9.0))] * self.gates], axis=-1
        )

    def _read(
        self, blocks: list[jax.Array], log_library: Any, axis: int
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """Log mean, log inverse dispersion and, where there are gates, the gate's logit.

        Args:
          blocks: of theta.
          log_library: of each example, or of all; a latent one is a block.
          axis: of the genes.
        """
        own = self.dispersion == "cell"
        gate = blocks[1 + own] if self.gates else None
        # A learned number is its log inverse dispersion itself, up to where `bounded` ends.
        log_r = bounded(blocks[1]) if own else jnp.clip(blocks[1 + self.gates], -BOUND, BOUND)
        if not self.library:
            return bounded(blocks[0]), log_r, gate
        log_library = blocks[-1] if self.library == "latent" else log_library
        log_mean = log_library + jax.nn.log_softmax(blocks[0], axis)
        return jnp.logaddexp(log_mean, LEAST), log_r, gate

    def _typical(self, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """The same without x, [..., D, 1] each: an observed library is the training set's."""
        return self._read(jnp.split(theta, theta.shape[-1], -1), self.libraries[0], -2)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z), given the sum of x where that is the library: [..., B] nats. Then an example
        without any count has probability 1."""
        blocks = [flat(block, x) for block in jnp.split(theta, theta.shape[-1], -1)]
        x = flat(x, x)
        n = x.sum(-1)
        log_library = jnp.log(jnp.maximum(n, 1.0))[..., None]
        log_p = log_counts(x, *self._read(blocks, log_library, -1)).sum(-1)
        return jnp.where(n > 0, log_p, 0.0) if self.library == "observed" else log_p

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of the counts 0..levels-1: [..., D, levels].

        Raises:
          UserError: counts have no probability before their sum is known.
        """
        if self.library == "observed":
            raise UserError(
                "a library that is the sum of x is not known before x: train with "
                "model.library=latent, or ''"
            )
        counts = jnp.arange(self.levels, dtype=jnp.float32)
        return log_counts(counts, *self._typical(theta))

    def mean(self, theta: jax.Array) -> jax.Array:
        """The expected count: [..., D, 1]."""
        log_mean, _, gate = self._typical(theta)
        there = 1.0 if gate is None else jax.nn.sigmoid(-gate)
        return there * jnp.exp(log_mean)

    def shares_of(self, theta: jax.Array) -> jax.Array:
        """Each gene's share of the counts before any gate: [..., D, 1]; they sum to 1. What scVI
        calls normalised expression."""
        return jax.nn.softmax(self._typical(theta)[0], axis=-2)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """Counts [..., D, 1]."""
        log_mean, log_r, gate = self._typical(theta)
        if gate is None:
            return draw_negative_binomial(key, log_mean, log_r)
        gate_key, count_key = jax.random.split(key)
        counted = draw_negative_binomial(count_key, log_mean, log_r)
        return jnp.where(jax.random.bernoulli(gate_key, jax.nn.sigmoid(gate)), 0.0, counted)


@dataclasses.dataclass(frozen=True)
class zero_inflated_negative_binomial(negative_binomial):  # noqa: N801
    """Counts that are 0 with a gate's probability, and otherwise negative binomial (scVI: Lopez et
    al. 2018, eq. 3).

    theta is as of `negative_binomial`, with the gate's logit as the last of the outputs.
    """

    gates = 1

"""Likelihoods of whole numbers from 0 on, [B, D]: words, purchases, transcripts of genes.

All are probabilities, with every factor that depends on x alone, so that they sum to 1. Bits per
dimension are not given for them: with no bound on a value there is no code length to compare with.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from vae.probability.elementwise import (
    HALF_LOG_2PI,
    bounded,
    flat,
    log_ratio,
    softplus,
    stirling_error,
    unbounded,
)
from vae.protocols import Likelihood


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
        """Logs of the data's shares, but a hundredth of an equal share at least."""
        shares = mean / max(mean.sum(), 1e-12)
        return np.log(np.maximum(shares, 0.01 / mean.size))

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


def log_gated(x: jax.Array, log_mean: jax.Array, log_r: jax.Array, gate: jax.Array) -> jax.Array:
    """log p of each value with the gate's zeros, of raw outputs."""
    counted = log_negative_binomial(x, bounded(log_mean), bounded(log_r))
    return jnp.where(x > 0, counted, jnp.logaddexp(gate, counted)) - softplus(gate)


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

    theta [..., D, 2]: log mean and log inverse dispersion, both `bounded`.
    """

    levels: int = 0  # that `log_table` is of, though counts have no highest

    kinds = ("counts",)
    encoder_input = staticmethod(_log1p)

    def channels(self, data_channels: int) -> int:
        """A log mean and a log inverse dispersion for each count."""
        return 2 * data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Raw outputs [D, 2] that give the data's mean [D, 1] and inverse dispersion 1."""
        return np.concatenate(_start(mean), axis=-1)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z): [..., B] nats."""
        log_mean, log_r = (bounded(flat(part, x)) for part in jnp.split(theta, 2, axis=-1))
        return log_negative_binomial(flat(x, x), log_mean, log_r).sum(-1)

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of the counts 0..levels-1: [..., D, levels]."""
        counts = jnp.arange(self.levels, dtype=jnp.float32)
        return log_negative_binomial(counts, *map(bounded, jnp.split(theta, 2, axis=-1)))

    def mean(self, theta: jax.Array) -> jax.Array:
        """The expected count: [..., D, 1]."""
        return jnp.exp(bounded(jnp.split(theta, 2, axis=-1)[0]))

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """Counts [..., D, 1]."""
        return draw_negative_binomial(key, *map(bounded, jnp.split(theta, 2, axis=-1)))


@dataclasses.dataclass(frozen=True)
class zero_inflated_negative_binomial(Likelihood):  # noqa: N801
    """Counts that are 0 with a gate's probability, and otherwise negative binomial (scVI: Lopez et
    al. 2018, eq. 3).

    theta [..., D, 3]: log mean and log inverse dispersion, both `bounded`, and the gate's logit.
    """

    levels: int = 0  # that `log_table` is of, though counts have no highest

    kinds = ("counts",)
    encoder_input = staticmethod(_log1p)

    def channels(self, data_channels: int) -> int:
        """A log mean, a log inverse dispersion and a gate for each count."""
        return 3 * data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """A gate of one tenth."""
        log_mean, log_r = _start(np.asarray(mean) / 0.9)
        return np.concatenate([log_mean, log_r, np.full_like(log_r, -np.log(9.0))], axis=-1)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z): [..., B] nats."""
        log_mean, log_r, gate = (flat(part, x) for part in jnp.split(theta, 3, axis=-1))
        return log_gated(flat(x, x), log_mean, log_r, gate).sum(-1)

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of the counts 0..levels-1: [..., D, levels]."""
        counts = jnp.arange(self.levels, dtype=jnp.float32)
        return log_gated(counts, *jnp.split(theta, 3, axis=-1))

    def mean(self, theta: jax.Array) -> jax.Array:
        """The expected count, with the gate's zeros: [..., D, 1]."""
        log_mean, _, gate = jnp.split(theta, 3, axis=-1)
        return jax.nn.sigmoid(-gate) * jnp.exp(bounded(log_mean))

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """Counts [..., D, 1]."""
        log_mean, log_r, gate = jnp.split(theta, 3, axis=-1)
        gate_key, count_key = jax.random.split(key)
        counted = draw_negative_binomial(count_key, bounded(log_mean), bounded(log_r))
        return jnp.where(jax.random.bernoulli(gate_key, jax.nn.sigmoid(gate)), 0.0, counted)

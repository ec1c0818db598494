"""The kinds of columns that a table has (`vae.columns`): for each what p(x|z) of its cells is.

Columns of one kind, and of one number of levels, are computed together: a `Kind` is of n of them.
`outputs` [..., n, k] are the decoder's, `scalars` [..., n, s] are learned, one set a column. Their
numbers k and s follow from where they start, `initial`. Log scales, log means and log odds go
through `elementwise.bounded`.
"""

import abc
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vae.columns import Column
from vae.probability import gaussian
from vae.probability.counts import draw_negative_binomial, log_gated, log_negative_binomial
from vae.probability.elementwise import (
    HALF_LOG_2PI,
    bounded,
    log_ratio,
    softplus,
    stirling_error,
    unbounded,
)

LEAST = 1e-3  # share of a level, and mean of a count, that training starts with
FARTHEST = 60.0  # log of a log-normal's mean, in its column's geometric mean


class Kind(abc.ABC):
    """n columns of one kind. x is as the model sees it [..., n]."""

    def __init__(self, columns: Sequence[Column]):
        self.columns = columns
        self.levels = len(columns[0].levels)
        self.centre = np.array([column.centre for column in columns], np.float32)
        self.scale = np.array([column.scale for column in columns], np.float32)

    @property
    def width(self) -> int:
        """m of `expected`."""
        return 1

    def start(self, size: int = 1, otherwise: float = 0.0) -> np.ndarray:
        """Where training starts, by column: float64 [n, size]."""
        return np.array([c.start or (otherwise,) * size for c in self.columns], np.float64)

    @abc.abstractmethod
    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        """Outputs [n, k] and scalars [n, s] to start at."""

    def encode(self, x: jax.Array) -> jax.Array:
        """What an encoder sees of cells, [..., n] or [..., n, levels]; NaN stays NaN."""
        return x

    @abc.abstractmethod
    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """log p of each cell in its own unit: [..., n] nats."""

    @abc.abstractmethod
    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """What an average over z is taken of: means, or probabilities of levels, [..., n, m]."""

    def mean(self, expected: jax.Array) -> jax.Array:
        """The cells of such an average [..., n, m]: means, or the most probable codes."""
        return expected[..., 0]

    @abc.abstractmethod
    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """A draw of each cell: [..., n]."""


class gaussian_(Kind):  # noqa: N801  (names are those of the config, here and below)
    """A mean, and a learned log variance."""

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        return self.start(), np.zeros((len(self.columns), 1))

    def _parts(self, outputs: jax.Array, scalars: jax.Array) -> tuple[jax.Array, jax.Array]:
        return outputs[..., 0], bounded(scalars[..., 0])

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        mu, logvar = self._parts(outputs, scalars)
        return gaussian.log_prob(x, mu, logvar) - np.log(self.scale)

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return outputs

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        mu, logvar = self._parts(outputs, scalars)
        return gaussian.sample(jax.random.normal(key, mu.shape), mu, logvar)


class log_normal(gaussian_):  # noqa: N801
    """A Gaussian of the logarithm, with its Jacobian; the mean is bounded as log means are."""

    def _parts(self, outputs: jax.Array, scalars: jax.Array) -> tuple[jax.Array, jax.Array]:
        return bounded(outputs[..., 0]), bounded(scalars[..., 0])

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return super().log_prob(x, outputs, scalars) - (self.centre + self.scale * x)

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        mu, logvar = self._parts(outputs, scalars)
        log_mean = self.scale * (mu + 0.5 * self.scale * jnp.exp(logvar))
        return jnp.exp(jnp.minimum(log_mean, FARTHEST))[..., None]

    def mean(self, expected: jax.Array) -> jax.Array:
        return jnp.log(jnp.maximum(expected[..., 0], 1e-37)) / self.scale


class student_t(Kind):  # noqa: N801
    """A centre, a learned log of the squared scale, and learned degrees of freedom nu > 1, so that
    the centre is the mean."""

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        return self.start(), np.tile([0.0, np.log(4.0)], (len(self.columns), 1))

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """By `stirling_error`, as log Gamma would lose all digits at large nu."""
        log_scale, log_more = 0.5 * bounded(scalars[..., 0]), bounded(scalars[..., 1])
        more = jnp.exp(log_more)  # nu - 1
        nu = 1.0 + more
        constant = stirling_error(0.5 * more) - stirling_error(0.5 * nu) + 0.5 - HALF_LOG_2PI
        constant = constant - 0.5 * nu * jnp.log1p(jnp.exp(-log_more))
        far = jnp.abs(x - outputs[..., 0]) * jnp.exp(-log_scale) / jnp.sqrt(nu)
        low, high = jnp.minimum(far, 1.0), jnp.maximum(far, 1.0)
        spread = jnp.where(
            far < 1.0, jnp.log1p(low * low), 2.0 * jnp.log(high) + jnp.log1p(1.0 / (high * high))
        )
        return constant - log_scale - 0.5 * (nu + 1.0) * spread - np.log(self.scale)

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return outputs

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        scale = jnp.exp(0.5 * bounded(scalars[..., 0]))
        nu = 1.0 + jnp.exp(bounded(scalars[..., 1]))
        return outputs[..., 0] + scale * jax.random.t(key, nu, outputs.shape[:-1])


class beta(Kind):  # noqa: N801
    """Shares in (0, 1): the mean's log odds, and a learned log of the concentration a + b.

    x is the standardised logit, so shares next to 0 and 1 lose nothing; the density is the share's.
    """

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        return self.start(), np.full((len(self.columns), 1), np.log(4.0))

    def _parts(self, outputs: jax.Array, scalars: jax.Array) -> tuple[jax.Array, jax.Array]:
        odds = bounded(outputs[..., 0] * self.scale + self.centre)
        return odds, bounded(scalars[..., 0])

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """log Gamma by `stirling_error`, for the sake of large concentrations."""
        odds, log_sum = self._parts(outputs, scalars)
        y, total = self.centre + self.scale * x, jnp.exp(log_sum)
        log_m, log_n = -softplus(-odds), -softplus(odds)  # of the mean, and of 1 less it
        log_x, log_y = -softplus(-y), -softplus(y)
        a, b = total * jnp.exp(log_m), total * jnp.exp(log_n)
        rest = stirling_error(total) - stirling_error(a) - stirling_error(b) - HALF_LOG_2PI
        rest = rest + 0.5 * (log_sum + log_m + log_n)
        return rest + a * (log_x - log_m) + b * (log_y - log_n) - log_x - log_y

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(self._parts(outputs, scalars)[0])[..., None]

    def mean(self, expected: jax.Array) -> jax.Array:
        share = jnp.clip(expected[..., 0], 1e-7, 1.0 - 1e-7)
        return (jnp.log(share) - jnp.log1p(-share) - self.centre) / self.scale

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """Its logit: the difference of the logarithms of two Gamma draws."""
        odds, log_sum = self._parts(outputs, scalars)
        one, other = jax.random.split(key)
        a, b = jnp.exp(log_sum - softplus(-odds)), jnp.exp(log_sum - softplus(odds))
        y = jax.random.loggamma(one, a) - jax.random.loggamma(other, b)
        return (y - self.centre) / self.scale


class poisson(Kind):  # noqa: N801
    """Counts, by their log mean."""

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        return self._log_mean(1.0), np.zeros((len(self.columns), 0))

    def _log_mean(self, share: float) -> np.ndarray:
        mean = self.start(2, 1.0)[:, :1]
        return unbounded(np.log(np.clip(mean / share, LEAST, 1e6)))

    def encode(self, x: jax.Array) -> jax.Array:
        return (jnp.log1p(x) - self.centre) / self.scale

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """By the deviance, as Loader (2000) does (see `counts.log_negative_binomial`)."""
        m, some = jnp.exp(bounded(outputs[..., 0])), jnp.where(x > 0, x, 1.0)
        deviance = some * log_ratio(some, m, some - m) - (some - m)
        counted = -deviance - stirling_error(some) - 0.5 * jnp.log(some) - HALF_LOG_2PI
        return jnp.where(x > 0, counted, -m)

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jnp.exp(bounded(outputs[..., :1]))

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jax.random.poisson(key, jnp.exp(bounded(outputs[..., 0]))).astype(jnp.float32)


class negative_binomial(poisson):  # noqa: N801
    """Counts, by their log mean and a learned log inverse dispersion."""

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        return self._log_mean(1.0), self._log_r()

    def _log_r(self) -> np.ndarray:
        return unbounded(np.log(np.clip(self.start(2, 1.0)[:, 1:], 1e-2, 1e3)))

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return log_negative_binomial(x, bounded(outputs[..., 0]), bounded(scalars[..., 0]))

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return draw_negative_binomial(key, bounded(outputs[..., 0]), bounded(scalars[..., 0]))


class zero_inflated_negative_binomial(negative_binomial):  # noqa: N801
    """As `negative_binomial`, or 0 with a probability whose logit is an output too."""

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        log_mean = self._log_mean(0.9)  # a gate of one tenth
        gate = np.full_like(log_mean, -np.log(9.0))
        return np.concatenate([log_mean, gate], axis=1), self._log_r()

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return log_gated(x, outputs[..., 0], scalars[..., 0], outputs[..., 1])

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(-outputs[..., 1:]) * super().expected(outputs, scalars)

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        gate_key, count_key = jax.random.split(key)
        gated = jax.random.bernoulli(gate_key, jax.nn.sigmoid(outputs[..., 1]))
        return jnp.where(gated, 0.0, super().sample(count_key, outputs, scalars))


class _Coded(Kind):
    """Codes 0, 1, ... of levels."""

    @property
    def width(self) -> int:
        return self.levels

    def shares(self) -> np.ndarray:
        """Of the levels, to start at, none almost impossible: [n, levels]."""
        found = np.maximum(self.start(self.levels, 1.0 / self.levels), LEAST)
        return found / found.sum(1, keepdims=True)

    def encode(self, x: jax.Array) -> jax.Array:
        code = jnp.where(jnp.isnan(x), 0.0, x).astype(jnp.int32)
        hot = jax.nn.one_hot(code, self.levels, dtype=jnp.float32)
        return jnp.where(jnp.isnan(x)[..., None], jnp.nan, hot)

    def mean(self, expected: jax.Array) -> jax.Array:
        return jnp.argmax(expected, axis=-1).astype(jnp.float32)


class bernoulli(_Coded):  # noqa: N801
    """Two levels, by the logit of the second."""

    def __init__(self, columns: Sequence[Column]):
        super().__init__(columns)
        self.levels = 2  # also of zeros and ones without names

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        shares = self.shares()
        return np.log(shares[:, 1:] / shares[:, :1]), np.zeros((len(shares), 0))

    def encode(self, x: jax.Array) -> jax.Array:
        return 2.0 * x - 1.0

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return x * outputs[..., 0] - softplus(outputs[..., 0])

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(jnp.concatenate([-outputs, outputs], axis=-1))

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        drawn = jax.random.bernoulli(key, jax.nn.sigmoid(outputs[..., 0]))
        return drawn.astype(jnp.float32)


class categorical(_Coded):  # noqa: N801
    """Levels without an order, each with a logit."""

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        shares = self.shares()
        return np.log(shares), np.zeros((len(shares), 0))

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """A sum over a mask, as in `categories.categorical`."""
        chosen = x[..., None] == jnp.arange(self.levels)
        return jnp.where(chosen, outputs, 0.0).sum(-1) - jax.nn.logsumexp(outputs, axis=-1)

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jax.nn.softmax(outputs, axis=-1)

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jax.random.categorical(key, outputs).astype(jnp.float32)


class ordinal(_Coded):  # noqa: N801
    """Ordered levels by cumulative logits (McCullagh 1980): p(x <= k) = sigmoid(c_k - output), with
    learned cut points, c_0 and then c_k = c_{k-1} + exp(log gap)."""

    def initial(self) -> tuple[np.ndarray, np.ndarray]:
        below = np.cumsum(self.shares(), axis=1)[:, :-1]
        cuts = np.log(below) - np.log1p(-below)
        gaps = np.log(np.maximum(np.diff(cuts, axis=1), LEAST))
        return np.zeros((len(cuts), 1)), np.concatenate([cuts[:, :1], unbounded(gaps)], axis=1)

    def _distances(self, outputs: jax.Array, scalars: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Of the cut points from the output [..., n, K - 1], and the gaps [..., n, K - 2]."""
        gaps = jnp.exp(bounded(scalars[..., 1:]))
        steps = jnp.concatenate([scalars[..., :1], gaps], axis=-1)
        return jnp.cumsum(steps, axis=-1) - outputs, gaps

    def _log_each(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        """log p of each level [..., n, K]: sigmoid(a) - sigmoid(b) is sigmoid(a) sigmoid(-b)
        (1 - exp(b - a)), which loses no digits."""
        cuts, gaps = self._distances(outputs, scalars)
        gaps = jnp.broadcast_to(gaps, (*cuts.shape[:-1], gaps.shape[-1]))
        ends = ((0, 0),) * (cuts.ndim - 1)
        under = jnp.pad(-softplus(-cuts), (*ends, (0, 1)))
        over = jnp.pad(-softplus(cuts), (*ends, (1, 0)))
        return under + over + jnp.pad(jnp.log(-jnp.expm1(-gaps)), (*ends, (1, 1)))

    def log_prob(self, x: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        chosen = x[..., None] == jnp.arange(self.levels)
        return jnp.where(chosen, self._log_each(outputs, scalars), 0.0).sum(-1)

    def expected(self, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        return jnp.exp(self._log_each(outputs, scalars))

    def sample(self, key: jax.Array, outputs: jax.Array, scalars: jax.Array) -> jax.Array:
        cuts, _ = self._distances(outputs, scalars)
        noise = jax.random.logistic(key, outputs.shape[:-1])[..., None]
        return (noise > cuts).sum(-1).astype(jnp.float32)


KINDS: dict[str, type[Kind]] = {
    kind.__name__.rstrip("_"): kind
    for kind in (gaussian_, log_normal, student_t, beta, poisson, negative_binomial,
                 zero_inflated_negative_binomial, bernoulli, categorical, ordinal)
}  # fmt: skip

"""The von Mises-Fisher distribution and the uniform one, on the unit sphere of R^L.

Densities are by area on the sphere (Davidson et al. 2018, section 2).
"""

import math

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from vae.probability import noise
from vae.probability.gaussian_posteriors import Posterior
from vae.probability.gaussian_priors import Prior
from vae.protocols import Distribution

CLIMB = 16  # orders above that asked for, at which the expansion for large orders is good
POINTS = 256  # of the table of an angle's distribution
REACH = 9.0  # of the table, in standard deviations about the mode


def log_area(size: int) -> float:
    """log of the area of the unit sphere of R^size."""
    return math.log(2.0) + 0.5 * size * math.log(math.pi) - math.lgamma(0.5 * size)


def log_bessel(order: float, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """log I_v(x) and I_v+1(x) / I_v(x) of the modified Bessel function, for v = `order`, x > 0.

    Debye's expansion at the order v + CLIMB (DLMF 10.41.3), then down by the recurrence of ratios
    (DLMF 10.29.1), in which an error shrinks.
    """
    top = order + CLIMB
    s = jnp.sqrt(1.0 + jnp.square(x / top))
    p = 1.0 / s
    series = (
        1.0
        + (3.0 * p - 5.0 * p**3) / (24.0 * top)
        + (81.0 * p**2 - 462.0 * p**4 + 385.0 * p**6) / (1152.0 * top**2)
    )
    value = top * (s + jnp.log(x / top / (1.0 + s))) - 0.5 * jnp.log(2.0 * jnp.pi * top * s)
    value = value + jnp.log(series)
    # The ratio solves R' = 1 - R^2 - 2 a R with a = (top + 1/2) / x: R and R' as if it stood still,
    # then R once more with that R'.
    a = (top + 0.5) / x
    root = jnp.sqrt(1.0 + jnp.square(a))
    rest = 1.0 - a / x * (1.0 - a / root)
    ratio = rest / (a + jnp.sqrt(jnp.square(a) + rest))
    for step in range(CLIMB):
        ratio = 1.0 / (2.0 * (top - step) / x + ratio)  # of the order top - step - 1
        value = value - jnp.log(ratio)
    return value, ratio


def log_density(angle: jax.Array, kappa: jax.Array, size: int) -> jax.Array:
    """log of the density of the angle to the mean direction, up to a constant."""
    sine = jnp.maximum(jnp.sin(angle), 1e-12)
    return kappa * jnp.cos(angle) + (size - 2) * jnp.log(sine)


def table(kappa: jax.Array, size: int) -> tuple[jax.Array, ...]:
    """Angles [B, POINTS] about the mode, the distribution function there, its derivative by kappa,
    and log of the norm [B] of `log_density`."""
    m = size - 2.0
    # Where d/dangle log density = 0, and the spread by its second derivative there.
    cosine = 2.0 * kappa / (m + jnp.sqrt(m**2 + 4.0 * jnp.square(kappa)))
    mode = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    curvature = kappa * cosine + m / jnp.maximum(1.0 - jnp.square(cosine), 1e-6)
    spread = REACH / jnp.sqrt(jnp.maximum(curvature, 1e-6))
    low, high = jnp.maximum(mode - spread, 0.0), jnp.minimum(mode + spread, jnp.pi)
    angle = low[:, None] + (high - low)[:, None] * jnp.linspace(0.0, 1.0, POINTS)
    log_f = log_density(angle, kappa[:, None], size)
    most = log_f.max(-1, keepdims=True)
    f = jnp.exp(log_f - most)
    step = (high - low)[:, None] / (POINTS - 1)

    def cumulated(values: jax.Array) -> jax.Array:
        parts = 0.5 * step * (values[:, 1:] + values[:, :-1])
        return jnp.pad(jnp.cumsum(parts, axis=-1), ((0, 0), (1, 0)))

    total, moment = cumulated(f), cumulated(f * jnp.cos(angle))
    norm = total[:, -1:]
    average = moment[:, -1:] / norm
    slope = moment / norm - average * total / norm
    return angle, total / norm, slope, (most + jnp.log(norm))[:, 0]


@jax.custom_jvp
def quantile(u: jax.Array, kappa: jax.Array, size: jax.Array) -> jax.Array:
    """The angle [K, B] below which a share u [K, B] lies, for kappa [B]."""
    angle, share, _, _ = table(kappa, int(size.shape[0]))
    return jax.vmap(jnp.interp, (1, 0, 0), 1)(u, share, angle)


@quantile.defjvp
def _quantile_jvp(primals, tangents):
    """The implicit derivative: along F(angle; kappa) = u (Figurnov et al. 2018, eq. 6)."""
    (u, kappa, size), (_, tangent, _) = primals, tangents
    found = quantile(u, kappa, size)
    angle, _, slope, log_norm = table(kappa, int(size.shape[0]))
    moved = jax.vmap(jnp.interp, (1, 0, 0), 1)(found, angle, slope)
    density = jnp.exp(log_density(found, kappa, int(size.shape[0])) - log_norm)
    return found, -moved / jnp.maximum(density, 1e-20) * tangent


@flax.struct.dataclass
class VonMisesFisher(Distribution):
    """Density proportional to exp(kappa mu . z) on the unit sphere of R^L, L of at least 2."""

    mu: jax.Array  # the mean direction [B, L], of norm 1
    kappa: jax.Array  # the concentration [B]

    has_density = True

    @property
    def _bessel(self) -> tuple[jax.Array, jax.Array]:
        return log_bessel(0.5 * self.mu.shape[-1] - 1.0, self.kappa)

    @property
    def _log_norm(self) -> jax.Array:
        half = 0.5 * self.mu.shape[-1]
        scale = (half - 1.0) * jnp.log(self.kappa) - half * math.log(2.0 * math.pi)
        return scale - self._bessel[0]

    @property
    def mean(self) -> jax.Array:
        """Of z, inside the sphere: [B, L]."""
        return self._bessel[1][:, None] * self.mu

    @property
    def std(self) -> jax.Array:
        """Of each latent by itself: [B, L]."""
        length, size = self._bessel[1], self.mu.shape[-1]
        across = length / self.kappa  # variance in every direction at right angles to mu
        along = 1.0 - jnp.square(length) - (size - 1) * across
        squares = jnp.square(self.mu)
        return jnp.sqrt(along[:, None] * squares + across[:, None] * (1.0 - squares))

    def sample_and_log_prob(
        self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        """The angle to mu by its distribution function, then a direction at right angles to mu:
        differentiable in both parameters."""
        size = self.mu.shape[-1]
        eps = noise.normals(keys, first, count, size + 1)
        u = jax.scipy.stats.norm.cdf(eps[..., -1])
        angle = quantile(u, self.kappa, jnp.zeros(size))[..., None]
        across = eps[..., :-1]
        for _ in range(2):  # the second time for what rounding left of the first
            across = across - (across * self.mu).sum(-1, keepdims=True) * self.mu
            across = across / jnp.sqrt(jnp.square(across).sum(-1, keepdims=True) + 1e-20)
        z = jnp.cos(angle) * self.mu + jnp.sin(angle) * across
        return z, self.kappa * jnp.cos(angle[..., 0]) + self._log_norm

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log q(z|x) for z [..., B, L] on the sphere: [..., B] nats."""
        return self.kappa * (z * self.mu).sum(-1) + self._log_norm

    def kl_uniform(self) -> jax.Array:
        """KL(q || uniform), as one part: [B, 1] nats (Davidson et al. 2018, eq. 11)."""
        kl = self.kappa * self._bessel[1] + self._log_norm + log_area(self.mu.shape[-1])
        return kl[:, None]


class von_mises_fisher(Posterior):  # noqa: N801  (the name is the config value)
    """q(z|x) on the unit sphere (Davidson et al. 2018); kappa = 1 + softplus, as in their code."""

    distribution = VonMisesFisher
    euclidean = False

    @nn.compact
    def __call__(self, features: jax.Array) -> VonMisesFisher:
        """q(z|x) for features [B, F]."""
        outputs = self.head(features, self.latent_size + 1)
        raw = outputs[:, :-1]
        mu = raw / jnp.sqrt(jnp.square(raw).sum(-1, keepdims=True) + 1e-12)
        return VonMisesFisher(mu, 1.0 + jax.nn.softplus(outputs[:, -1]))


class sphere(Prior):  # noqa: N801
    """The uniform distribution on the unit sphere of R^L."""

    analytic = (VonMisesFisher,)
    euclidean = False

    def sample(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw a key: z [B, L]. There is no noise about a mean for a temperature to scale."""
        eps = noise.normal(keys, (self.latent_size,))
        return eps / jnp.linalg.norm(eps, axis=-1, keepdims=True)

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L] on the sphere: [...] nats."""
        return jnp.full(z.shape[:-1], -log_area(self.latent_size))

    def kl(self, q: VonMisesFisher) -> jax.Array:
        """Analytic KL(q(z|x) || p(z)), as one part: [B, 1] nats."""
        return q.kl_uniform()

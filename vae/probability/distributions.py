"""Gaussians over z, one for each of B examples: see `vae.protocols.Distribution`."""

import flax.struct
import jax
import jax.numpy as jnp

from vae.probability import gaussian, noise
from vae.protocols import Distribution


@flax.struct.dataclass
class Diagonal(Distribution):
    """Diagonal Gaussian N(mu, diag(exp(logvar)))."""

    mu: jax.Array  # [B, L]
    logvar: jax.Array  # [B, L]

    has_density = True

    @property
    def mean(self) -> jax.Array:
        """Of z: [B, L]."""
        return self.mu

    @property
    def std(self) -> jax.Array:
        """Of each latent: [B, L]."""
        return jnp.exp(0.5 * self.logvar)

    def masked(self, mask: jax.Array) -> "Diagonal":
        """N(0, 1) in the latents that `mask` [L] leaves out."""
        return Diagonal(self.mu * mask, self.logvar * mask)

    def sample(self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1) -> jax.Array:
        """Draws number first .. first + count - 1 for each of the B keys: z [count, B, L]."""
        eps = noise.normals(keys, first, count, self.mu.shape[-1])
        return gaussian.sample(eps, self.mu, self.logvar)

    def sample_and_log_prob(
        self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z [count, B, L] and their log density [count, B] in nats."""
        z = self.sample(keys, first, count)
        return z, self.log_prob(z)

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log q(z|x) for z [..., B, L]: [..., B] nats."""
        return gaussian.log_prob(z, self.mu, self.logvar).sum(-1)

    def log_prob_each(self, z: jax.Array) -> jax.Array:
        """log density of each of the B Gaussians at every z [..., L]: [..., B] nats."""
        return gaussian.log_prob_each(z, self.mu, self.logvar)

    def kl_standard_normal(self) -> jax.Array:
        """KL(q || N(0, I)) of each latent: [B, L] nats."""
        return gaussian.kl_standard_normal(self.mu, self.logvar)


@flax.struct.dataclass
class FullCovariance(Distribution):
    """N(mu, C C^T), C lower-triangular: z = mu + C eps (Kingma & Welling 2019, section 2.5.1)."""

    mu: jax.Array  # [B, L]
    log_diagonal: jax.Array  # [B, L], of C
    below: jax.Array  # [B, L, L]: C's entries below the diagonal, and zeros

    has_density = True

    @property
    def factor(self) -> jax.Array:
        """C [B, L, L]."""
        return self.below + jnp.exp(self.log_diagonal)[..., None] * jnp.eye(self.mu.shape[-1])

    @property
    def mean(self) -> jax.Array:
        """Of z: [B, L]."""
        return self.mu

    @property
    def std(self) -> jax.Array:
        """Of each latent by itself: [B, L]."""
        return jnp.sqrt(jnp.square(self.factor).sum(-1))

    def sample_and_log_prob(
        self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z [count, B, L] and their log density [count, B] in nats."""
        eps = noise.normals(keys, first, count, self.mu.shape[-1])
        z = self.mu + times(self.factor, eps)
        return z, gaussian.log_prob(eps, 0.0, jnp.zeros(())).sum(-1) - self.log_diagonal.sum(-1)

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log q(z|x) for z [..., B, L]: [..., B] nats."""
        eye = jnp.broadcast_to(jnp.eye(self.mu.shape[-1]), self.below.shape)
        inverse = jax.lax.linalg.triangular_solve(self.factor, eye, left_side=True, lower=True)
        eps = times(inverse, z - self.mu)
        return gaussian.log_prob(eps, 0.0, jnp.zeros(())).sum(-1) - self.log_diagonal.sum(-1)

    def kl_standard_normal(self) -> jax.Array:
        """KL(q || N(0, I)) as [B, L] nats: by the chain rule, latent l's given those before it.

        1/2 (mu_l^2 + sum_j C_lj^2 - 1 - log C_ll^2), none negative; their sum is the KL.
        """
        before = 0.5 * jnp.square(self.below).sum(-1)
        return gaussian.kl_standard_normal(self.mu, 2.0 * self.log_diagonal) + before


def times(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """matrix [B, M, L] times vector [..., B, L]: [..., B, M], in all bits that float32 has."""
    return jnp.einsum("bml,...bl->...bm", matrix, vector, precision=jax.lax.Precision.HIGHEST)

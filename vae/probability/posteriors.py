"""Approximate posteriors q(z|x): what the encoder's features become."""

import flax.struct
import jax

from vae.probability import gaussian, noise

__all__ = ["diagonal"]


@flax.struct.dataclass
class diagonal:  # noqa: N801  (the name is the config value)
    """Diagonal Gaussian q(z|x) = N(mu, diag(exp(logvar)))."""

    mu: jax.Array  # [B, L]
    logvar: jax.Array  # [B, L]

    features_per_latent = 2
    maskable = True  # each latent has its own features, so some can be left out (see VAE)

    @classmethod
    def from_features(cls, features: jax.Array) -> "diagonal":
        """Reads the head's output [B, L, 2]. Nothing is clamped: overflow shows as non-finite."""
        return cls(features[..., 0], features[..., 1])

    @property
    def mean(self) -> jax.Array:
        return self.mu

    @property
    def std(self) -> jax.Array:
        return jax.numpy.exp(0.5 * self.logvar)

    def sample(self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1) -> jax.Array:
        """Draws number first .. first + count - 1 for each of the B keys: z [count, B, L]."""
        eps = noise.normals(keys, first, count, self.mu.shape[-1])
        return gaussian.sample(eps, self.mu, self.logvar)

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log q(z|x) for z [..., B, L]: [..., B] nats."""
        return gaussian.log_prob(z, self.mu, self.logvar).sum(-1)

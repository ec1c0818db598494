"""Priors p(z), and the KL from a posterior to each."""

import dataclasses

import jax

from vae.probability import gaussian, noise, posteriors

__all__ = ["normal"]


@dataclasses.dataclass(frozen=True)
class normal:  # noqa: N801  (the name is the config value)
    """The standard normal N(0, I)."""

    maskable = True  # its latents are independent, so some can be left out (see VAE)
    latent_size: int

    def sample(self, keys: jax.Array) -> jax.Array:
        """One draw a key: z [B, L]."""
        return noise.normal(keys, (self.latent_size,))

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...] nats."""
        return gaussian.log_prob(z, 0.0, jax.numpy.zeros(())).sum(-1)

    def kl(self, q: posteriors.diagonal) -> jax.Array:
        """Analytic KL(q(z|x) || p(z)) of each latent: [B, L] nats."""
        return gaussian.kl_standard_normal(q.mu, q.logvar)

"""The autoencoder of images whose latents lie in space: a map of them, through any bottleneck."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vae.models.base import Model
from vae.models.bottlenecks.base import Bottleneck
from vae.models.codes import Codes
from vae.networks.layers import Network, widened
from vae.probability import gaussian, noise
from vae.probability.distributions import Diagonal
from vae.protocols import Distribution, Joint


class autoencoder_kl(Model, kw_only=True):  # noqa: N801  (the name is the config value)
    """z is a map [height, width, D], f = 2^len(filters) times smaller than x a side; what a
    position of it may be is the bottleneck's (Rombach et al. 2022; Esser et al. 2021).

    p(z) is N(0, I), or uniform over the codes of a discrete bottleneck: simple on purpose, since
    the density of z is learnt afterwards, by a sampler. -log p(z) of codes is their length, so with
    a discrete bottleneck -log p(z) - log p(x|z) is a bound on -log p(x).
    """

    encoder: nn.Module  # what the likelihood makes of x for it -> features [B, P F]
    decoder: Network  # a map of z [B, P D] -> theta [B, H, W, channels]
    bottleneck: Bottleneck
    grid: tuple[int, int]  # height and width of z's map

    def setup(self) -> None:
        """Declares the layer before the bottleneck."""
        super().setup()
        self.head = nn.Dense(self.bottleneck.width)

    @property
    def positions(self) -> int:
        """P, of the map."""
        return int(np.prod(self.grid))

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(height, width, D)."""
        return (*self.grid, self.latent_size // self.positions)

    @property
    def codes(self) -> int:  # type: ignore[override]  # a field of another model
        """K, of a discrete bottleneck; 0 of a Gaussian one."""
        return self.bottleneck.codes

    @property
    def streams(self) -> int:  # type: ignore[override]  # the same
        """Codes of a position."""
        return self.bottleneck.streams

    @property
    def distribution(self) -> type[Distribution]:
        """The type of q(z|x)."""
        return Codes if self.bottleneck.discrete else Diagonal

    @property
    def euclidean(self) -> bool:
        """Whether z is any of R^L and has a density there."""
        return not self.bottleneck.discrete

    @property
    def standard(self) -> bool:
        """Whether the prior's mean and scale of each latent are 0 and 1."""
        return not self.bottleneck.discrete

    @property
    def kl_estimate(self) -> str:
        """In closed form."""
        return "analytic"

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> Any:
        """q(z|x) of x [B, H, W, C]: z [B, P D]."""
        features = widened(self.encoder(self.encoder_input(x, keys), keys))
        return self.bottleneck(self.head(features.reshape(len(x), self.positions, -1)))

    def decode(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """The likelihood's parameters theta [..., H, W, channels] for z [..., P D]."""
        return self.through_decoder(z, keys)

    def log_prior(self, z: jax.Array) -> jax.Array:
        """log p(z) [...] nats, for z [..., P D]."""
        if not self.bottleneck.discrete:
            return gaussian.log_prob(z, 0.0, jnp.zeros(())).sum(-1)
        return jnp.full(z.shape[:-1], -self.positions * self.bottleneck.nats)

    def sample_prior(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw of p(z) a key: z [B, P D]; the temperature scales a Gaussian's noise."""
        if not self.bottleneck.discrete:
            return temperature * noise.normal(keys, (self.latent_size,))
        return self.embed(jax.vmap(lambda key: self.bottleneck.draw(key, self.positions))(keys))

    def indices_of(self, z: jax.Array) -> jax.Array:
        """Codes [..., P, streams] of z [..., P D]."""
        return self.bottleneck.nearest(z.reshape(*z.shape[:-1], self.positions, -1))

    def embed(self, indices: jax.Array) -> jax.Array:
        """z [..., P D] of codes [..., P, streams]."""
        codes = self.bottleneck.embed(indices)
        return codes.reshape(*codes.shape[:-2], -1)

    def joint(
        self,
        q: Any,
        x: jax.Array,
        keys: jax.Array,
        first: jax.Array | int = 0,
        count: int = 1,
        dropout: jax.Array | None = None,
    ) -> Joint:
        """Draws number first .. first + count - 1 of q(z|x), and all terms of the bounds at them;
        of a discrete bottleneck, `count` times the same."""
        z, log_q = q.sample_and_log_prob(keys, first, count)
        theta = self.decode(z, dropout)
        log_prior = self.log_prior(z)
        if self.bottleneck.discrete:
            kl = -log_prior[0][:, None]
        else:
            kl = q.kl_standard_normal()
        return Joint(q, z, theta, self.log_likelihood(theta, x), log_prior, log_q, kl)

"""The VAE: one vector of latents, a posterior and a prior of it chosen by name."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.models.base import Model
from vae.networks.layers import Network, widened
from vae.probability.gaussian_posteriors import Posterior
from vae.probability.gaussian_priors import Prior
from vae.protocols import Distribution, Joint


class VAE(Model, kw_only=True):
    """p(z) p(x|z) with the approximate posterior q(z|x) (Kingma & Welling 2014).

    With a context c it is p(z|c) p(x|z,c) and q(z|x,c) (Sohn et al. 2015): the encoder and the
    decoder see c, and the prior where it is a conditional one.

    Posterior and prior may have weights of their own; a prior of pseudo-inputs meets the encoder's
    posterior of them here, in `log_prior` and `sample_prior`.

    Bound with a mask of latents (see `variables`), it is exactly a model of the latents that are
    left. Those masked out have q(z|x) = N(0, 1), a KL of 0 and no way to the decoder.
    """

    encoder: nn.Module  # what the likelihood makes of x for it -> features [B, F]
    decoder: Network  # z [B, L] -> theta [B, H, W, channels]
    posterior: Posterior  # features [B, F] -> q(z|x)
    prior: Prior

    maskable = True
    takes_context = True
    takes_sequences = True

    @property
    def chosen_by(self) -> str:
        """The setting that chooses q(z|x), for messages."""
        return f"model.posterior={type(self.posterior).__name__!r}"

    @property
    def mask(self) -> jax.Array | None:
        """Ones and zeros [L]: the latents that there are; None for all."""
        return self.get_variable("latents", "mask")

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> Any:
        """q(z|x), with float32 parameters whatever the networks compute in."""
        if not self.conditional:
            features = self.encoder(self.encoder_input(x, keys), keys)
        else:
            features = self.encoder(self.encoder_input(x, keys), keys, self.context)
        q = self.posterior(widened(features))
        return q if self.mask is None else q.masked(self.mask)

    def decode(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """The likelihood's parameters theta [..., H, W, channels] for z [..., L]."""
        return self._theta(z, keys)

    def theta(self, z: jax.Array, x: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """theta [..., B, H, W, channels] for z [..., B, L]; a sequential decoder is given x too."""
        if not self.decoder.sequential:
            return self.decode(z, keys)
        return self._theta(z, keys, jnp.broadcast_to(x, (*z.shape[:-1], x.shape[-1])))

    def _theta(self, z: jax.Array, keys: jax.Array | None, *given: jax.Array) -> jax.Array:
        theta, own = self.through_decoder(self._seen(z), keys, *given), self.likelihood.own_latents
        return self.likelihood.with_latents(theta, z[..., :own]) if own else theta

    def draw(self, keys: jax.Array, z: jax.Array) -> jax.Array:
        """One x of p(x|z) a key, for z [B, L]: [B, H, W, C]; ids of a sequence one by one."""
        if not self.decoder.sequential:
            return super().draw(keys, z)
        return self.decoder.sample(keys, self._seen(z))[..., None].astype(jnp.float32)

    def _seen(self, z: jax.Array) -> jax.Array:
        """What the decoder sees [..., D] of z [..., L]: the latents that are not masked and not the
        likelihood's own, and the context."""
        z = (z if self.mask is None else z * self.mask)[..., self.likelihood.own_latents :]
        if self.conditional:
            c = jnp.broadcast_to(self.context, (*z.shape[:-1], self.context_size))
            z = jnp.concatenate([c, z], axis=-1)  # the axis grows with L at its end
        return z

    def _given(self) -> tuple[Any, ...]:
        """What the prior's methods take last: the posterior of its own inputs, or the context."""
        if self.prior.takes_context:
            return (self.context,)
        return (self.encode(self.prior.inputs()),) if self.prior.takes_posterior else ()

    def log_prior(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...] nats."""
        return self.prior.log_prob(z, *self._given())

    def sample_prior(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw of p(z) a key: z [B, L]. The temperature scales the prior's Gaussian noise."""
        return self.prior.sample(keys, *self._given(), temperature=temperature)

    @property
    def distribution(self) -> type[Distribution]:
        """The type of q(z|x)."""
        return self.posterior.distribution

    @property
    def euclidean(self) -> bool:
        """Whether z is any of R^L and has a density there."""
        return self.prior.euclidean

    @property
    def standard(self) -> bool:
        """Whether the prior's mean and scale of each latent are 0 and 1."""
        return self.prior.standard

    @property
    def kl_estimate(self) -> str:
        """"analytic" or "monte carlo"."""
        closed = issubclass(self.distribution, self.prior.analytic)
        return "analytic" if closed else "monte carlo"

    def joint(
        self,
        q: Any,
        x: jax.Array,
        keys: jax.Array,
        first: jax.Array | int = 0,
        count: int = 1,
        dropout: jax.Array | None = None,
    ) -> Joint:
        """Draws number first .. first + count - 1 of q, and all terms of the bounds at them.

        The KL is in closed form where the pair of posterior and prior has one, then latent by
        latent if it can be (G = L); otherwise log q(z|x) - log p(z), averaged over the draws.
        """
        z, log_q = q.sample_and_log_prob(keys, first, count)
        theta = self.theta(z, x, dropout)
        log_prior = self.log_prior(z)
        if isinstance(q, self.prior.analytic):
            kl = self.prior.kl(q, *self._given())
        else:
            kl = (log_q - log_prior).mean(0)[:, None]
        return Joint(q, z, theta, self.log_likelihood(theta, x), log_prior, log_q, kl)

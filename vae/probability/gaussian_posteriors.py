"""Gaussian posteriors, and the head that all posteriors begin with."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vae import protocols
from vae.probability.distributions import Diagonal, FullCovariance


class Posterior(nn.Module, protocols.Posterior):
    """What posteriors share: a linear map from the features."""

    latent_size: int

    def head(self, features: jax.Array, outputs: int) -> jax.Array:
        """features [B, F] -> [B, outputs], by the module's own kernel and bias."""
        shape = (features.shape[-1], outputs)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        return features @ kernel + self.param("bias", nn.initializers.zeros, (outputs,))

    def base(self, features: jax.Array) -> Diagonal:
        """The head's diagonal Gaussian; the outputs are mu and logvar by turns. Nothing is clamped:
        overflow shows as non-finite."""
        outputs = self.head(features, 2 * self.latent_size)
        outputs = outputs.reshape(-1, self.latent_size, 2)
        return Diagonal(outputs[..., 0], outputs[..., 1])


class diagonal(Posterior):  # noqa: N801  (the name is the config value)
    """Diagonal Gaussian q(z|x) = N(mu, diag(exp(logvar))) (Kingma & Welling 2014, appendix C.2)."""

    distribution = Diagonal
    maskable = True

    @nn.compact
    def __call__(self, features: jax.Array) -> Diagonal:
        """q(z|x) for features [B, F]."""
        return self.base(features)


class full_covariance(Posterior):  # noqa: N801
    """q(z|x) = N(mu, C C^T), C lower-triangular (Kingma & Welling 2019, section 2.5.1).

    C starts near a diagonal. With entries as large as the diagonal's, a latent late in the order
    would start with the noise of all before it, and many never come out of it.
    """

    distribution = FullCovariance

    @nn.compact
    def __call__(self, features: jax.Array) -> FullCovariance:
        """q(z|x) for features [B, F]."""
        size = self.latent_size
        rows, columns = np.tril_indices(size, -1)
        mu, log_diagonal = jnp.split(self.head(features, 2 * size), 2, axis=-1)
        below = jnp.zeros((*mu.shape, size), mu.dtype)
        if size > 1:  # one latent has no entries below the diagonal, and no parameter is empty
            small = nn.initializers.normal(1e-3)
            entries = nn.Dense(len(rows), kernel_init=small, name="below")(features)
            below = below.at[:, rows, columns].set(entries)
        return FullCovariance(mu, log_diagonal, below)

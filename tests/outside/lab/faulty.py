"""Parts with a fault each, that `check` has to find."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lab import parts
from vae.networks.layers import Network
from vae.objectives.elbo import infer
from vae.probability import gaussian_posteriors
from vae.probability.distributions import Diagonal


class prior(parts.scaled):  # noqa: N801
    """Its constant is forgotten."""

    def log_prob(self, z: jax.Array) -> jax.Array:
        return super().log_prob(z) + 0.9 * self.latent_size


class moved(parts.scaled):  # noqa: N801
    """Its samples lie elsewhere than its density."""

    def sample(self, keys: jax.Array, temperature: Any = 1.0) -> jax.Array:
        return super().sample(keys, temperature) + 0.3


class masked(parts.scaled):  # noqa: N801
    """It says that latents can be left out, and counts them all the same."""

    maskable = True

    def log_prob(self, z: jax.Array) -> jax.Array:
        return super().log_prob(z) - z.shape[-1]


class Wide(Diagonal):
    """Says of its draws that they are denser than they are."""

    def sample_and_log_prob(self, *args: Any, **kwargs: Any) -> Any:
        z, log_q = super().sample_and_log_prob(*args, **kwargs)
        return z, log_q + 0.2


class posterior(gaussian_posteriors.Posterior):  # noqa: N801
    """Its densities are not those of its draws."""

    distribution = Wide

    @nn.compact
    def __call__(self, features: jax.Array) -> Wide:
        mu, logvar = (nn.Dense(self.latent_size, name=name)(features) for name in ("mu", "logvar"))
        return Wide(mu, logvar)


@dataclasses.dataclass(frozen=True)
class likelihood(parts.logistic):  # noqa: N801
    """Its log probability lacks a factor."""

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        return 1.1 * super().log_prob(theta, x)


@dataclasses.dataclass(frozen=True)
class biased(parts.logistic):  # noqa: N801
    """Its mean is not that of its samples."""

    def mean(self, theta: jax.Array) -> jax.Array:
        return theta + 0.2


class encoder(Network):  # noqa: N801
    """No gradient comes through."""

    @nn.compact
    def __call__(self, x: jax.Array, keys: Any = None, context: Any = None) -> jax.Array:
        return jax.lax.stop_gradient(nn.Dense(5)(x.reshape(len(x), -1)))


class leaky(Network):  # noqa: N801
    """Sees the other examples of the batch."""

    @nn.compact
    def __call__(self, x: jax.Array, keys: Any = None, context: Any = None) -> jax.Array:
        return nn.Dense(5)(x.reshape(len(x), -1) - x.reshape(len(x), -1)[:1])


class rough(Network):  # noqa: N801
    """Computes in float32 whatever it is told, and far off in bfloat16."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, keys: Any = None, context: Any = None) -> jax.Array:
        scale = 1.0 if self.dtype == jnp.float32 else 40.0
        return scale * nn.Dense(5)(x.reshape(len(x), -1))


def coupled(model: Any, x: jax.Array, keys: jax.Array, hyper: Any, axis: Any = None) -> Any:
    """Takes the mean of its own device's examples for that of the batch."""
    _, _, terms = infer(model, x, keys)
    return {"loss": terms["distortion"] + jnp.square(terms["rate"].mean()), **terms}


def stopped(model: Any, x: jax.Array, keys: jax.Array, hyper: Any, axis: Any = None) -> Any:
    """The rate is in the loss, and not in its gradient."""
    _, _, terms = infer(model, x, keys)
    return {"loss": terms["distortion"] + jax.lax.stop_gradient(terms["rate"]), **terms}


def nameless(model: Any, x: jax.Array, keys: jax.Array, hyper: Any, axis: Any = None) -> Any:
    """Returns the loss alone."""
    return {"loss": infer(model, x, keys)[2]["distortion"]}

"""The diagonal Gaussian, parametrised by mean and log variance."""

import jax
import jax.numpy as jnp

LOG_2PI = 1.8378770664093453


def log_prob(x: jax.Array, mu: jax.Array, logvar: jax.Array) -> jax.Array:
    """log N(x; mu, exp(logvar)) of each dimension, in nats, constant included; shape as x."""
    return -0.5 * (LOG_2PI + logvar + jnp.square(x - mu) * jnp.exp(-logvar))


def sample(noise: jax.Array, mu: jax.Array, logvar: jax.Array) -> jax.Array:
    """The reparameterised draw mu + sigma * noise (Kingma & Welling 2014, section 2.4)."""
    return mu + jnp.exp(0.5 * logvar) * noise


def kl_standard_normal(mu: jax.Array, logvar: jax.Array) -> jax.Array:
    """KL(N(mu, exp(logvar)) || N(0, 1)) of each dimension, in nats (same paper, appendix B)."""
    return 0.5 * (jnp.square(mu) + jnp.exp(logvar) - 1.0 - logvar)


def kl(mu: jax.Array, logvar: jax.Array, prior_mu: jax.Array, prior_logvar: jax.Array) -> jax.Array:
    """KL(N(mu, exp(logvar)) || N(prior_mu, exp(prior_logvar))) of each dimension, in nats."""
    ratio = logvar - prior_logvar
    squares = jnp.square(mu - prior_mu) * jnp.exp(-prior_logvar)
    return 0.5 * (squares + jnp.exp(ratio) - 1.0 - ratio)

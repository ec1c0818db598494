"""Bounds on log p(x), per example, in nats.

Each function here builds an evaluator: call it with (variables, x, key, batch_size), where
`vae.model.variables` gives the first and x is [N, *shape] in the likelihood's space. It is compiled
on its first call only.
"""

from typing import Any

import jax
import jax.numpy as jnp

from vae.evaluation.batches import PerExample
from vae.model import VAE


def elbo(model: VAE, samples: int = 1) -> PerExample:
    """The ELBO at beta = 1, its parts, and what the latents carry.

    Args:
      samples: draws of z an example for the distortion; the rate is analytic.

    Returns:
      An evaluator that gives elbo, distortion, rate: [N] nats; kl_per_latent, posterior_mean:
      [N, L].
    """

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        bound = model.bind(variables)
        q = bound.encode(x)
        z = q.sample(keys, 0, samples)  # [samples, B, L]
        distortion = -bound.log_likelihood(bound.decode(z), x).mean(0)
        kl = model.prior.kl(q)  # [B, L]
        rate = kl.sum(-1)
        return {
            "elbo": -(distortion + rate),
            "distortion": distortion,
            "rate": rate,
            "kl_per_latent": kl,
            "posterior_mean": q.mean,
        }

    return PerExample(function)


def iwae(model: VAE, samples: int, chunk: int = 50) -> PerExample:
    """The importance-weighted bound log 1/K sum_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x).

    Burda et al. 2015, eq. 8, with exactly K = `samples` draws.

    Args:
      samples: K.
      chunk: draws decoded at once for each example of a batch. It bounds the memory, and changes
        nothing but rounding: a draw is a function of its own number.

    Returns:
      An evaluator that gives [N] nats, a lower bound on log p(x) in expectation.
    """
    chunk = min(chunk, samples)

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> jax.Array:
        bound = model.bind(variables)
        q = bound.encode(x)

        def add_chunk(number: jax.Array, total: jax.Array) -> jax.Array:
            first = number * chunk
            z = q.sample(keys, first, chunk)  # [chunk, B, L]
            log_w = bound.log_likelihood(bound.decode(z), x) + model.prior.log_prob(z)
            log_w = log_w - q.log_prob(z)  # [chunk, B]
            counted = first + jnp.arange(chunk) < samples
            log_w = jnp.where(counted[:, None], log_w, -jnp.inf)
            return jnp.logaddexp(total, jax.nn.logsumexp(log_w, axis=0))

        empty = jnp.full(x.shape[0], -jnp.inf)
        total = jax.lax.fori_loop(0, -(-samples // chunk), add_chunk, empty)
        return total - jnp.log(float(samples))

    return PerExample(function)

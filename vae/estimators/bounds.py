"""Bounds on log p(x), per example, in nats.

Each function here builds an evaluator, which is called with (variables, x, key, batch_size,
context). `vae.models.variables` gives the first, x is [N, *shape] in the likelihood's space, and
only conditional models take a context. An evaluator is compiled at its first call.
"""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from vae.estimators.batches import PerExample

if TYPE_CHECKING:
    from vae.models import Model

CHUNK = 100  # draws decoded at once for each example of a batch, at most
HELD = 8_000_000  # numbers of x that are decoded at once, unless one draw has more


def elbo(model: "Model", samples: int = 1) -> PerExample:
    """The ELBO at beta = 1, its parts, and what the latents carry.

    Args:
      samples: draws of z an example for the distortion, and for the rate where it is not analytic.

    Returns:
      An evaluator that gives elbo, distortion, rate: [N] nats; posterior_mean: [N, L]; and
      kl_per_latent: [N, L] or kl_per_layer: [N, layers] nats, where it can be told.
    """

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        bound = model.bind(variables)
        joint = bound.joint(bound.encode(x), x, keys, 0, samples)
        distortion, rate = -joint.log_likelihood.mean(0), joint.kl.sum(-1)
        mean, parts = joint.q.mean, joint.kl.shape[-1]
        told = {"kl_per_latent": joint.kl} if parts == mean.shape[-1] else {}
        told |= {"kl_per_layer": joint.kl} if model.layers > 1 else {}
        return {
            "elbo": -(distortion + rate),
            "distortion": distortion,
            "rate": rate,
            "posterior_mean": mean,
            **told,
        }

    return PerExample(function)


def iwae(model: "Model", samples: int, chunk: int | None = None) -> PerExample:
    """The importance-weighted bound log 1/K sum_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x).

    Burda et al. 2015, eq. 8, with exactly K = `samples` draws.

    Args:
      samples: K.
      chunk: draws decoded at once for each example of a batch; by default as many as `CHUNK` and
        `HELD` allow. It bounds the memory, and changes nothing but rounding: a draw is a function
        of its own number.

    Returns:
      An evaluator that gives [N] nats, a lower bound on log p(x) in expectation.
    """

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> jax.Array:
        size = min(samples, chunk or min(CHUNK, max(1, HELD // x.size)))
        bound = model.bind(variables)
        q = bound.encode(x)

        def add_chunk(number: jax.Array, total: jax.Array) -> jax.Array:
            first = number * size
            log_w = bound.joint(q, x, keys, first, size).log_weight  # [size, B]
            counted = first + jnp.arange(size) < samples
            log_w = jnp.where(counted[:, None], log_w, -jnp.inf)
            return jnp.logaddexp(total, jax.nn.logsumexp(log_w, axis=0))

        empty = jnp.full(x.shape[0], -jnp.inf)
        total = jax.lax.fori_loop(0, -(-samples // size), add_chunk, empty)
        return total - jnp.log(float(samples))

    return PerExample(function)

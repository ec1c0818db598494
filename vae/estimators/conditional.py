"""What is missing given what is observed, by self-normalised importance sampling of z."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from vae.estimators.batches import PerExample
from vae.probability import noise

if TYPE_CHECKING:
    from vae.models import Model

CHUNK = 100  # draws decoded at once for each example of a batch
MOST = 1_000_000  # draws of z an example
HELD = 1_000_000  # draws of z of all examples of a batch, unless one has more
BATCH = 100  # examples at a time, at most


def batch_size(samples: int) -> int:
    """Examples at a time, of so many draws each."""
    return max(1, min(BATCH, HELD // samples))


def conditional(model: "Model", samples: int, draws: int = 0) -> PerExample:
    """E[x | x observed] of every cell, or draws of x given what is observed (Mattei & Frellsen
    2019, section 4).

    z_k ~ q(z|x), k = 1 .. `samples`, have the weights p(x observed, z_k) / q(z_k|x), made to add up
    to 1: means over p(x|z_k) by these, or, by sampling importance resampling, x of p(x|z_k) for
    `draws` k of these probabilities.

    Returns:
      An evaluator that gives `x` [N, max(1, draws), D], as the model sees it: means, and the most
      probable levels, or draws; and `effective`, 1 / sum of squared weights, [N].
    """
    size = min(samples, CHUNK)
    chunks = -(-samples // size)

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        bound = model.bind(variables)
        q, drawn, picked = bound.encode(x), noise.fold(keys, 0), noise.fold(keys, 1)

        def weigh(number: jax.Array) -> tuple[jax.Array, jax.Array]:
            first = number * size
            joint = bound.joint(q, x, drawn, first, size)
            there = first + jnp.arange(size) < samples
            return joint.z, jnp.where(there[:, None], joint.log_weight, -jnp.inf)

        z, log_w = jax.lax.map(weigh, jnp.arange(chunks))  # [chunks, size, B, L], [.., B]
        log_w = log_w - jax.nn.logsumexp(log_w, axis=(0, 1))
        effective = jnp.exp(-jax.nn.logsumexp(2.0 * log_w, axis=(0, 1)))
        if draws:
            flat_z, flat_w = z.reshape(-1, *z.shape[2:]), log_w.reshape(-1, len(x))
            chosen = jax.vmap(lambda key, w: jax.random.categorical(key, w, shape=(draws,)))(
                picked, flat_w.T
            )  # [B, draws]

            def one(number: jax.Array) -> jax.Array:  # [B, D]
                rows = chosen[:, number]
                own = flat_z[rows, jnp.arange(len(x))]
                return bound.draw(noise.fold(keys, 2 + number), own)[..., 0]

            return {
                "x": jax.lax.map(one, jnp.arange(draws)).swapaxes(0, 1), "effective": effective
            }  # fmt: skip

        def add(total: jax.Array, part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            expected = model.likelihood.expected(bound.decode(part[0]))  # [size, B, F]
            return total + (jnp.exp(part[1])[..., None] * expected).sum(0), None

        width = jax.eval_shape(lambda z: model.likelihood.expected(bound.decode(z)), z[0, 0])
        total, _ = jax.lax.scan(add, jnp.zeros(width.shape), (z, log_w))
        return {"x": model.likelihood.of_expected(total)[:, None], "effective": effective}

    return PerExample(function)

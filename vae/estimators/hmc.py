"""Hamiltonian Monte Carlo over the latents of many examples at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vae.probability import noise

Chains = tuple[jax.Array, jax.Array, jax.Array, jax.Array]  # z, momentum, value and gradient

TARGET = 0.65  # of acceptance: the best in many dimensions (Beskos et al. 2013)


def transition(
    log_density: Callable[[jax.Array], jax.Array],
    z: jax.Array,
    keys: jax.Array,
    step: jax.Array,
    scale: jax.Array,
    leapfrogs: int,
) -> tuple[jax.Array, jax.Array]:
    """One transition that leaves `log_density` invariant (Neal 2011, section 3.2).

    Args:
      log_density: of z [K, B, L]: [K, B] nats, up to a constant.
      z: K chains of B examples, [K, B, L].
      keys: [B]; chain k of an example has noise of its own.
      step: of the integrator, [B]: one for the K chains of an example.
      scale: [B, L], what a step is multiplied by in each latent: the masses are scale^-2.
      leapfrogs: steps of the integrator.

    Returns:
      The chains after it [K, B, L]; the probabilities that the proposals had [K, B].
    """
    chains, _, size = z.shape

    def value_and_gradient(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        value, back = jax.vjp(log_density, z)
        return value, back(jnp.ones_like(value))[0]

    length = step[:, None] * scale  # [B, L]
    start, gradient = value_and_gradient(z)
    momentum = noise.normals(keys, 0, chains, size)  # in units of 1 / scale
    half = momentum + 0.5 * length * gradient

    def leap(carry: Chains, _: None) -> tuple[Chains, None]:
        z, momentum = carry[:2]
        z = z + length * momentum
        value, gradient = value_and_gradient(z)
        return (z, momentum + length * gradient, value, gradient), None

    (end, whole, value, gradient), _ = jax.lax.scan(
        leap, (z, half, start, gradient), None, leapfrogs
    )
    final = whole - 0.5 * length * gradient  # the last step went half a step too far
    kinetic = 0.5 * (jnp.square(momentum) - jnp.square(final)).sum(-1)
    log_ratio = value - start + kinetic
    log_ratio = jnp.where(jnp.isfinite(log_ratio), log_ratio, -jnp.inf)  # it left the finite
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (chains,)))(noise.fold(keys, chains))
    accepted = jnp.log(uniform.T) < log_ratio
    moved = jnp.where(accepted[..., None], end, z)
    return moved, jnp.exp(jnp.minimum(log_ratio, 0.0))


def adapted(log_step: jax.Array, acceptance: jax.Array, gain: float = 0.2) -> jax.Array:
    """Log step sizes [B] after a transition whose proposals had `acceptance` [K, B]."""
    return log_step + gain * (acceptance.mean(0) - TARGET)

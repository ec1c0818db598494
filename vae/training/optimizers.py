"""Optimisers by name: optax's directions, for hyperparameters that may be traced.

Each returns the direction to descend; `descend` applies the learning rate and the decoupled weight
decay, so that both are ordinary traced numbers (a schedule's value, a trial's own).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

__all__ = ["adam", "adamax", "adamw", "lion", "nadam", "radam", "rmsprop", "sgd"]

Hyper = dict[str, jax.Array]


def adam(hyper: Hyper) -> optax.GradientTransformation:
    """Kingma & Ba 2015."""
    return optax.scale_by_adam(hyper["b1"], hyper["b2"], hyper["eps"])


adamw = adam  # Loshchilov & Hutter 2019: the decay is decoupled for every optimiser here


def adamax(hyper: Hyper) -> optax.GradientTransformation:
    """Kingma & Ba 2015, section 7.1."""
    return optax.scale_by_adamax(hyper["b1"], hyper["b2"], hyper["eps"])


def nadam(hyper: Hyper) -> optax.GradientTransformation:
    """Dozat 2016."""
    return optax.scale_by_adam(hyper["b1"], hyper["b2"], hyper["eps"], nesterov=True)


def radam(hyper: Hyper) -> optax.GradientTransformation:
    """Liu et al. 2020."""
    return optax.scale_by_radam(hyper["b1"], hyper["b2"], hyper["eps"])


def rmsprop(hyper: Hyper) -> optax.GradientTransformation:
    """Tieleman & Hinton 2012, with `b2` as the decay of the squares."""
    return optax.scale_by_rms(decay=hyper["b2"], eps=hyper["eps"])


def sgd(hyper: Hyper) -> optax.GradientTransformation:
    """Gradient descent with momentum `b1`; 0.0 for none."""
    return optax.trace(decay=hyper["b1"])


def lion(hyper: Hyper) -> optax.GradientTransformation:
    """Chen et al. 2023."""
    return optax.scale_by_lion(hyper["b1"], hyper["b2"])


def clip(gradient: Any, norm: jax.Array, bound: jax.Array) -> Any:
    """Scales the gradient so that its norm is at most `bound`; a bound of 0 is none."""
    scale = jnp.where((bound > 0) & (norm > bound), bound / norm, 1.0)
    return jax.tree.map(lambda g: g * scale, gradient)


def descend(params: Any, direction: Any, rate: jax.Array, weight_decay: jax.Array) -> Any:
    """params - rate * (direction + weight_decay * params); biases and scalars do not decay."""

    def update(p: jax.Array, d: jax.Array) -> jax.Array:
        return p - rate * (d + weight_decay * p if p.ndim > 1 else d)

    return jax.tree.map(update, params, direction)

"""Optimisers by name: optax's directions, for hyperparameters that may be traced.

Each returns the direction to descend; `descend` applies the learning rate and the decoupled weight
decay, so that both are ordinary traced numbers (a schedule's value, a trial's own). A critic beside
the model, in the same tree of parameters, has an optimiser of its own.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vae.protocols import Hyper

__all__ = ["adam", "adamax", "adamw", "lion", "nadam", "radam", "rmsprop", "sgd"]

Optimizer = Callable[[Hyper], optax.GradientTransformation]


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


OWN = ("critic", "averages")  # branches that have an optimiser of their own


def parts(tree: Any) -> dict[str, Any]:
    """What has an optimiser of its own: the model's parameters, and those of OWN that it has."""
    model = {name: branch for name, branch in tree.items() if name not in OWN}
    return {"model": model} | {name: {name: tree[name]} for name in OWN if name in tree}


def of_part(part: str, optimizer: Optimizer, hyper: Hyper) -> tuple[Optimizer, Hyper]:
    """The optimiser of one part and its settings.

    A critic's are those of Kim & Mnih 2018, table 2: Adam with a learning rate of its own and short
    memories. Averages take their gradient as the step: it is the whole way to their target.
    """
    if part == "model":
        return optimizer, hyper
    if part == "averages":
        one, none = jnp.ones(()), jnp.zeros(())
        return sgd, hyper | {"learning_rate": one, "b1": none, "weight_decay": none}
    rate = {"learning_rate": hyper["critic_learning_rate"]}
    return adam, hyper | rate | {"b1": 0.5, "b2": 0.9, "weight_decay": 0.0}


def init(optimizer: Optimizer, hyper: Hyper, params: Any) -> dict[str, Any]:
    """The state before the first step, of each part: a mapping, so that a state that is loaded or
    kept needs no optax."""
    states = {}
    for part, branch in parts(params).items():
        chosen, settings = of_part(part, optimizer, hyper)
        states[part] = chosen(settings).init(branch)._asdict()
    return states


def norm(gradient: Any) -> jax.Array:
    """The norm of the model's gradient."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in jax.tree.leaves(parts(gradient)["model"])))


def update(
    optimizer: Optimizer,
    hyper: Hyper,
    gradient: Any,
    norm: jax.Array,
    states: dict[str, Any],
    params: Any,
) -> tuple[Any, dict[str, Any]]:
    """One step of each part: parameters and states after it. `norm` is that of `norm(gradient)`."""
    gradients = parts(gradient)
    moved: dict[str, Any] = {}
    after: dict[str, Any] = {}
    gradients["model"] = clip(gradients["model"], norm, hyper["clip_norm"])
    for part, branch in parts(params).items():
        chosen, settings = of_part(part, optimizer, hyper)
        transform = chosen(settings)
        named = type(jax.eval_shape(transform.init, branch))
        direction, state = transform.update(gradients[part], named(**states[part]), branch)
        after[part] = state._asdict()
        rate, decay = settings["learning_rate"], settings["weight_decay"]
        moved |= descend(branch, direction, rate, decay)
    return {name: moved[name] for name in params}, after

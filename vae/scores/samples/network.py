"""The classifier whose last layer but one gives features."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae.errors import RunError
from vae.networks import encoders
from vae.probability import noise


class Network(nn.Module):
    """x [B, *shape] -> features [B, width] and logits [B, classes].

    Convolutions where an example is an image [H, W, C], dense layers otherwise.
    """

    shape: tuple[int, ...]
    classes: int
    width: int

    def setup(self) -> None:
        """Declares the body and the head."""
        act, width = "relu", self.width
        if len(self.shape) == 3:
            self.body: nn.Module = encoders.conv(filters=(16, 32), dense=width, activation=act)
        else:
            self.body = encoders.mlp(hidden=(2 * width, width), activation=act)
        self.head = nn.Dense(self.classes)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Features [B, width] and logits [B, classes] of x [B, *shape]."""
        features = self.body(x)
        return features, self.head(features)


# Compiled once for each network and batch, however many are fitted.


@functools.partial(jax.jit, static_argnames="network")
def _start(network: Network, key: jax.Array) -> Any:
    params = network.init(key, jnp.zeros((1, *network.shape)))
    return params, optax.scale_by_adam().init(params)


# One step and no scan: in a loop of its own, XLA's weight gradients are slow on a CPU.
@functools.partial(jax.jit, static_argnames="network", donate_argnames="state")
def _step(
    network: Network, state: Any, x: jax.Array, labels: jax.Array, rate: float, last: int
) -> Any:
    def loss(params: Any) -> jax.Array:
        _, logits = network.apply(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    params, moments = state
    updates, moved = optax.scale_by_adam().update(jax.grad(loss)(params), moments)
    now = rate * 0.5 * (1.0 + jnp.cos(jnp.pi * moments.count / last))
    return jax.tree.map(lambda each, update: each - now * update, params, updates), moved


@functools.partial(jax.jit, static_argnames="network")
def _classes(network: Network, params: Any, x: jax.Array) -> jax.Array:
    _, logits = network.apply(params, x)
    return jnp.asarray(logits).argmax(1)


def fit(
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    seed: int,
    epochs: int,
    batch: int,
    rate: float,
) -> Any:
    """Parameters after so many epochs of Adam, whose learning rate falls to 0 by a cosine.

    Args:
      x: [N, *shape], as the network sees it.
      labels: ints [N], below the network's classes.

    Raises:
      RunError: weights that are not finite.
    """
    batch = min(batch, len(x))
    steps = len(x) // batch
    last = max(1, epochs * steps)
    state, rng = _start(network, noise.key_for(seed, "init")), np.random.default_rng(seed % 2**32)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for rows in order[: steps * batch].reshape(steps, batch):
            state = _step(network, state, x[rows], labels[rows], rate, last)
    params = jax.device_get(state[0])
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        raise RunError("the classifier's weights are not finite: train it with a smaller `rate`")
    return params


def accuracy(network: Network, params: Any, x: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples [N, *shape] whose class has the highest logit."""
    parts = [_classes(network, params, x[i : i + 1000]) for i in range(0, len(x), 1000)]
    return float((np.concatenate(parts) == np.asarray(labels)).mean())

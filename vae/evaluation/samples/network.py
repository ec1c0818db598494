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
        if len(self.shape) == 3:
            self.body = encoders.conv(filters=(16, 32), dense=self.width, activation="relu")
        else:
            self.body = encoders.mlp(hidden=(2 * self.width, self.width), activation="relu")
        self.head = nn.Dense(self.classes)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        features = self.body(x)
        return features, self.head(features)


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
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, max(1, epochs * steps)))

    def loss(params: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        _, logits = network.apply(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    # One step and no scan: in a loop of its own, XLA's weight gradients are slow on a CPU.
    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: jax.Array, labels: jax.Array) -> Any:
        updates, moved = optimizer.update(jax.grad(loss)(state[0], x, labels), state[1])
        return optax.apply_updates(state[0], updates), moved

    first = jnp.zeros((1, *network.shape))
    params = jax.jit(network.init)(noise.key_for(seed, "init"), first)
    state, rng = (params, optimizer.init(params)), np.random.default_rng(seed % 2**32)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for rows in order[: steps * batch].reshape(steps, batch):
            state = step(state, x[rows], labels[rows])
    params = jax.device_get(state[0])
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        raise RunError("the classifier's weights are not finite: train it with a smaller `rate`")
    return params


def accuracy(network: Network, params: Any, x: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples [N, *shape] whose class has the highest logit."""
    logits = jax.jit(lambda part: network.apply(params, part)[1])
    parts = [np.asarray(logits(x[i : i + 1000])).argmax(1) for i in range(0, len(x), 1000)]
    return float((np.concatenate(parts) == np.asarray(labels)).mean())

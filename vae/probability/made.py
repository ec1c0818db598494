"""Masked networks: output i sees only the inputs before i (Germain et al. 2015, MADE).

Weights are plain arrays, so that a distribution can carry them.
"""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vae.errors import needed

Weights = list[dict[str, jax.Array]]


def masks(size: int, hidden: tuple[int, ...]) -> list[np.ndarray]:
    """Ones and zeros [inputs, outputs] of each layer, the last with `size` outputs.

    Input i has the degree i + 1, output i the degree i; hidden units take 0 .. size - 1 by turns
    (those of degree 0 see the context alone). A unit sees units of no higher degree than its own.
    """
    degrees = [np.arange(size) + 1, *(np.arange(width) % size for width in hidden), np.arange(size)]
    pairs = zip(degrees[:-1], degrees[1:], strict=True)
    return [(low[:, None] <= high).astype(np.float32) for low, high in pairs]


def declare(
    module: nn.Module,
    name: str,
    size: int,
    hidden: tuple[int, ...],
    outputs: int,
    context: int = 0,
) -> Weights:
    """The network's parameters, declared on a module, which then owns them.

    The network gives `outputs` numbers for each of `size` inputs. The last layer starts small, so
    that a flow starts near the identity.
    """
    widths, weights = (size, *hidden, size * outputs), []
    for layer, shape in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        scale = 0.01 if layer == len(hidden) else 2.0  # half of a layer is masked out
        init = nn.initializers.variance_scaling(scale, "fan_in", "normal")
        weights.append({
            "kernel": module.param(f"{name}_{layer}_kernel", init, shape),
            "bias": module.param(f"{name}_{layer}_bias", nn.initializers.zeros, shape[1:]),
        })  # fmt: skip
    if context:
        init = nn.initializers.lecun_normal()
        weights[0]["context"] = module.param(f"{name}_context", init, (context, widths[1]))
    return weights


def network(weights: Weights, z: jax.Array, context: jax.Array | None = None) -> jax.Array:
    """[..., L, outputs]: row i is a function of z[..., :i] and of the context [..., C]."""
    size = z.shape[-1]
    widths = tuple(layer["bias"].shape[0] for layer in weights[:-1])
    outputs = weights[-1]["bias"].shape[0] // size
    values = z
    for number, (layer, mask) in enumerate(zip(weights, masks(size, widths), strict=True)):
        last = number == len(weights) - 1
        kernel = layer["kernel"] * (np.repeat(mask, outputs, axis=1) if last else mask)
        values = values @ kernel + layer["bias"]
        if "context" in layer:
            values = values + needed(context, "context") @ layer["context"]
        values = values if last else jax.nn.elu(values)
    return values.reshape(*z.shape[:-1], size, outputs)


@flax.struct.dataclass
class Step:
    """One step of the inverse autoregressive flow (Kingma et al. 2016, eq. 13 and algorithm 1).

    z' = sigma * z + (1 - sigma) * m, sigma = sigmoid(s), with (m, s) of the network at z; s starts
    at 2 or so, which keeps most of z.
    """

    weights: Any

    def forward(self, z: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
        """z' [..., L] and log |det dz'/dz| [...]."""
        m, s = jnp.moveaxis(network(self.weights, z, context), -1, 0)
        sigma = jax.nn.sigmoid(s + 2.0)
        return sigma * z + (1.0 - sigma) * m, jax.nn.log_sigmoid(s + 2.0).sum(-1)

"""A model's weights: initial values, how a model is bound to them, how they fit other sizes."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from vae.probability import noise

if TYPE_CHECKING:
    from vae.models.base import Model


def initialise(model: "Model", shape: tuple[int, ...], seed: jax.Array | int = 0) -> Any:
    """Initial parameters for examples of `shape`, a pure function of the seed."""
    init_key, draw_key = jax.random.split(noise.key_for(seed, "init"))
    return model.init(init_key, jnp.zeros((1, *shape), jnp.float32), draw_key[None])["params"]


def variables(
    model: "Model",
    params: Any,
    latent_size: jax.Array | int | None = None,
    context: jax.Array | None = None,
) -> Any:
    """What `model.bind` takes: parameters, a mask where only some latents are to count, a context.

    Args:
      context: [B, C], of a conditional model.
      latent_size: how many; may be traced, so that one compiled program serves many sizes.
    """
    bound = {"params": params}
    if latent_size is not None:
        mask = (np.arange(model.latent_size) < latent_size).astype(np.float32)
        bound["latents"] = {"mask": mask}
    return bound if context is None else given(bound, context)


def given(variables: Any, context: jax.Array) -> Any:
    """The same variables with another context [B, C]."""
    return {**variables, "context": {"c": context}}


def fit(tree: Any, like: Any) -> Any:
    """Cuts every array, or fills it up with zeros, at the end of each axis to the shape in `like`.

    So the weights of a model of L latents become the masked part of a larger model's, and back: the
    axes that grow with L count latents from first to last.
    """

    def to(array: Any, shaped: jax.Array) -> Any:
        if array.shape == shaped.shape:
            return array
        common = tuple(slice(min(pair)) for pair in zip(array.shape, shaped.shape, strict=True))
        result = np.zeros(shaped.shape, array.dtype)
        result[common] = np.asarray(array)[common]
        return result

    return jax.tree.map(to, tree, like)

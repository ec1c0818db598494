"""Autoencoders: z is the posterior's mean, and its variance is not learnt.

What they minimise is no bound. `elbo`, `distortion` and `rate` are those of the VAE that has the
same weights, by one draw of z, so the numbers of all objectives can be compared.
"""

import jax
import jax.numpy as jnp

from vae.models import Model
from vae.objectives import require
from vae.objectives.elbo import Hyper, Terms, infer
from vae.objectives.facts import states
from vae.probability import noise

__all__ = ["autoencoder", "rae"]

RECONSTRUCTION = {"reconstruction": "Reconstruction at $E_q[z]$"}


def mean_terms(model: Model, x: jax.Array, keys: jax.Array) -> tuple[jax.Array, Terms]:
    """z = E_q[z] [B, L], and the terms of the bound with reconstruction = -log p(x|z) at that z."""
    q, _, terms = infer(model, x, keys)
    theta = model.theta(q.mean, x, noise.fold(noise.fold(keys, 0), 2))
    return q.mean, terms | {"reconstruction": -model.log_likelihood(theta, x)}


@states(points=True, terms=RECONSTRUCTION)
def autoencoder(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """reconstruction = -log p(x|z) at z = E_q[z]: the baseline without a penalty on z."""
    _, terms = mean_terms(model, x, keys)
    return {"loss": terms["reconstruction"], **terms}


@states(
    points=True,
    terms=RECONSTRUCTION
    | {"half_square": ("$|z|^2/2$", ""), "decoder_weights": ("Decoder's squared weights", "")},
)
def rae(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """reconstruction + `beta` * |z|^2 / 2 + `decoder_penalty` * |W|^2 (Ghosh et al. 2020, section
    3).

    RAE-L2 of the paper; W are the decoder's kernels, its biases are free.
    """
    require.one_layer("rae", model)
    z, terms = mean_terms(model, x, keys)
    kernels = [w for w in jax.tree.leaves(model.variables["params"]["decoder"]) if w.ndim > 1]
    weights = sum(jnp.square(w).sum() for w in kernels)
    terms |= {
        "half_square": 0.5 * jnp.square(z).sum(-1),
        "decoder_weights": jnp.broadcast_to(weights, terms["rate"].shape),
    }
    loss = terms["reconstruction"] + hyper["beta"] * terms["half_square"]
    return {"loss": loss + hyper["decoder_penalty"] * terms["decoder_weights"], **terms}

"""The evidence lower bound and its two simplest relatives."""

from typing import Any

import jax
import jax.numpy as jnp

from vae.model import VAE
from vae.objectives import coupling
from vae.probability import noise

Terms = dict[str, jax.Array]
Hyper = dict[str, jax.Array]


def draw(model: VAE, x: jax.Array, keys: jax.Array) -> tuple[Any, jax.Array, jax.Array]:
    """q(z|x), one draw z [B, L] of it, and the likelihood's parameters theta at that z."""
    dropout_keys, posterior_keys = noise.fold(keys, 0), noise.fold(keys, 1)
    q = model.encode(x, noise.fold(dropout_keys, 0))
    z = q.sample(posterior_keys)[0]
    return q, z, model.decode(z, noise.fold(dropout_keys, 1))


def infer(model: VAE, x: jax.Array, keys: jax.Array) -> tuple[Any, jax.Array, Terms]:
    """q(z|x), one draw z [B, L] of it, and the terms of the bound by that draw."""
    q, z, theta = draw(model, x, keys)
    distortion = -model.log_likelihood(theta, x)
    rate = model.prior.kl(q).sum(-1)
    return q, z, {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}


def bound_terms(model: VAE, x: jax.Array, keys: jax.Array) -> Terms:
    """distortion = -E_q log p(x|z), by one draw of z; rate = KL(q(z|x) || p(z)); each [B] nats."""
    return infer(model, x, keys)[-1]


def elbo(
    model: VAE, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + beta * rate.

    beta = 1: Kingma & Welling 2014, eq. 3, negated; otherwise Higgins et al. 2017, eq. 4.
    """
    terms = bound_terms(model, x, keys)
    return {"loss": terms["distortion"] + hyper["beta"] * terms["rate"], **terms}


def capacity(
    model: VAE, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + gamma * |E_batch[rate] - C|, C in nats (Burgess et al. 2018, eq. 8).

    Couples the batch: the rate is averaged over the global batch before it meets C.
    """
    terms = bound_terms(model, x, keys)
    excess = jnp.abs(coupling.mean(terms["rate"], axis) - hyper["capacity"])
    return {"loss": terms["distortion"] + hyper["gamma"] * excess, **terms}

"""The evidence lower bound and its two simplest relatives."""

from typing import Any

import jax
import jax.numpy as jnp

from vae.models import Model
from vae.objectives import coupling
from vae.objectives.facts import states
from vae.probability import noise
from vae.protocols import Hyper, Joint, Terms

__all__ = ["capacity", "elbo"]


def draw(model: Model, x: jax.Array, keys: jax.Array, samples: int = 1) -> Joint:
    """`samples` draws of q(z|x) and the terms of the bounds at them. `keys` [B] carry all of an
    example's noise: dropout's is number 0, the draws' number 1."""
    dropout = noise.fold(keys, 0)
    q = model.encode(x, noise.fold(dropout, 0))
    return model.joint(q, x, noise.fold(keys, 1), 0, samples, noise.fold(dropout, 1))


def infer(model: Model, x: jax.Array, keys: jax.Array) -> tuple[Any, jax.Array, Terms]:
    """q(z|x), one draw z [B, L] of it, and the terms of the bound by that draw."""
    joint = draw(model, x, keys)
    distortion, rate = -joint.log_likelihood[0], joint.kl.sum(-1)
    terms = {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}
    return joint.q, joint.z[0], terms


def bound_terms(model: Model, x: jax.Array, keys: jax.Array) -> Terms:
    """distortion = -E_q log p(x|z), by one draw of z; rate = KL(q(z|x) || p(z)), by the same
    draw where it has no closed form; each [B] nats."""
    return infer(model, x, keys)[-1]


def elbo(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + `beta` * rate (Kingma & Welling 2014, eq. 3, negated; a beta other than 1:
    Higgins et al. 2017, eq. 4; in cycles, by `beta_schedule` and `beta_epochs`: Fu et al. 2019).

    """
    terms = bound_terms(model, x, keys)
    return {"loss": terms["distortion"] + hyper["beta"] * terms["rate"], **terms}


@states(coupled=True, terms={"capacity": "Capacity $C$"})
def capacity(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + `gamma` * |E_batch[rate] - `capacity`| (Burgess et al. 2018, eq. 8).

    Couples the batch: the rate is averaged over the global batch before it meets C.
    """
    terms = bound_terms(model, x, keys)
    excess = jnp.abs(coupling.mean(terms["rate"], axis) - hyper["capacity"])
    return {"loss": terms["distortion"] + hyper["gamma"] * excess, **terms}

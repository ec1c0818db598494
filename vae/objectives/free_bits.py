"""Free bits: a floor under the KL of each group of latents, so that it is worth using."""

import jax
import jax.numpy as jnp

from vae.models import Model
from vae.objectives import coupling
from vae.objectives.elbo import Hyper, Terms, draw
from vae.objectives.facts import states

__all__ = ["free_bits", "free_bits_per_example"]


def grouped(values: jax.Array, group_size: int) -> jax.Array:
    """[..., L] summed over groups of consecutive latents: [..., G]; the last may be smaller."""
    missing = -values.shape[-1] % group_size
    values = jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])
    return values.reshape(*values.shape[:-1], -1, group_size).sum(-1)


def parts(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, group_size: int
) -> tuple[jax.Array, jax.Array, Terms]:
    """The KL of each group [B, G], its floor [G], and the ELBO's terms [B]."""
    joint = draw(model, x, keys)
    kl = joint.kl  # [B, L], [B, layers], or [B, 1] where it is one number for all latents
    distortion, rate = -joint.log_likelihood[0], kl.sum(-1)
    mask = jnp.ones(kl.shape[-1]) if model.mask is None else model.mask
    # Masked latents have no KL, and a group of nothing but them has no floor either.
    floor = jnp.where(grouped(mask, group_size) > 0, hyper["free_bits"], 0.0)
    terms = {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}
    return grouped(kl, group_size), floor, terms


@states(coupled=True)
def free_bits(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    group_size: int,
) -> Terms:
    """distortion + sum over groups of max(`free_bits`, E_batch[KL of the group]) (Kingma et al.
    2016, eq. 15, negated).

    A group is `group_size` consecutive latents, or layers where there are several. Couples the
    batch: a group's KL is averaged over the global batch before it meets the floor. Where the KL
    cannot be told latent by latent, all latents are one group.
    """
    kl, floor, terms = parts(model, x, keys, hyper, group_size)
    floored = jnp.maximum(floor, coupling.mean(kl, axis)).sum()
    return {"loss": terms["distortion"] + floored, **terms}


def free_bits_per_example(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    group_size: int,
) -> Terms:
    """distortion + sum over groups of max(`free_bits`, KL of the group), example by example: a
    common variant of `free_bits`, without its mean over the batch.

    """
    kl, floor, terms = parts(model, x, keys, hyper, group_size)
    return {"loss": terms["distortion"] + jnp.maximum(floor, kl).sum(-1), **terms}

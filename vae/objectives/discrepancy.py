"""Objectives with a discrepancy between the aggregate posterior q(z) and the prior p(z)."""

import jax
import jax.numpy as jnp

from vae.choices import choose
from vae.models import Model
from vae.objectives import coupling
from vae.objectives.elbo import Hyper, Terms, infer
from vae.objectives.facts import states
from vae.probability import noise

__all__ = ["info_vae", "wae"]

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def imq(squares: jax.Array, spread: jax.Array) -> jax.Array:
    """Inverse multiquadrics C / (C + d^2), summed over C = scale * spread for every scale
    (Tolstikhin et al. 2018, section 4, and the scales of its code)."""
    return jnp.asarray(sum(scale * spread / (scale * spread + squares) for scale in SCALES))


def rbf(squares: jax.Array, spread: jax.Array) -> jax.Array:
    """exp(-d^2 / spread): the Gaussian kernel whose variance is the number of latents."""
    return jnp.exp(-squares / spread)


KERNELS = {"imq": imq, "rbf": rbf}
MMD = {"mmd": ("Maximum mean discrepancy, squared", "")}


def squared_distances(left: jax.Array, right: jax.Array) -> jax.Array:
    """|left_i - right_j|^2 of left [A, L] and right [B, L]: [A, B]."""
    products = jnp.matmul(left, right.T, precision=jax.lax.Precision.HIGHEST)
    squares = jnp.square(left).sum(-1)[:, None] + jnp.square(right).sum(-1) - 2.0 * products
    return jnp.maximum(squares, 0.0)


def mmd(
    z: jax.Array, prior: jax.Array, latents: jax.Array | int, kernel: str, axis: str | None = None
) -> jax.Array:
    """Each example's share [B] of the squared maximum mean discrepancy of z and prior draws [B, L].

    Their mean over the global batch is the unbiased U-statistic (Tolstikhin et al. 2018, alg. 2),
    which may be negative. A kernel's unit of squared distance is 2 * latents, the mean between two
    standard normal draws.
    """
    k, spread = choose(KERNELS, kernel, "objective.kernel"), 2.0 * latents
    all_z, all_prior = coupling.gather(z, axis), coupling.gather(prior, axis)
    others = 1.0 - coupling.own_pairs(len(z), axis)
    within = k(squared_distances(z, all_z), spread) + k(squared_distances(prior, all_prior), spread)
    across = k(squared_distances(z, all_prior), spread)
    return (within * others).sum(1) / (len(all_z) - 1) - 2.0 * across.mean(1)


def mmd_terms(model: Model, x: jax.Array, keys: jax.Array, kernel: str, axis: str | None) -> Terms:
    """The terms of the bound and `mmd`, between one draw of q(z|x) and one of p(z) an example."""
    _, z, terms = infer(model, x, keys)
    prior = model.sample_prior(noise.fold(keys, 2))
    latents: jax.Array | int = z.shape[-1]
    if model.mask is not None:
        z, prior, latents = z * model.mask, prior * model.mask, model.mask.sum()
    return terms | {"mmd": mmd(z, prior, latents, kernel, axis)}


@states(examples=2, terms=MMD)
def info_vae(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    kernel: str,
) -> Terms:
    """distortion + (1 - `alpha`) rate + (`alpha` + `mmd` - 1) MMD, of kernel `kernel` (Zhao et al.
    2017, eq. 6, negated).

    Couples the batch: see `mmd`.
    """
    terms = mmd_terms(model, x, keys, kernel, axis)
    alpha, weight = hyper["alpha"], hyper["alpha"] + hyper["mmd"] - 1.0
    loss = terms["distortion"] + (1.0 - alpha) * terms["rate"] + weight * terms["mmd"]
    return {"loss": loss, **terms}


@states(examples=2, terms=MMD)
def wae(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    kernel: str,
) -> Terms:
    """distortion + `mmd` * MMD, of kernel `kernel` (Tolstikhin et al. 2018, eq. 4: WAE-MMD).

    The encoder is random: z is drawn from q(z|x). Couples the batch: see `mmd`.
    """
    terms = mmd_terms(model, x, keys, kernel, axis)
    return {"loss": terms["distortion"] + hyper["mmd"] * terms["mmd"], **terms}

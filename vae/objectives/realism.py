"""Reconstructions that look real: differences of features, and a critic of patches."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.models import Model
from vae.models.base import image_shape
from vae.models.codes import Codes
from vae.networks import critics
from vae.objectives import coupling
from vae.objectives.elbo import Hyper, Terms, draw
from vae.objectives.facts import states
from vae.objectives.gradients import frozen, gradient_only
from vae.objectives.quantised import penalised

__all__ = ["perceptual"]

MOST = 1e4  # bound on the adaptive weight (Esser et al. 2021)

Maps = Callable[[jax.Array], list[jax.Array]]  # images [B, H, W, C] -> features [B, ..., F] each


def patch_critic(*, critic_filters: tuple[int, ...]) -> nn.Module:
    """Of patches of images (Isola et al. 2017)."""
    return critics.patches(tuple(critic_filters))


@states(
    codebook=None,
    coupled=True,
    critic=patch_critic,
    distance="pixels",
    terms={
        "pixel": ("Pixel term", ""),
        "feature": ("Feature term", ""),
        "realism": ("Generator's loss", ""),
        "adaptive": ("Adaptive weight of the generator's loss", ""),
        "critic_loss": ("Critic's loss", ""),
    },
)
def perceptual(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    pixels: str,
    adversary: str,
    maps: Maps | None = None,
) -> Terms:
    """pixel + `beta` * rate + `feature` * feature + `adversarial` * w * realism, with a critic that
    the same step trains (Esser et al. 2021, eq. 5 to 7).

    pixel is the distortion, or l1 or l2 of the reconstruction E[x|z], summed (`pixels`). feature
    compares what `features` sees of x and of E[x|z]. realism = -D(E[x|z]) is the generator's side
    of the `adversary`, hinge or non_saturating, and D a critic of patches, trained on its own side
    with `r1` / 2 |dD/dx|^2 at the data (Mescheder et al. 2018); both begin after `critic_start`
    epochs. w is the ratio of the norms of the gradients of pixel and realism, at what the decoder
    gives. Of a model with codes the rate is their length, and its bottleneck's own losses are
    added. elbo, distortion and rate are the bound at beta = 1 as ever; the rest is no part of it.
    """
    joint = draw(model, x, keys)
    theta, q = joint.theta[0], joint.q
    distortion, rate = -joint.log_likelihood[0], joint.kl.sum(-1)
    images = x.reshape(len(x), *image_shape(x.shape[1:]))
    still, likelihood = frozen(model), model.likelihood

    def pixel(theta: jax.Array) -> jax.Array:
        if pixels == "likelihood":
            return -likelihood.log_prob(theta, images)
        apart = likelihood.mean(theta) - images
        size = jnp.abs(apart) if pixels == "l1" else jnp.square(apart)
        return size.reshape(len(x), -1).sum(-1)

    def realism(theta: jax.Array) -> jax.Array:
        return generator(adversary, still.judge_images(likelihood.mean(theta)))

    made = likelihood.mean(theta)
    terms = {
        "elbo": -(distortion + rate), "distortion": distortion, "rate": rate,
        "pixel": pixel(theta), "feature": apart_in(maps, made, images), "realism": realism(theta),
    }  # fmt: skip
    weight = ratio(slope(pixel, theta), slope(realism, theta), axis)
    terms["adaptive"] = jnp.broadcast_to(weight, rate.shape)
    terms["critic_loss"] = critic_loss(
        model, adversary, images, jax.lax.stop_gradient(made), hyper["r1"]
    )
    loss = terms["pixel"] + hyper["beta"] * rate + hyper["feature"] * terms["feature"]
    loss = loss + hyper["adversarial"] * weight * terms["realism"]
    if isinstance(q, Codes):
        loss = penalised(q, loss, hyper, axis)
    begun = jnp.where(hyper["adversarial"] > 0, 1.0, 0.0)
    return {"loss": loss + gradient_only(begun * terms["critic_loss"]), **terms}


def generator(adversary: str, logits: jax.Array) -> jax.Array:
    """The generator's side, from a critic's logits [B, ...] of what it made: [B]."""
    each = -logits if adversary == "hinge" else jax.nn.softplus(-logits)
    return each.reshape(len(each), -1).mean(-1)


def critic_loss(
    model: Model, adversary: str, real: jax.Array, made: jax.Array, r1: jax.Array
) -> jax.Array:
    """The critic's side of images [B, H, W, C], and the penalty on its gradient at real ones: [B].
    """
    module, variables = model.unbind()

    def judged(images: jax.Array) -> jax.Array:
        logits = module.apply(variables, images, method="judge_images")
        return jnp.asarray(logits).reshape(len(images), -1)

    logits, pull = jax.vjp(judged, real)
    (gradient,) = pull(jnp.full(logits.shape, 1.0 / logits.shape[1]))
    penalty = 0.5 * r1 * jnp.square(gradient).reshape(len(real), -1).sum(-1)
    if adversary == "hinge":
        each = 0.5 * (jax.nn.relu(1.0 - logits) + jax.nn.relu(1.0 + judged(made)))
    else:
        each = 0.5 * (jax.nn.softplus(-logits) + jax.nn.softplus(judged(made)))
    return each.mean(-1) + penalty


def apart_in(maps: Maps | None, made: jax.Array, real: jax.Array) -> jax.Array:
    """The squared distance of features [B, ..., F] that are put on the unit sphere, its mean over
    places, summed over the maps: [B] (Zhang et al. 2018, eq. 1, without its learnt weights)."""
    total = jnp.zeros(len(real))
    if maps is None:
        return total
    for of_made, of_real in zip(maps(made), maps(real), strict=True):
        squared = jnp.square(normalised(of_made) - normalised(of_real)).sum(-1)
        total = total + squared.reshape(len(real), -1).mean(-1)
    return total


def normalised(features: jax.Array) -> jax.Array:
    """Features [..., F] of length 1."""
    return features * jax.lax.rsqrt(jnp.square(features).sum(-1, keepdims=True) + 1e-10)


def slope(term: Callable[[jax.Array], jax.Array], theta: jax.Array) -> jax.Array:
    """The squared norm of a term's gradient, at each example's theta: [B]."""
    value, pull = jax.vjp(term, theta)
    (gradient,) = pull(jnp.ones_like(value))
    return jnp.square(gradient).reshape(len(theta), -1).sum(-1)


def ratio(above: jax.Array, below: jax.Array, axis: str | None) -> jax.Array:
    """Of two gradients' norms over the global batch, from squared norms [B]; a constant."""
    above, below = (jnp.sqrt(coupling.mean(squares, axis)) for squares in (above, below))
    return jax.lax.stop_gradient(jnp.minimum(above / (below + 1e-4), MOST))

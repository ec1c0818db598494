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
from vae.objectives.gradients import gradient_only
from vae.objectives.quantised import penalised

__all__ = ["perceptual"]

MOST = 1e4  # bound on the adaptive weight, of means over pixels (Esser et al. 2021)

Maps = Callable[[jax.Array], list[jax.Array]]  # images [B, H, W, C] -> features [B, ..., F] each
Judge = Callable[..., jax.Array]


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
    """pixel + `beta` * rate + P (`feature` * feature + `adversarial` * w * realism), with a critic
    that the same step trains (Esser et al. 2021, eq. 5 to 7).

    P is how many numbers x has: pixel and rate are of them all, feature and realism are means.
    pixel is the distortion, or l1 or l2 of the reconstruction E[x|z], summed (`pixels`). feature
    compares what `features` sees of x and of E[x|z]. realism = -D(E[x|z]) is the generator's side
    of the `adversary`, hinge or non_saturating, and D a critic of patches, trained on its own side
    with `r1` / 2 |dD/dx|^2 at the data (Mescheder et al. 2018); both begin after `critic_start`
    epochs, and are 0 before. w is the ratio of the norms of the gradients of pixel / P and realism,
    at what the decoder gives. Of a model with codes the rate is their length, and its bottleneck's
    own losses are added. elbo, distortion and rate are the bound at beta = 1 as ever; the rest is
    no part of it.
    """
    joint = draw(model, x, keys)
    theta, q = joint.theta[0], joint.q
    distortion, rate = -joint.log_likelihood[0], joint.kl.sum(-1)
    images = x.reshape(len(x), *image_shape(x.shape[1:]))
    likelihood, size = model.likelihood, images[0].size

    def pixel(theta: jax.Array) -> jax.Array:
        if pixels == "likelihood":
            return -likelihood.log_prob(theta, images)
        error = likelihood.mean(theta) - images
        each = jnp.abs(error) if pixels == "l1" else jnp.square(error)
        return each.reshape(len(x), -1).sum(-1)

    judge, begun, r1 = judge_of(model), hyper["adversarial"] > 0, hyper["r1"]

    def apart(theta: jax.Array) -> jax.Array:
        return apart_in(maps, likelihood.mean(theta), images)

    def sides(theta: jax.Array) -> tuple[jax.Array, ...]:
        def realism(theta: jax.Array) -> jax.Array:
            return generator(adversary, judge(likelihood.mean(theta), still=True))

        learnt = critic_loss(judge, adversary, images, likelihood.mean(theta), r1)
        return realism(theta), slope(realism, theta), learnt

    # What has no weight, or has not begun, costs nothing.
    none = 0.0 * rate
    feature = jax.lax.cond(hyper["feature"] > 0, apart, lambda theta: none, theta)
    realism, steep, learnt = jax.lax.cond(begun, sides, lambda theta: (none,) * 3, theta)
    weight = ratio(slope(pixel, theta) / size**2, steep, axis)
    terms = {
        "elbo": -(distortion + rate), "distortion": distortion, "rate": rate,
        "pixel": pixel(theta), "feature": feature, "realism": realism,
        "adaptive": jnp.broadcast_to(jnp.where(begun, weight, 0.0), rate.shape),
        "critic_loss": learnt,
    }  # fmt: skip
    extra = hyper["feature"] * feature + hyper["adversarial"] * weight * realism
    loss = terms["pixel"] + hyper["beta"] * rate + size * extra
    if isinstance(q, Codes):
        loss = penalised(q, loss, hyper, axis)
    return {"loss": loss + gradient_only(learnt), **terms}


def judge_of(model: Model) -> Judge:
    """The model's critic as a function of images [B, H, W, C]: logits [B, patches]; `still`:
    without a gradient to its weights."""
    module, variables = model.unbind()

    def judge(images: jax.Array, still: bool = False) -> jax.Array:
        known = jax.lax.stop_gradient(variables) if still else variables
        logits = module.apply(known, images, method="judge_images")
        return jnp.asarray(logits).reshape(len(images), -1)

    return judge


def generator(adversary: str, logits: jax.Array) -> jax.Array:
    """The generator's side, from a critic's logits [B, patches] of what it made: [B]."""
    return (-logits if adversary == "hinge" else jax.nn.softplus(-logits)).mean(-1)


def critic_loss(
    judge: Judge, adversary: str, real: jax.Array, made: jax.Array, r1: jax.Array
) -> jax.Array:
    """The critic's side of images [B, H, W, C], and the penalty on its gradient at real ones: [B].
    """

    def steepness(real: jax.Array) -> jax.Array:
        return slope(lambda images: judge(images).mean(-1), real)

    def none(real: jax.Array) -> jax.Array:
        return 0.0 * real.reshape(len(real), -1)[:, 0]

    penalty = jax.lax.cond(r1 > 0, steepness, none, real)
    of_real, of_made = judge(real), judge(jax.lax.stop_gradient(made))
    if adversary == "hinge":
        each = 0.5 * (jax.nn.relu(1.0 - of_real) + jax.nn.relu(1.0 + of_made))
    else:
        each = 0.5 * (jax.nn.softplus(-of_real) + jax.nn.softplus(of_made))
    return each.mean(-1) + 0.5 * r1 * penalty


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

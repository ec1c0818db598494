"""FactorVAE: a critic that tells the aggregate posterior from the product of its marginals."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.models import Model
from vae.networks import critics
from vae.objectives import coupling
from vae.objectives.elbo import Hyper, Terms, infer
from vae.objectives.facts import states
from vae.objectives.gradients import frozen, gradient_only
from vae.probability import noise

__all__ = ["factor_vae"]


def permuted(z: jax.Array, keys: jax.Array, axis: str | None) -> jax.Array:
    """z [B, L] with every latent shuffled over the global batch, independently of the others."""
    order = jax.vmap(lambda key: jax.random.uniform(key, z.shape[1:]))(keys)
    order = jnp.argsort(coupling.gather(order, axis), axis=0)  # a random permutation a latent
    shuffled = jnp.take_along_axis(coupling.gather(z, axis), order, axis=0)
    return coupling.own(shuffled, len(z), axis)


def discriminator(*, critic_hidden: tuple[int, ...]) -> nn.Module:
    """Dense layers of these widths (Kim & Mnih 2018, appendix B)."""
    return critics.mlp(tuple(critic_hidden))


@states(
    examples=2,
    latents=2,
    critic=discriminator,
    terms={"tc": "Total correlation", "critic_loss": "Critic's loss"},
)
def factor_vae(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + rate + `tc` * TC, by a critic that the same step trains (Kim & Mnih 2018, eq. 2
    and 5).

    tc = log D(z) / (1 - D(z)) is the logit of the critic D, which the same step trains on
    critic_loss = -1/2 [log D(z) + log(1 - D(z'))], z' a second draw of the batch, permuted (the
    paper takes it from a second batch, algorithm 2). The model learns from the loss and the critic
    from critic_loss alone; the value of `loss` is the model's. tc is the total correlation only as
    far as the critic is optimal. Couples the batch: latents are permuted over the global batch.
    """
    q, z, terms = infer(model, x, keys)
    other = permuted(q.sample(noise.fold(keys, 1), 1)[0], noise.fold(keys, 2), axis)
    joint, independent = (model.judge(jax.lax.stop_gradient(codes)) for codes in (z, other))
    critic_loss = 0.5 * (jax.nn.softplus(-joint) + jax.nn.softplus(independent))
    terms |= {"tc": frozen(model).judge(z), "critic_loss": critic_loss}
    loss = terms["distortion"] + terms["rate"] + hyper["tc"] * terms["tc"]
    return {"loss": loss + gradient_only(critic_loss), **terms}

"""The objective of the vector-quantised VAE."""

import jax
import jax.numpy as jnp

from vae.models import Model
from vae.models.codes import Codes, bit_entropy
from vae.models.vqvae import averages, vqvae
from vae.objectives import coupling, require
from vae.objectives.elbo import Hyper, Terms, draw
from vae.objectives.facts import states
from vae.objectives.gradients import gradient_only
from vae.probability import noise

__all__ = ["vq"]


@states(
    codebook=True,
    terms={
        "commitment": ("Commitment $|z_e - e|^2$", ""),
        "perplexity": ("Perplexity of the codes in a batch", ""),
    },
)
def vq(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + rate + `commitment` |z_e - sg[e]|^2 + |sg[z_e] - e|^2 (van den Oord et al. 2017,
    eq. 3); the rate, -log p(codes), trains the prior alone.

    z_e is what the encoder gives and e the code next to it. With codes as running means the last
    term is absent. Every code moves to the mean of what was quantised to it (appendix A.1), with
    codebook_decay; a code with fewer than `revive` vectors a batch is put on a random vector of the
    batch. These means are over the global batch, so they couple it.

    Raises:
      UserError: the model has no codebook.
    """
    require.parts(vq, model)
    joint = draw(model, x, keys)
    q = joint.q
    distortion, rate = -joint.log_likelihood[0], joint.kl.sum(-1)
    used = coupling.mean(shares(q.indices, model.codes), axis)
    entropy = -(used * jnp.log(jnp.maximum(used, 1e-30))).sum()
    terms = {
        "elbo": -(distortion + rate),
        "distortion": distortion,
        "rate": rate,
        "commitment": jnp.broadcast_to(q.commitment, rate.shape),
        "perplexity": jnp.broadcast_to(jnp.exp(entropy), rate.shape),
    }
    loss = penalised(q, distortion + rate, hyper, axis)
    if isinstance(model, vqvae) and model.codebook_update == "ema":
        way = distance(model.averages, *averaged(model, q, keys, hyper, axis))
        loss = loss + gradient_only(way)
    return {"loss": loss, **terms}


def penalised(q: Codes, loss: jax.Array, hyper: Hyper, axis: str | None) -> jax.Array:
    """A loss [B] with what else teaches encoder and codes: `commitment`, the codes' pull, and, of
    codes of bits, `code_entropy`: how unsure they are, less how evenly the bits are used.

    The latter is the entropy of each bit's share of the global batch (Yu et al. 2024, eq. 5, of
    bits by themselves), in nats like the former, at each position.
    """
    loss = loss + hyper["commitment"] * q.commitment + q.pull
    if q.chances is None:
        return loss
    even = bit_entropy(coupling.mean(q.chances, axis)).sum()
    return loss + hyper["code_entropy"] * (q.entropy - q.raw.shape[1] * even)


def shares(indices: jax.Array, codes: int) -> jax.Array:
    """Of the positions of each example, the share that has each code: [B, ...] -> [B, codes]."""
    flat = indices.reshape(len(indices), -1)
    counts = jax.vmap(lambda i: jax.ops.segment_sum(jnp.ones(i.shape), i, codes))(flat)
    return counts / flat.shape[1]


def averaged(
    model: Model, q: Codes, keys: jax.Array, hyper: Hyper, axis: str | None
) -> tuple[jax.Array, jax.Array]:
    """The codebook's counts [K] and sums [K, D] after this batch."""
    now = model.averages
    raw = jax.lax.stop_gradient(coupling.gather(q.raw, axis)).reshape(-1, model.code_size)
    indices = coupling.gather(q.indices, axis).reshape(-1)
    decay = hyper["codebook_decay"]
    fresh = jax.ops.segment_sum(jnp.ones(len(raw)), indices, model.codes)
    counts = decay * now.counts + (1.0 - decay) * fresh
    fresh = jax.ops.segment_sum(raw, indices, model.codes)
    sums = decay * now.sums + (1.0 - decay) * fresh
    order = jax.vmap(lambda key: jax.random.uniform(key, q.indices.shape[1:]))(
        noise.fold(keys, 3)
    )
    order = jnp.argsort(coupling.gather(order, axis).reshape(-1))  # a random one of the batch each
    random = raw[jnp.resize(order, (model.codes,))]
    dead = counts < hyper["revive"]
    return jnp.where(dead, 1.0, counts), jnp.where(dead[:, None], random, sums)


def distance(now: averages, counts: jax.Array, sums: jax.Array) -> jax.Array:
    """Half the squared distance of the averages from their targets; its gradient is the whole way
    there."""
    to_counts, to_sums = jax.lax.stop_gradient((counts, sums))
    return 0.5 * (jnp.square(now.counts - to_counts).sum() + jnp.square(now.sums - to_sums).sum())

"""Objectives of a conditional model that is told the class of some examples only.

The context is the class, one-hot; a context of zeros says that the class is not known.
"""

import jax
import jax.numpy as jnp

from vae.models import Model, given
from vae.objectives import require
from vae.objectives.elbo import Hyper, Terms, infer
from vae.objectives.facts import states
from vae.probability import noise

__all__ = ["m2", "supervised"]

CROSS_ENTROPY = {"cross_entropy": "Cross-entropy of known classes"}


def classified(
    model: Model, x: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array, Terms]:
    """log q(y|x) [B, C], whether the class is known [B], and the cross-entropy where it is."""
    log_q = model.classify(x, noise.fold(noise.fold(keys, 0), 2))
    known = model.context.sum(-1)
    return log_q, known, {"cross_entropy": -(model.context * log_q).sum(-1)}


@states(
    classifier=True,
    terms=CROSS_ENTROPY | {"class_rate": "Rate of the class $\\mathrm{KL}(q(y|x)\\,\\|\\,p(y))$"},
)
def m2(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """`labelled` * L(x, y) + `classification` * -log q(y|x) where the class y is known, else
    sum_y q(y|x) (L(x, y) + log q(y|x)) (Kingma et al. 2014, eq. 6 to 9: M2).

    L(x, y) = -log p(x|y, z) + KL - log p(y), one draw of z, p(y) uniform. An example of known class
    has the loss labelled * L(x, y) + classification * -log q(y|x); of unknown class,
    U(x) = sum_y q(y|x) (L(x, y) + log q(y|x)), summed over all classes. `labelled` and
    `classification` are of `hyper`; the latter is the paper's alpha, for each labelled example.
    The logged elbo is -L where the class is known and -U elsewhere.
    """
    require.parts(m2, model)
    log_q, known, terms = classified(model, x, keys)
    classes = log_q.shape[-1]
    module, variables = model.unbind()

    def bound(context: jax.Array) -> Terms:
        rows = jnp.broadcast_to(context, (len(x), classes))
        return infer(module.bind(given(variables, rows)), x, keys)[-1]

    each = jax.vmap(bound, out_axes=1)(jnp.eye(classes))  # [B, C] of every term
    q = jnp.where(known[:, None] > 0, model.context, jnp.exp(log_q))  # q(y|x), or what is known
    parts = {name: (q * each[name]).sum(-1) for name in ("distortion", "rate")}
    # log q(y|x) - log p(y); what is known has q(y|x) = 1.
    parts["class_rate"] = jnp.where(known > 0, 0.0, (q * log_q).sum(-1)) + jnp.log(float(classes))
    negative = parts["distortion"] + parts["rate"] + parts["class_rate"]
    weight = jnp.where(known > 0, hyper["labelled"], 1.0)
    loss = weight * negative + hyper["classification"] * terms["cross_entropy"]
    return {"loss": loss, "elbo": -negative, **parts, **terms}


@states(classifier=True, terms=CROSS_ENTROPY)
def supervised(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """-log q(y|x) of the examples whose class is known: the baseline of `m2`, with the same
    classifier.

    elbo, distortion and rate are of the rest of the model, which is not trained.
    """
    require.parts(supervised, model)
    _, _, terms = classified(model, x, keys)
    return {"loss": terms["cross_entropy"], **infer(model, x, keys)[-1], **terms}

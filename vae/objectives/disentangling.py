"""Objectives that push the aggregate posterior q(z) = E_data[q(z|x)] to independent latents."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vae.choices import choose
from vae.models import Model
from vae.objectives import coupling, require
from vae.objectives.elbo import Hyper, Terms, infer
from vae.objectives.facts import states
from vae.probability import gaussian

__all__ = ["beta_tcvae", "dip_i", "dip_ii"]


def stratified(own: jax.Array, num_examples: jax.Array) -> jax.Array:
    """Log weights of minibatch stratified sampling (Chen et al. 2018, eq. S6).

    With the example itself and M others in the batch the paper gives 1/N to the example itself, 1/M
    to M - 1 of the others and (N - M)/(NM) to the last. Which of them is last is arbitrary; here
    the weights are averaged over that choice, (N - 1)/(NM) to each of the M. The expectation is the
    same, the variance is smaller, and a batch that is the whole data set gives q(z) itself.
    """
    others = (num_examples - 1.0) / (num_examples * (own.shape[1] - 1))
    return jnp.log(jnp.where(own > 0, 1.0 / num_examples, others))


def weighted(own: jax.Array, num_examples: jax.Array) -> jax.Array:
    """Log weights 1/(NM) of minibatch weighted sampling, M the batch (Chen et al. 2018, eq. S4).

    A lower bound of log q(z): where posteriors overlap it is log N too low, and the total
    correlation of L latents (L - 1) log N too high. Good for its gradient alone.
    """
    return -jnp.log(num_examples * own.shape[1]) * jnp.ones_like(own)


def exact(own: jax.Array, num_examples: jax.Array) -> jax.Array:
    """Log weights 1/M: the batch is the whole data set, and q(z) is the mean over it."""
    del num_examples
    return jnp.full_like(own, -jnp.log(own.shape[1]))


Estimator = Callable[[jax.Array, jax.Array], jax.Array]
ESTIMATORS: dict[str, Estimator] = {"exact": exact, "stratified": stratified, "weighted": weighted}


@states(
    examples=2,
    latents=2,
    terms={
        "mi": "Mutual information",
        "tc": "Total correlation",
        "dimension_kl": "Dimension-wise KL",
    },
)
def beta_tcvae(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    estimator: str,
) -> Terms:
    """distortion + mi + `beta` * tc + dimension_kl, tc by `estimator` (Chen et al. 2018, eq. 4 with
    alpha = gamma = 1).

    The last three, by the same draw as the distortion, are the index-code mutual information, the
    total correlation and the dimension-wise KL; they add up to log q(z|x) - log p(z).
    Couples the batch: log q(z) and each latent's log q(z_l) are estimated from the global batch.

    Args:
      estimator: of q(z) in the loss, a name in ESTIMATORS. What is logged as mi, tc and
        dimension_kl is the stratified estimate where the loss takes the weighted one.
    """
    q, z, terms = infer(model, x, keys)
    require.diagonal("beta_tcvae", model, q)
    mu, logvar = (coupling.gather(a, axis) for a in (q.mu, q.logvar))
    mask = 1.0 if model.mask is None else model.mask
    pairs = gaussian.log_prob(z[:, None], mu, logvar)  # [B, B, L]: log q(z_l of row | x of column)
    own = gaussian.log_prob(z, q.mu, q.logvar)  # [B, L]
    conditional = (own * mask).sum(-1)
    prior = model.log_prior(z) - (own * (1.0 - mask)).sum(-1)  # masked out latents have q = p

    def decompose(weigh: Estimator) -> Terms:
        weights = weigh(coupling.own_pairs(len(x), axis), hyper["num_examples"])
        joint = jax.nn.logsumexp((pairs * mask).sum(-1) + weights, axis=1)
        marginals = (jax.nn.logsumexp(pairs + weights[..., None], axis=1) * mask).sum(-1)
        return {
            "mi": conditional - joint,
            "tc": joint - marginals,
            "dimension_kl": marginals - prior,
        }

    parts = decompose(choose(ESTIMATORS, estimator, "objective.estimator"))
    terms |= decompose(stratified) if estimator == "weighted" else parts
    penalty = parts["mi"] + hyper["beta"] * parts["tc"] + parts["dimension_kl"]
    return {"loss": terms["distortion"] + penalty, **terms}


COVARIANCE = {
    "off_diagonal": ("Covariance off the diagonal, squared", ""),
    "diagonal": ("Covariance on the diagonal less 1, squared", ""),
}


def covariance(values: jax.Array, axis: str | None) -> jax.Array:
    """Covariance [L, L] of values [B, L] over the global batch, divided by its size."""
    centred = values - coupling.mean(values, axis)
    return coupling.mean(centred[:, :, None] * centred[:, None], axis)


def penalised(model: Model, terms: Terms, covariance: jax.Array, hyper: Hyper) -> Terms:
    """distortion + rate + the squared distance of a covariance [L, L] from the identity, its
    entries weighed by hyper["off_diagonal"] and hyper["diagonal"]."""
    size = len(covariance)
    diagonal = jnp.square(jnp.diagonal(covariance) - 1.0)
    if model.mask is not None:
        diagonal = diagonal * model.mask
    squares = jnp.square(covariance) * (1.0 - jnp.eye(size))
    like = terms["rate"]
    terms = terms | {
        "off_diagonal": jnp.broadcast_to(squares.sum(), like.shape),
        "diagonal": jnp.broadcast_to(diagonal.sum(), like.shape),
    }
    penalty = hyper["off_diagonal"] * terms["off_diagonal"] + hyper["diagonal"] * terms["diagonal"]
    return {"loss": terms["distortion"] + terms["rate"] + penalty, **terms}


@states(examples=2, terms=COVARIANCE)
def dip_i(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + rate + the distance of Cov[mu] from the identity, by `off_diagonal` and
    `diagonal` (Kumar et al. 2018, eq. 6: DIP-VAE-I).

    Couples the batch: the covariance is over the global batch.
    """
    q, _, terms = infer(model, x, keys)
    require.diagonal("dip_i", model, q)
    return penalised(model, terms, covariance(q.mu, axis), hyper)


@states(examples=2, terms=COVARIANCE)
def dip_ii(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """`dip_i` with Cov[z] = Cov[mu] + E[Sigma] in place of Cov[mu] (Kumar et al. 2018, eq. 7:
    DIP-VAE-II).

    Couples the batch, as `dip_i`.
    """
    q, _, terms = infer(model, x, keys)
    require.diagonal("dip_ii", model, q)
    variances = coupling.mean(jnp.exp(q.logvar), axis)
    return penalised(model, terms, covariance(q.mu, axis) + jnp.diag(variances), hyper)

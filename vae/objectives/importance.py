"""Importance-weighted bounds, and estimators of their gradients.

All are functions of log w_k = log p(x|z_k) + log p(z_k) - log q(z_k|x), z_k ~ q(z|x): [K, B]. The
logged elbo is the mean of log w over the K draws, and distortion and rate are its two parts.

The inference network (encoder and posterior) is reached in two ways: through the draws z and
through the parameters of q in log q(z|x). All else, the decoder, the likelihood and the prior,
counts as the generative model.
"""

from typing import Any

import jax
import jax.numpy as jnp

from vae.models import Model
from vae.objectives import require
from vae.objectives.elbo import Hyper, Terms, draw
from vae.objectives.gradients import frozen, gradient_only, scale_gradient
from vae.probability import noise

__all__ = ["ciwae", "dreg", "iwae", "miwae", "piwae", "renyi", "stl"]


def sampled_weights(
    model: Model, x: jax.Array, keys: jax.Array, samples: int
) -> tuple[jax.Array, Terms]:
    """log w [K, B] of fresh draws, differentiable by all parameters of q, and the ELBO and its
    parts, averaged over the K draws."""
    joint = draw(model, x, keys, samples)
    return _weights(joint.log_likelihood, joint.log_prior, joint.log_q)


def _weights(
    log_p_x: jax.Array, log_prior: jax.Array, log_q: jax.Array
) -> tuple[jax.Array, Terms]:
    divergence = log_q - log_prior
    log_w = log_p_x - divergence
    terms = {"elbo": log_w, "distortion": -log_p_x, "rate": divergence}
    return log_w, {name: term.mean(0) for name, term in terms.items()}


def given_draws(
    model: Model, x: jax.Array, keys: jax.Array, samples: int
) -> tuple[Any, jax.Array, jax.Array]:
    """q(z|x), `samples` reparameterised draws z [K, B, L] from it, and their log q(z|x) [K, B]."""
    q = model.encode(x, noise.fold(noise.fold(keys, 0), 0))
    return q, *q.sample_and_log_prob(noise.fold(keys, 1), 0, samples)


def log_weights(
    model: Model, x: jax.Array, z: jax.Array, log_q: jax.Array, keys: jax.Array
) -> tuple[jax.Array, Terms]:
    """As `sampled_weights`, of given draws z [K, B, L] with log q(z|x) [K, B]."""
    theta = model.theta(z, x, noise.fold(noise.fold(keys, 0), 1))
    return _weights(model.log_likelihood(theta, x), model.log_prior(z), log_q)


def log_mean_exp(log_w: jax.Array, axis: int = 0) -> jax.Array:
    """log of the mean of w over `axis`, from log w."""
    return jax.nn.logsumexp(log_w, axis=axis) - jnp.log(float(log_w.shape[axis]))


def iwae(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    samples: int,
) -> Terms:
    """-log 1/K sum_k w_k, K = `samples` (Burda et al. 2015, eq. 8, negated)."""
    log_w, terms = sampled_weights(model, x, keys, samples)
    return {"loss": -log_mean_exp(log_w), **terms}


def miwae(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    samples: int,
    batches: int,
) -> Terms:
    """The mean of M = `batches` IWAE losses of K = `samples` draws each (Rainforth et al. 2018,
    section 6: MIWAE).

    M = 1 is IWAE, K = 1 the ELBO by M draws.
    """
    log_w, terms = sampled_weights(model, x, keys, batches * samples)
    log_w = log_w.reshape(batches, samples, -1)
    return {"loss": -log_mean_exp(log_w, axis=1).mean(0), **terms}


def ciwae(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    samples: int,
) -> Terms:
    """-(`mix` * ELBO + (1 - `mix`) * IWAE), both by the same K = `samples` draws (Rainforth et al.
    2018, section 6: CIWAE).

    The paper calls `mix` beta.
    """
    log_w, terms = sampled_weights(model, x, keys, samples)
    mix = hyper["mix"]
    return {"loss": -(mix * log_w.mean(0) + (1.0 - mix) * log_mean_exp(log_w)), **terms}


def piwae(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    samples: int,
    batches: int,
) -> Terms:
    """IWAE of M K draws for the generative model, MIWAE(M, K) for the inference network, M =
    `batches`, K = `samples` (Rainforth et al. 2018, section 6: PIWAE).

    The value is that of IWAE. The gradient is that of no single function.
    """
    _, z, log_q = given_draws(model, x, keys, batches * samples)
    # The generative model's part: as if the draws and the density that they came from were given.
    log_w, terms = log_weights(model, x, *jax.lax.stop_gradient((z, log_q)), keys)
    loss = -log_mean_exp(log_w)
    # The inference network's: the same numbers (compiled code computes them once, and goes back
    # through the decoder twice: the draws' weights differ), with the weights of all else held.
    log_w, _ = log_weights(frozen(model), x, z, log_q, keys)
    inference = -log_mean_exp(log_w.reshape(batches, samples, -1), axis=1).mean(0)
    return {"loss": loss + gradient_only(inference), **terms}


def stl(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    samples: int,
) -> Terms:
    """IWAE's value, K = `samples`, with the path derivative alone: sticking the landing (Roeder et
    al. 2017); `samples=1` for the plain bound.

    Only the path derivative of log w, through z, reaches the inference network. The score, through
    q's parameters in log q(z|x), is left out. For K = 1, the ELBO, its mean is 0, so the gradient
    is unbiased, and free of noise where q(z|x) = p(z|x). For K > 1 the inference network's gradient
    is biased (Tucker et al. 2019); `dreg` has one that is not.
    """
    q, z, _ = given_draws(model, x, keys, samples)
    require.density("stl", model, q)
    # q's parameters are stopped in the density alone: z still carries a gradient to them.
    log_q = jax.lax.stop_gradient(q).log_prob(z)
    log_w, terms = log_weights(model, x, z, log_q, keys)
    return {"loss": -log_mean_exp(log_w), **terms}


def dreg(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    samples: int,
) -> Terms:
    """IWAE's value, K = `samples`, with the doubly reparameterised gradient (Tucker et al. 2019:
    IWAE-DReG); `samples=1` for the plain bound, where it is `stl`.

    With normalised weights v_k = w_k / sum_j w_j the inference network gets
    sum_k v_k^2 dlog w_k/dz_k dz_k/dphi, unbiased for IWAE, and the generative model what it gets
    from IWAE, sum_k v_k dlog w_k/dtheta.
    """
    q, z, _ = given_draws(model, x, keys, samples)
    require.density("dreg", model, q)
    q = jax.lax.stop_gradient(q)  # the score goes: its mean is in the square of the weights
    given, _ = log_weights(model, x, z, q.log_prob(z), keys)
    weights = jax.lax.stop_gradient(jax.nn.softmax(given, axis=0))
    # The loss below weighs dlog w_k by v_k; on the way through z_k to the inference network, and
    # only there, it meets v_k once more. Compiled code computes both passes' numbers once.
    z = scale_gradient(z, weights[..., None])
    log_w, terms = log_weights(model, x, z, q.log_prob(z), keys)
    return {"loss": -log_mean_exp(log_w), **terms}


def renyi_bound(log_w: jax.Array, order: jax.Array) -> jax.Array:
    """1/(1 - alpha) log 1/K sum_k w_k^(1 - alpha), [B], with its limit at alpha = 1.

    The mean m of log w is taken out first: m + 1/s log mean exp(s (log w - m)), s = 1 - alpha.
    Where all the exponents are small the logarithm and the exponential are those about 1 and 0,
    so that rounding stays in proportion to s and the division by s does not blow it up.
    """
    power = 1.0 - order
    mean = log_w.mean(0)
    exponent = power * (log_w - mean)
    small = jnp.abs(exponent).max(0) < 1.0
    near = jnp.log1p(jnp.expm1(jnp.where(small, exponent, 0.0)).mean(0))
    # At s = 0 both are 0, and so are their derivatives by log w: any divisor gives the limit.
    excess = jnp.where(small, near, log_mean_exp(exponent))
    return mean + excess / jnp.where(power == 0.0, 1.0, power)


def renyi(
    model: Model,
    x: jax.Array,
    keys: jax.Array,
    hyper: Hyper,
    axis: str | None = None,
    *,
    samples: int,
) -> Terms:
    """-1/(1 - `alpha`) log 1/K sum_k w_k^(1 - `alpha`), K = `samples` (Li & Turner 2016, section
    4.1: the variational Renyi bound, negated).

    By Monte Carlo: alpha = 0 is IWAE, alpha = 1 the ELBO. The bound falls as alpha grows.
    """
    log_w, terms = sampled_weights(model, x, keys, samples)
    return {"loss": -renyi_bound(log_w, hyper["alpha"]), **terms}

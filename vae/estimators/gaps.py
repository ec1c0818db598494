"""Where a bound loses: the family of q, the encoder, the importance sampling (Cremer et al. 2018).

The inference gap, log p(x) - ELBO, is the sum of two: the approximation gap, which the best q of
the family for this x leaves, and the amortisation gap, which the encoder adds to it (section 3).
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vae.errors import UserError
from vae.estimators.batches import PerExample
from vae.models import Model
from vae.probability import noise
from vae.probability.distributions import Diagonal, FullCovariance

FIT, JUDGE = 1, 2  # uses of an example's key
LEARNING_RATE = 0.05  # of Adam, falling to 0


def check(model: Model) -> None:
    """Raises UserError where q is not one Gaussian per example."""
    if model.distribution not in (Diagonal, FullCovariance):
        raise UserError(
            "the gaps are of posteriors that are Gaussians (diagonal, full_covariance), whose "
            "parameters can be optimised one example at a time: leave gaps out of eval.metrics"
        )


def local_elbo(model: Model, steps: int, draws: int, judged: int = 1000) -> PerExample:
    """The ELBO of each example at a q of its own: Adam on q's parameters, from the encoder's on.

    Args:
      steps: of Adam.
      draws: of z an example and step.
      judged: draws for the ELBO before and after, the same for both, from keys that the
        optimisation has not seen.

    Returns:
      An evaluator that gives `amortised` and `local` [N]: the ELBO at the encoder's q and at the
      optimised one, in nats.

    Raises:
      UserError: q is not one Gaussian per example.
    """
    check(model)
    adam = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        bound = model.bind(variables)

        def elbo(q: Any, keys: jax.Array, first: jax.Array | int, count: int) -> jax.Array:
            joint = bound.joint(_lower(q), x, keys, first, count)
            return joint.log_likelihood.mean(0) - joint.kl.sum(-1)

        def judge(q: Any) -> jax.Array:
            chunk = min(50, judged)
            unseen = noise.fold(keys, JUDGE)
            firsts = jnp.arange(0, judged - chunk + 1, chunk)
            return jax.lax.map(lambda first: elbo(q, unseen, first, chunk), firsts).mean(0)

        def step(carry: Any, number: jax.Array) -> tuple[Any, None]:
            q, state = carry
            fresh = noise.fold(keys, FIT)
            gradient = jax.grad(lambda q: -elbo(q, fresh, number * draws, draws).sum())(q)
            updates, state = adam.update(gradient, state)
            return (optax.apply_updates(q, updates), state), None

        amortised = bound.encode(x)
        (local, _), _ = jax.lax.scan(
            step, (amortised, adam.init(amortised)), jnp.arange(steps)
        )
        return {"amortised": judge(amortised), "local": judge(local)}

    return PerExample(function)


def _lower(q: Any) -> Any:
    """A Gaussian whose factor has nothing above its diagonal, whatever the optimiser put there."""
    if not isinstance(q, FullCovariance):
        return q
    return dataclasses.replace(q, below=jnp.tril(q.below, -1))

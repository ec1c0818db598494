"""Annealed importance sampling: log p(x) from both sides, and rate-distortion curves.

The path goes from the prior to the posterior, p_b(z) ~ p(z) p(x|z)^b, b from 0 to 1 (Wu et al.
2017, section 3). Each function here builds an evaluator as `vae.estimators.bounds` does.
"""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from vae.choices import choose
from vae.errors import UserError
from vae.estimators import hmc
from vae.estimators.batches import PerExample
from vae.metrics import Kind
from vae.probability import noise

if TYPE_CHECKING:
    from vae.models import Model

PILOT, FORWARD, REVERSE, PRIOR, DATA = range(1, 6)  # uses of an example's key
FIRST_STEP = 0.5  # of the pilot's integrator, in posterior standard deviations
CURVATURE = 4.0  # of the sigmoid schedule (Wu et al. 2017, appendix)
NLL = Kind("nll_ais", "−log p(x), AIS", "down", "nats")
# Of the estimate, not of the model.
ACCEPTANCE = Kind("ais_acceptance", "AIS acceptance", "none", "share")
EFFECTIVE = Kind("ais_effective", "AIS effective", "none", "chains")
# Of examples that the model draws: each model has its own.
LOWER = Kind("bdmc_lower", "log p(x) of simulated data, AIS", "none", "nats")
UPPER = Kind("bdmc_upper", "log p(x) of simulated data, reverse AIS", "none", "nats")
GAP = Kind("bdmc_gap", "BDMC gap", "down", "nats")


def linear(count: int) -> np.ndarray:
    """b_0 = 0 to b_count = 1 in equal steps."""
    return np.linspace(0.0, 1.0, count + 1)


def sigmoid(count: int) -> np.ndarray:
    """Small steps at both ends (Wu et al. 2017, appendix)."""
    values = 1.0 / (1.0 + np.exp(-CURVATURE * np.linspace(-1.0, 1.0, count + 1)))
    return (values - values[0]) / (values[-1] - values[0])


SCHEDULES = {"linear": linear, "sigmoid": sigmoid}


@dataclasses.dataclass(frozen=True)
class Annealing:
    """What AIS needs to know beside the model."""

    temperatures: int  # steps from b = 0 to b = 1
    chains: int  # K, for each example
    leapfrogs: int  # of each step's HMC transition
    schedule: str = "sigmoid"  # or linear

    @functools.cached_property
    def betas(self) -> np.ndarray:
        """b_0 = 0 to b_T = 1. Raises UserError where there is no such schedule."""
        schedule = choose(SCHEDULES, self.schedule, "eval.ais_schedule")
        return np.asarray(schedule(self.temperatures), np.float32)

    def describe(self) -> str:
        """What a metric's unit says of it."""
        return (
            f"AIS of {self.temperatures:,} temperatures ({self.schedule}), {self.chains} chains, "
            f"{self.leapfrogs} leapfrog steps"
        )


def check(model: "Model") -> None:
    """Raises UserError where z cannot be moved by gradients."""
    if not model.euclidean:
        raise UserError(
            "AIS and HMC move z along gradients, and this model's z are not all of R^L (codes of a "
            "codebook, points of a sphere): leave ais, bdmc and gaps out of eval.metrics"
        )


class _Path:
    """A bound model's path of densities for B examples."""

    def __init__(self, model: "Model", annealing: Annealing, x: jax.Array):
        self.model, self.annealing, self.x = model, annealing, x
        # Where the posterior of x is narrow, steps shorten with b as fast as it narrows. This only
        # says how far to move: any other number would be as right.
        self.precision = 1.0 / jnp.maximum(jnp.square(model.encode(x).std), 1e-8)

    def log_likelihood(self, z: jax.Array) -> jax.Array:
        """log p(x|z) [K, B]."""
        return self.model.log_likelihood(self.model.theta(z, self.x), self.x)

    def move(
        self, z: jax.Array, beta: jax.Array, keys: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """One transition of HMC at temperature beta: z [K, B, L] and its acceptance."""

        def log_density(z: jax.Array) -> jax.Array:
            return self.model.log_prior(z) + beta * self.log_likelihood(z)

        scale = jax.lax.rsqrt(1.0 + beta * jnp.maximum(self.precision - 1.0, 0.0))
        return hmc.transition(log_density, z, keys, step, scale, self.annealing.leapfrogs)

    def start(self, keys: jax.Array, chains: int) -> jax.Array:
        """Draws of p(z): [K, B, L]."""
        draw = jax.vmap(lambda k: self.model.sample_prior(noise.fold(keys, k)))
        return draw(jnp.arange(chains))

    def tune(self, keys: jax.Array, chains: int) -> jax.Array:
        """Step sizes [T, B] by a run of its own, whose chains are thrown away.

        So the runs that count have fixed transitions, and their weights stay exact.
        """

        def body(carry: Any, now: Any) -> tuple[Any, jax.Array]:
            z, log_step = carry
            number, beta = now
            step = jnp.exp(log_step)
            z, acceptance = self.move(z, beta, noise.fold(keys, number), step)
            return (z, hmc.adapted(log_step, acceptance)), step

        first = jnp.full(len(self.x), jnp.log(FIRST_STEP))
        numbers = jnp.arange(1, len(self.annealing.betas))
        carry = self.start(noise.fold(keys, 0), chains), first
        return jax.lax.scan(body, carry, (numbers, self.annealing.betas[1:]))[1]

    def forward(self, keys: jax.Array, steps: jax.Array) -> dict[str, jax.Array]:
        """From the prior to the posterior: log Z_b [T + 1, B] at every b, what else is known there,
        and the mean acceptance [B]."""
        betas, chains = self.annealing.betas, self.annealing.chains

        def body(carry: Any, now: Any) -> tuple[Any, Any]:
            z, log_likelihood, log_w = carry
            number, beta, before, step = now
            log_w = log_w + (beta - before) * log_likelihood
            z, acceptance = self.move(z, beta, noise.fold(keys, number), step)
            log_likelihood = self.log_likelihood(z)
            share = jax.nn.softmax(log_w, axis=0)
            log_z = jax.nn.logsumexp(log_w, axis=0) - jnp.log(float(chains))
            told = log_z, -(share * log_likelihood).sum(0), acceptance.mean(0)
            return (z, log_likelihood, log_w), told

        z = self.start(noise.fold(keys, 0), chains)
        first = self.log_likelihood(z)
        numbers = jnp.arange(1, len(betas))
        (_, _, log_w), (log_z, distortion, acceptance) = jax.lax.scan(
            body, (z, first, jnp.zeros_like(first)), (numbers, betas[1:], betas[:-1], steps)
        )
        return {
            "log_z": jnp.concatenate([jnp.zeros_like(log_z[:1]), log_z]),
            "distortion": jnp.concatenate([-first.mean(0)[None], distortion]),
            "acceptance": acceptance.mean(0),
            "effective": 1.0 / jnp.square(jax.nn.softmax(log_w, axis=0)).sum(0),
        }

    def reverse(self, z: jax.Array, keys: jax.Array, steps: jax.Array) -> jax.Array:
        """From exact draws of the posterior z [K, B, L] to the prior: log p(x) [B] from above."""
        betas, chains = self.annealing.betas, len(z)

        def body(carry: Any, now: Any) -> tuple[Any, None]:
            z, log_w = carry
            number, beta, before, step = now
            z, _ = self.move(z, beta, noise.fold(keys, number), step)
            return (z, log_w + (beta - before) * self.log_likelihood(z)), None

        numbers = jnp.arange(1, len(betas))
        (_, log_w), _ = jax.lax.scan(
            body,
            (z, jnp.zeros(z.shape[:2])),
            (numbers, betas[1:], betas[:-1], steps),
            reverse=True,
        )
        return jnp.log(float(chains)) - jax.nn.logsumexp(-log_w, axis=0)


def ais(model: "Model", annealing: Annealing) -> PerExample:
    """log p(x) by AIS: exp of it is unbiased, so it is a lower bound in expectation.

    Returns:
      An evaluator that gives `log_p` [N] nats; at every b of the schedule the log normaliser
      `log_z` and the `distortion` -E[log p(x|z)] under p_b, [N, T + 1] nats (Huang et al. 2020,
      section 4: the rate there is -b distortion - log_z); `acceptance` [N] of the proposals; and
      `effective` [N], how many of the K chains carry the weight.

    Raises:
      UserError: z of this model cannot be moved by gradients.
    """
    check(model)

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        path = _Path(model.bind(variables), annealing, x)
        steps = path.tune(noise.fold(keys, PILOT), min(4, annealing.chains))
        found = path.forward(noise.fold(keys, FORWARD), steps)
        curves = {name: found[name].T for name in ("log_z", "distortion")}
        return {"log_p": found["log_z"][-1], **found, **curves}

    return PerExample(function)


def bidirectional(model: "Model", annealing: Annealing) -> PerExample:
    """Bounds on log p(x) from both sides, for examples that the model draws (BDMC: Grosse et al.
    2015): the z that x was made from is an exact draw of p(z|x).

    Returns:
      An evaluator that uses only the length of its x and gives `lower`, `upper`, `acceptance` [N].
      The first two are below and above log p(x) in expectation, in nats.

    Raises:
      UserError: z of this model cannot be moved by gradients.
    """
    check(model)

    def function(variables: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        bound = model.bind(variables)
        z = bound.sample_prior(noise.fold(keys, PRIOR))
        drawn = bound.draw(noise.fold(keys, DATA), z)
        path = _Path(bound, annealing, drawn.reshape(x.shape))
        steps = path.tune(noise.fold(keys, PILOT), min(4, annealing.chains))
        found = path.forward(noise.fold(keys, FORWARD), steps)
        z = jnp.broadcast_to(z, (annealing.chains, *z.shape))
        upper = path.reverse(z, noise.fold(keys, REVERSE), steps)
        return {"lower": found["log_z"][-1], "upper": upper, "acceptance": found["acceptance"]}

    return PerExample(function)

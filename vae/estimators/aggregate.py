"""The aggregate posterior q(z) = 1/N sum_n q(z|x_n) and how it stands to the prior.

The rate splits in two (Hoffman & Johnson 2016, section 2): E_n KL(q(z|x_n) || p(z)) = I(n; z) +
KL(q(z) || p(z)). Here n numbers the N examples, so the mutual information is at most log N.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae.estimators.batches import PerExample
from vae.metrics import Kind
from vae.models import Model
from vae.objectives.discrepancy import mmd
from vae.probability import noise

DRAWS = 2000  # of q(z), one of each of so many examples
INFORMATION = Kind("mutual_information", "Mutual information", "none", "nats")
KL = Kind("aggregate_kl", "KL(q(z) ‖ p(z))", "down", "nats")
MMD = Kind("aggregate_mmd", "Maximum mean discrepancy of q(z) and p(z)", "down")


class Aggregate:
    """Functions compiled once for a model: draws of q(z|x) and p(z), and densities of all draws."""

    def __init__(self, model: Model):
        self.model = model
        self.draw = PerExample(self._draw)
        self._add = jax.jit(self._log_densities)

    @property
    def has_density(self) -> bool:
        """Whether log q(z|x) is known at any z. Flows, hierarchies and codebooks know it at their
        own draws alone."""
        return self.model.distribution.has_density

    def log_density(
        self, variables: Any, x: np.ndarray, z: np.ndarray, batch_size: int
    ) -> np.ndarray:
        """log q(z) [M] nats of z [M, L] over the examples x [N, *shape]."""
        total = jnp.full(len(z), -jnp.inf)
        for start in range(0, len(x), batch_size):
            total = self._add(variables, x[start : start + batch_size], z, total)
        return np.asarray(total, np.float64) - np.log(len(x))

    def _draw(self, variables: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        bound = self.model.bind(variables)
        z, log_q = bound.encode(x).sample_and_log_prob(keys)
        prior = bound.sample_prior(noise.fold(keys, 2))
        mask = 1.0 if bound.mask is None else bound.mask
        return {
            "z": z[0],
            "log_q": log_q[0],
            "log_prior": bound.log_prior(z)[0],
            "mmd_z": z[0] * mask,
            "mmd_prior": prior * mask,
        }

    def _log_densities(
        self, variables: Any, x: jax.Array, z: jax.Array, total: jax.Array
    ) -> jax.Array:
        log_q = self.model.bind(variables).encode(x).log_prob(z[:, None])  # [M, B]
        return jnp.logaddexp(total, jax.nn.logsumexp(log_q, axis=1))


def measure(
    aggregate: Aggregate,
    variables: Any,
    x: np.ndarray,
    key: jax.Array,
    batch_size: int,
    latents: int,
) -> dict[str, np.ndarray]:
    """Terms of the aggregate posterior of x [N, *shape], one for each of M draws of it, in nats.

    Args:
      latents: there are, without those that are masked out.

    Returns:
      aggregate_mmd: shares of the squared discrepancy from as many draws of the prior, by inverse
      multiquadrics; and, where log q(z|x) is known at any z, mutual_information and aggregate_kl.
    """
    chosen = np.unique(np.linspace(0, len(x) - 1, min(DRAWS, len(x))).astype(int))
    drawn = aggregate.draw(variables, x[chosen], key, batch_size)
    found = {}
    if aggregate.has_density:
        log_q = aggregate.log_density(variables, x, drawn["z"], batch_size)
        found[INFORMATION.name] = drawn["log_q"] - log_q
        found[KL.name] = log_q - drawn["log_prior"]
    discrepancy = mmd(jnp.asarray(drawn["mmd_z"]), jnp.asarray(drawn["mmd_prior"]), latents, "imq")
    return {**found, MMD.name: np.asarray(discrepancy)}

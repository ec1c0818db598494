"""Models of several layers of latents, each layer's prior given the layers above.

z [L] holds the layers one after the other, the one next to x first. p(z, x) is walked from the top
layer down, and every use of a model is one such walk: what differs is where each layer's z comes
from (the posterior, the prior, or given values).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae.models.base import Model
from vae.probability import gaussian, noise
from vae.probability.distributions import Diagonal
from vae.protocols import Distribution, Joint

Pick = Callable[[int, Diagonal, Any], jax.Array]  # (layer, p(z_i | above), state) -> z_i [N, L_i]
Above = Callable[[int, Diagonal, Any], Diagonal]  # (layer, p(z_i | above), state) -> q(z_i)


class Walked(NamedTuple):
    """Every layer's z, posterior and prior, each [K, B, L_i], and the end of the walk."""

    z: list[jax.Array]
    q: list[Diagonal]
    p: list[Diagonal]
    state: Any


class LayeredPosterior(Distribution):
    """q(z|x) of a hierarchy: what the encoder says, and the walk that draws from it.

    A layer's mean and standard deviation are those it has with the layers it depends on at their
    means.
    """

    def __init__(self, model: "Hierarchy", evidence: Any):
        self.model, self.evidence = model, evidence

    def sample_and_log_prob(
        self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z [count, B, L] and their log q(z|x) [count, B] in nats, by one walk."""
        eps = noise.normals(keys, first, count, self.model.latent_size)  # [K, B, L]
        walked = self.model.infer(self.evidence, eps)
        return join(walked.z), log_prob(walked.q, walked.z)

    def _central(self) -> list[Diagonal]:
        examples = len(jax.tree.leaves(self.evidence)[0])
        eps = jnp.zeros((1, examples, self.model.latent_size))
        q = self.model.infer(self.evidence, eps).q
        return [jax.tree.map(lambda a: a[0], layer) for layer in q]

    @property
    def mean(self) -> jax.Array:
        """z where every layer's noise is 0: [B, L]."""
        return join([q.mean for q in self._central()])

    @property
    def std(self) -> jax.Array:
        """Of each latent, with the layers before it at their means: [B, L]."""
        return join([q.std for q in self._central()])


class Hierarchy(Model, kw_only=True):
    """What models of several layers share. Their own are

    - `sizes`: latents of each layer, the one next to x first;
    - `walk(pick, examples)`: from the top layer down, asks `pick` for each layer's z
      [examples, L_i], and returns what `emit` makes theta of;
    - `emit(state, leading, keys)`: the likelihood's parameters [*leading, H, W, channels] from the
      end of a walk;
    - `infer(evidence, eps)`: draws of the posterior that has this evidence, by noise eps [K, B, L],
      as `Walked`.
    """

    distribution = LayeredPosterior

    def split(self, z: jax.Array) -> list[jax.Array]:
        """[..., L] as a list of [..., L_i]."""
        return jnp.split(z, np.cumsum(self.sizes)[:-1], axis=-1)

    def _given(self, z: jax.Array) -> tuple[Any, list[Diagonal]]:
        """The end of the walk through given z [N, L], and the layers' priors on the way."""
        parts, priors = self.split(z), {}

        def pick(number: int, p: Diagonal, state: Any) -> jax.Array:
            priors[number] = p
            return parts[number]

        state = self.walk(pick, len(z))
        return state, [priors[number] for number in range(self.layers)]

    def decode(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """The likelihood's parameters theta [..., H, W, channels] for z [..., L]."""
        return self.emit(self._given(flat(z))[0], z.shape[:-1], keys)

    def log_prior(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...] nats."""
        z_flat = flat(z)
        return log_prob(self._given(z_flat)[1], self.split(z_flat)).reshape(z.shape[:-1])

    def sample_prior(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw of p(z) a key: z [B, L]. The temperature scales the noise of every layer."""
        eps = self.split(temperature * noise.normal(keys, (self.latent_size,)))
        drawn = {}

        def pick(number: int, p: Diagonal, state: Any) -> jax.Array:
            drawn[number] = gaussian.sample(eps[number], p.mu, p.logvar)
            return drawn[number]

        self.walk(pick, len(keys))
        return join([drawn[number] for number in range(self.layers)])

    def _layer_kl(self, z: jax.Array, q: Diagonal, p: Diagonal) -> jax.Array:
        """A layer's KL given the layers that its two sides depend on: [K, B] nats."""
        if self.kl_estimate == "monte carlo":
            return q.log_prob(z) - p.log_prob(z)
        return gaussian.kl(q.mu, q.logvar, p.mu, p.logvar).sum(-1)

    def joint(
        self,
        q: LayeredPosterior,
        x: jax.Array,
        keys: jax.Array,
        first: jax.Array | int = 0,
        count: int = 1,
        dropout: jax.Array | None = None,
    ) -> Joint:
        """Draws number first .. first + count - 1 of q, and all terms of the bounds at them.

        The KL is told layer by layer: G = layers, each averaged over the draws.
        """
        eps = noise.normals(keys, first, count, self.latent_size)
        walked = self.infer(q.evidence, eps)
        theta = self.emit(walked.state, eps.shape[:-1], dropout)
        kl = [self._layer_kl(*layer) for layer in zip(*walked[:3], strict=True)]
        return Joint(
            q=q,
            z=join(walked.z),
            theta=theta,
            log_likelihood=self.log_likelihood(theta, x),
            log_prior=log_prob(walked.p, walked.z),
            log_q=log_prob(walked.q, walked.z),
            kl=jnp.stack([part.mean(0) for part in kl], axis=-1),
        )


class Downward(Hierarchy, kw_only=True):
    """Hierarchies whose posteriors know the layers above: draws are made on one walk. Their own is

    - `above(evidence, draws)`: q(z_i | above, x) by layer, prior and state, of N = draws * B
      examples.
    """

    def infer(self, evidence: Any, eps: jax.Array) -> Walked:
        """Draws from the top layer down, by noise eps [K, B, L]."""
        posterior, parts, found = self.above(evidence, len(eps)), self.split(flat(eps)), {}

        def pick(number: int, p: Diagonal, state: Any) -> jax.Array:
            q = posterior(number, p, state)
            found[number] = gaussian.sample(parts[number], q.mu, q.logvar), q, p
            return found[number][0]

        state = self.walk(pick, len(parts[0]))
        columns = zip(*(found[number] for number in range(self.layers)), strict=True)
        z, q, p = (unflat(list(values), eps) for values in columns)
        return Walked(z, q, p, state)


def unflat(values: Any, eps: jax.Array) -> Any:
    """Every array [N, D] as [K, B, D]."""
    return jax.tree.map(lambda a: a.reshape(*eps.shape[:-1], -1), values)


def flat(values: jax.Array) -> jax.Array:
    """[..., L] -> [N, L]."""
    return values.reshape(-1, values.shape[-1])


def join(parts: list[jax.Array]) -> jax.Array:
    """The layers [..., L_i] as one vector [..., L]."""
    return jnp.concatenate(parts, axis=-1)


def log_prob(layers: list[Diagonal], z: list[jax.Array]) -> jax.Array:
    """The sum over the layers of their densities at z: [...] nats."""
    return jnp.asarray(sum(q.log_prob(part) for q, part in zip(layers, z, strict=True)))

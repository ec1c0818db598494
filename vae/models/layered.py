"""Hierarchies of dense layers: inference from the bottom up, or up and down again."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.models.hierarchy import (
    Above,
    Downward,
    Hierarchy,
    LayeredPosterior,
    Pick,
    Walked,
    flat,
    unflat,
)
from vae.networks.layers import activation, dense_init, widened
from vae.probability import gaussian
from vae.probability.distributions import Diagonal


class Conditional(nn.Module):
    """Dense layers of widths `hidden`, then mu and logvar: [..., D] -> a Gaussian [..., size].

    With hidden layers its variance starts near 1. Its mean does not start near 0, because a layer
    that says nothing of the one below at first is soon left unused.
    """

    size: int
    hidden: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(self, values: jax.Array) -> Diagonal:
        """The Gaussian over `size` latents that values [..., D] give."""
        values = Body(self.hidden, self.activation)(values)
        init = nn.initializers.lecun_normal()
        small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
        mu = nn.Dense(self.size, kernel_init=init)(values)
        logvar = nn.Dense(self.size, kernel_init=small if self.hidden else init)(values)
        return Diagonal(mu, logvar)


class Body(nn.Module):
    """Dense layers of widths `hidden`."""

    hidden: tuple[int, ...]
    activation: str

    @nn.compact
    def __call__(self, values: jax.Array) -> jax.Array:
        """[..., D] -> [..., W], W the last width."""
        act, init = activation(self.activation), dense_init(self.activation)
        for width in self.hidden:
            values = act(nn.Dense(width, kernel_init=init)(values))
        return values


class _Layered(Hierarchy, kw_only=True):
    """p(z) = N(z_n; 0, I) prod_i N(z_i; mu(z_i+1), diag(exp(logvar(z_i+1)))), and p(x|z_1)."""

    encoder: nn.Module  # what the likelihood makes of x for it -> features [B, F]
    decoder: nn.Module  # z_1 [B, L_1] -> theta [B, H, W, channels]
    layer_sizes: tuple[int, ...]  # latents of each layer, the one next to x first
    layer_hidden: tuple[int, ...] = (100, 100)  # of the networks between two layers
    activation: str = "silu"

    def setup(self) -> None:
        """Declares the networks of p(z_i|z_i+1), one for each layer but the top."""
        super().setup()
        self.generative = [self.between(size) for size in self.sizes[:-1]]

    def between(self, size: int) -> Conditional:
        """A network from one layer's z to a Gaussian over `size` latents of the next."""
        return Conditional(size, self.layer_hidden, self.activation)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Latents of each layer, the one next to x first."""
        return self.layer_sizes

    def walk(self, pick: Pick, examples: int) -> jax.Array:
        """The end of the walk is z_1 [N, L_1]."""
        zeros = jnp.zeros((examples, self.sizes[-1]))
        z = pick(self.layers - 1, Diagonal(zeros, zeros), None)
        for number in reversed(range(self.layers - 1)):
            z = pick(number, self.generative[number](z), None)
        return z

    def emit(self, state: jax.Array, leading: tuple[int, ...], keys: Any) -> jax.Array:
        """theta [*leading, H, W, channels] from z_1 [N, L_1]."""
        return self.through_decoder(state.reshape(*leading, -1), keys)


class chain(_Layered, kw_only=True):  # noqa: N801  (the name is the config value)
    """q(z|x) = q(z_1|x) prod_i q(z_i+1|z_i), from the bottom up (Burda et al. 2015, section 2: two
    layers of it are their "2 stochastic layers"; Rezende et al. 2014 for the model).

    Every layer's KL is estimated from draws, because its two sides are conditioned on different
    layers.
    """

    kl_estimate = "monte carlo"

    def setup(self) -> None:
        """Declares the head of q(z_1|x) and the networks of q(z_i+1|z_i) too."""
        super().setup()
        self.head = Conditional(self.sizes[0], (), self.activation)
        self.inference = [self.between(size) for size in self.sizes[1:]]

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> LayeredPosterior:
        """q(z|x) for x [B, *shape]; its evidence is q(z_1|x)."""
        features = self.encoder(self.encoder_input(x, keys), keys)
        return LayeredPosterior(self, self.head(widened(features)))

    def infer(self, evidence: Diagonal, eps: jax.Array) -> Walked:
        """Draws from the bottom layer up, by noise eps [K, B, L]."""
        repeated = jax.tree.map(lambda a: jnp.broadcast_to(a, (len(eps), *a.shape)), evidence)
        parts = self.split(eps)
        z: list[jax.Array] = []
        q: list[Diagonal] = []
        for number in range(self.layers):
            q.append(self.inference[number - 1](z[-1]) if number else repeated)
            z.append(gaussian.sample(parts[number], q[-1].mu, q[-1].logvar))
        state, p = self._given(flat(jnp.concatenate(z, axis=-1)))
        return Walked(z, q, unflat(p, eps), state)


class ladder(_Layered, Downward, kw_only=True):  # noqa: N801
    """Ladder VAE of any depth (Sonderby et al. 2016): dense layers carry x up, and on the way down
    each layer's posterior combines what came up with its prior, weighted by their precisions (eq.
    17 to 19). There is no batch normalisation, which would couple the examples.
    """

    kl_estimate = "analytic given the layers above"

    def setup(self) -> None:
        """Declares the dense layers on the way up and a head for each layer too."""
        super().setup()
        self.upward = [Body(self.layer_hidden, self.activation) for _ in self.sizes[1:]]
        self.heads = [Conditional(size, (), self.activation) for size in self.sizes]

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> LayeredPosterior:
        """q(z|x) for x [B, *shape]; its evidence is a Gaussian [B, L_i] for each layer."""
        values = widened(self.encoder(self.encoder_input(x, keys), keys))
        evidence = [self.heads[0](values)]
        for body, head in zip(self.upward, self.heads[1:], strict=True):
            values = body(values)
            evidence.append(head(values))
        return LayeredPosterior(self, evidence)

    def above(self, evidence: list[Diagonal], draws: int) -> Above:
        """Evidence merged with priors."""
        repeated = jax.tree.map(lambda a: jnp.tile(a, (draws, 1)), evidence)

        def posterior(number: int, p: Diagonal, state: Any) -> Diagonal:
            top = number == self.layers - 1
            return repeated[number] if top else merged(repeated[number], p)

        return posterior


def merged(evidence: Diagonal, prior: Diagonal) -> Diagonal:
    """The Gaussian whose precision is the sum of two, and whose mean is weighed by them."""
    weight = jax.nn.sigmoid(prior.logvar - evidence.logvar)
    mu = weight * evidence.mu + (1.0 - weight) * prior.mu
    return Diagonal(mu, -jnp.logaddexp(-evidence.logvar, -prior.logvar))


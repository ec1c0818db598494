"""Priors by normalising flows: p(z) = N(u; 0, I) |det du/dz|, u = f(z), all start as N(0, I)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.probability import gaussian, made, noise, splines
from vae.probability.gaussian_priors import Prior

MOST = 3.0  # of a coupling layer's log scale


class _Conditioner(nn.Module):
    """A network whose last layer starts at 0: z [..., L] -> [..., L, outputs]."""

    hidden: tuple[int, ...]
    outputs: int

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """z [..., L] -> [..., L, outputs]."""
        values = z
        for width in self.hidden:
            values = jax.nn.elu(nn.Dense(width)(values))
        last = nn.Dense(z.shape[-1] * self.outputs, kernel_init=nn.initializers.zeros)
        return last(values).reshape(*z.shape, self.outputs)


class _Coupling(Prior):
    """Layers that hold every other latent and transform each of the rest by a function of those
    (Dinh et al. 2017, section 3.4). With one latent nothing is held: it has a flow of its own.

    A subclass has `outputs`, how many numbers transform one latent, and `transform(z, raw,
    inverse)`, which gives each latent's image and log slope [..., L] by raw [..., L, outputs].
    """

    flow_layers: int = 4
    flow_hidden: tuple[int, ...] = (64,)

    def setup(self) -> None:
        """Declares a network for each coupling layer."""
        self.layers = [
            _Conditioner(self.flow_hidden, self.outputs) for _ in range(self.flow_layers)
        ]

    def flow(self, z: jax.Array, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
        """u = f(z) [..., L], or z of u, and log |det| [...] of the map."""
        log_det = jnp.zeros(z.shape[:-1], z.dtype)
        order = list(enumerate(self.layers))
        for number, layer in reversed(order) if inverse else order:
            held = (jnp.arange(self.latent_size) + number) % 2 == 1
            moved, slope = self.transform(z, layer(jnp.where(held, z, 0.0)), inverse)
            z = jnp.where(held, z, moved)
            log_det = log_det + jnp.where(held, 0.0, slope).sum(-1)
        return z, log_det

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...] nats."""
        u, log_det = self.flow(z)
        return gaussian.log_prob(u, 0.0, jnp.zeros(())).sum(-1) + log_det

    def sample(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw a key: z [B, L]."""
        u = temperature * noise.normal(keys, (self.latent_size,))
        return self.flow(u, inverse=True)[0]


class realnvp(_Coupling):  # noqa: N801  (the name is the config value)
    """`flow_layers` affine coupling layers, u = (z - t) exp(-s) (Dinh et al. 2017, eq. 7), with |s|
    < 3."""

    outputs = 2

    def transform(
        self, z: jax.Array, raw: jax.Array, inverse: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Each latent's image and log slope, [..., L] both, by raw [..., L, 2]."""
        s, t = MOST * jnp.tanh(raw[..., 0] / MOST), raw[..., 1]
        return (z * jnp.exp(s) + t, s) if inverse else ((z - t) * jnp.exp(-s), -s)


class spline(_Coupling):  # noqa: N801
    """`flow_layers` rational-quadratic coupling layers of `flow_bins` bins (Durkan et al. 2019,
    section 3.2)."""

    flow_bins: int = 8

    @property
    def outputs(self) -> int:
        """Numbers that make one latent's spline."""
        return splines.numbers(self.flow_bins)

    def transform(
        self, z: jax.Array, raw: jax.Array, inverse: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Each latent's image and log slope, [..., L] both, by raw [..., L, outputs]."""
        return splines.transform(z, raw, inverse)


class autoregressive(Prior):  # noqa: N801
    """p(z) = prod_l N(z_l; m_l, exp(2 s_l)), m_l and s_l functions of the latents before l, by one
    masked network (Papamakarios et al. 2017, MAF of one layer; Germain et al. 2015 for the masks).
    A draw takes L passes."""

    flow_hidden: tuple[int, ...] = (64,)

    def setup(self) -> None:
        """Declares the masked network of means and log scales."""
        self.weights = made.declare(
            self, "network", self.latent_size, self.flow_hidden, 2
        )

    def conditionals(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Means and log variances [..., L]."""
        m, s = jnp.moveaxis(made.network(self.weights, z), -1, 0)
        return m, 2.0 * s

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...] nats."""
        return gaussian.log_prob(z, *self.conditionals(z)).sum(-1)

    def sample(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw a key: z [B, L]."""
        eps = temperature * noise.normal(keys, (self.latent_size,))

        def settle(number: jax.Array, z: jax.Array) -> jax.Array:  # one more latent is right
            return gaussian.sample(eps, *self.conditionals(z))

        return jax.lax.fori_loop(0, self.latent_size, settle, jnp.zeros_like(eps))

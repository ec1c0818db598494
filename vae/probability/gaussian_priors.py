"""The standard normal and mixtures of Gaussians."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae import protocols
from vae.probability import gaussian, noise
from vae.probability.distributions import Diagonal, FullCovariance


class Prior(nn.Module, protocols.Prior):
    """What priors share: that they are modules."""

    latent_size: int


class normal(Prior):  # noqa: N801  (the name is the config value)
    """The standard normal N(0, I)."""

    analytic = (Diagonal, FullCovariance)
    maskable = True
    standard = True

    def sample(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw a key: z [B, L]."""
        return temperature * noise.normal(keys, (self.latent_size,))

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...] nats."""
        return gaussian.log_prob(z, 0.0, jnp.zeros(())).sum(-1)

    def kl(self, q: Diagonal | FullCovariance) -> jax.Array:
        """Analytic KL(q(z|x) || p(z)), latent by latent: [B, L] nats."""
        return q.kl_standard_normal()


class conditional(Prior):  # noqa: N801
    """p(z|c) = N(mu(c), diag(exp(logvar(c)))), by a network with layers of `flow_hidden` (Sohn et
    al. 2015). It starts as N(0, I) for every context c."""

    flow_hidden: tuple[int, ...] = (64,)
    analytic = (Diagonal,)
    takes_context = True

    def setup(self) -> None:
        """Declares the hidden layers, and the last, which starts at 0."""
        self.bodies = [nn.Dense(width) for width in self.flow_hidden]
        self.last = nn.Dense(2 * self.latent_size, kernel_init=nn.initializers.zeros)

    def given(self, context: jax.Array) -> Diagonal:
        """p(z|c) of contexts [B, C]."""
        for body in self.bodies:
            context = jax.nn.elu(body(context))
        return Diagonal(*jnp.split(self.last(context), 2, axis=-1))

    def sample(
        self, keys: jax.Array, context: jax.Array, temperature: jax.Array | float = 1.0
    ) -> jax.Array:
        """One draw of p(z|c) a key, for contexts [B, C]: z [B, L]."""
        p = self.given(context)
        return gaussian.sample(
            temperature * noise.normal(keys, (self.latent_size,)), p.mu, p.logvar
        )

    def log_prob(self, z: jax.Array, context: jax.Array) -> jax.Array:
        """log p(z|c) for z [..., B, L] and contexts [B, C]: [..., B] nats."""
        return self.given(context).log_prob(z)

    def kl(self, q: Diagonal, context: jax.Array) -> jax.Array:
        """Analytic KL(q(z|x,c) || p(z|c)), latent by latent: [B, L] nats."""
        p = self.given(context)
        return gaussian.kl(q.mu, q.logvar, p.mu, p.logvar)


class mixture(Prior):  # noqa: N801
    """A learned mixture of C = `prior_components` diagonal Gaussians, sum_c w_c N(mu_c,
    diag(exp(logvar_c))).

    It starts with equal weights and variances of 1, at means drawn from N(0, I): the standard
    normal's spread, and no two components alike.
    """

    prior_components: int = 50

    def setup(self) -> None:
        """Declares the components' logits [C], means and log variances [C, L]."""
        shape = (self.prior_components, self.latent_size)
        self.logits = self.param("logits", nn.initializers.zeros, shape[:1])
        self.mu = self.param("mu", nn.initializers.normal(1.0), shape)
        self.logvar = self.param("logvar", nn.initializers.zeros, shape)

    def sample(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw a key: z [B, L]."""
        chosen = jax.vmap(jax.random.categorical, (0, None))(noise.fold(keys, 0), self.logits)
        eps = temperature * noise.normal(noise.fold(keys, 1), (self.latent_size,))
        mu, logvar = (jnp.take(values, chosen, axis=0) for values in (self.mu, self.logvar))
        return gaussian.sample(eps, mu, logvar)

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...] nats."""
        each = gaussian.log_prob_each(z, self.mu, self.logvar)  # [..., C]
        return jax.nn.logsumexp(each + jax.nn.log_softmax(self.logits), axis=-1)


# What keeps a pseudo-input where the data live: from any real number, and back.
INSIDE: dict[str, Callable[[jax.Array], jax.Array]] = {
    "binary": jax.nn.sigmoid,  # [0, 1]
    "grey": jax.nn.sigmoid,
    "counts": jax.nn.softplus,  # above 0
    "real": lambda raw: raw,
}
OUTSIDE: dict[str, Callable[[jax.Array], jax.Array]] = {
    "binary": lambda u: jnp.log(u) - jnp.log1p(-u),
    "grey": lambda u: jnp.log(u) - jnp.log1p(-u),
    "counts": lambda u: u + jnp.log(-jnp.expm1(-u)),
    "real": lambda u: u,
}


class vamp(Prior):  # noqa: N801
    """1/C sum_c q(z|u_c), C = `prior_components` learned pseudo-inputs u_c (Tomczak & Welling 2018,
    eq. 9); needs a posterior whose density is known everywhere.

    They start at N(data mean, 0.01^2), at least a hundredth inside what the data's kind allows. The
    paper clips them to that range; here a smooth map of the parameter keeps them in it, so each
    always has a gradient.
    """

    prior_components: int = 50
    shape: tuple[int, ...] = ()  # of an example
    kind: str = "real"  # of the data
    data_mean: Callable[[], jax.Array] | None = None  # gives it, [*shape]
    takes_posterior = True

    def setup(self) -> None:
        """Declares the pseudo-inputs [C, *shape] as they are before the smooth bound."""
        self.raw = self.param("inputs", self._initial)

    def _initial(self, key: jax.Array) -> jax.Array:
        inputs = 0.01 * jax.random.normal(key, (self.prior_components, *self.shape))
        inputs = inputs + (0.0 if self.data_mean is None else self.data_mean())
        if self.kind != "real":
            inputs = jnp.maximum(inputs, 0.01)
        if self.kind in ("binary", "grey"):
            inputs = jnp.minimum(inputs, 0.99)
        return OUTSIDE[self.kind](inputs)

    def inputs(self) -> jax.Array:
        """The pseudo-inputs [C, *shape] in the data's space."""
        return INSIDE[self.kind](self.raw)

    def sample(
        self, keys: jax.Array, q: Any, temperature: jax.Array | float = 1.0
    ) -> jax.Array:
        """One draw a key: one of all C pseudo-inputs, each as likely, and a draw of its q."""

        def choose(key: jax.Array) -> jax.Array:
            return jax.random.randint(key, (), 0, self.prior_components)

        chosen = jax.vmap(choose)(noise.fold(keys, 0))
        q = jax.tree.map(lambda leaf: leaf[chosen], q)
        return q.mean + temperature * (q.sample(noise.fold(keys, 1))[0] - q.mean)

    def log_prob(self, z: jax.Array, q: Any) -> jax.Array:
        """log p(z) for z [..., L], given the q of the pseudo-inputs: [...] nats."""
        each = q.log_prob_each(z)  # [..., C]
        return jax.nn.logsumexp(each, axis=-1) - jnp.log(float(self.prior_components))

"""Posteriors by normalising flows: a diagonal Gaussian, and steps that bend it.

Their density is known at their own draws: the inverse of a step has no closed form, or takes L
passes of its network.
"""

from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from vae.probability import flow_steps, gaussian, made, noise
from vae.probability.distributions import Diagonal
from vae.probability.gaussian_posteriors import Posterior
from vae.protocols import Distribution

PAIRS = 128  # of draws that a mean is taken from


@flax.struct.dataclass
class Flow(Distribution):
    """z = f_K(.. f_1(z_0)), z_0 ~ N(mu, diag(exp(logvar))) (Rezende & Mohamed 2015, eq. 7, 13)."""

    base: Diagonal
    steps: tuple[Any, ...]  # each with `forward`
    context: jax.Array | None = None  # [B, C], for steps that take it
    reverse: bool = flax.struct.field(pytree_node=False, default=False)  # the latents' order

    def push(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        """z [..., B, L] and log q(z|x) [..., B] of standard normal noise [..., B, L]."""
        z = gaussian.sample(eps, self.base.mu, self.base.logvar)
        log_q = gaussian.log_prob(eps, 0.0, self.base.logvar * 0.0).sum(-1)
        log_q = log_q - 0.5 * self.base.logvar.sum(-1)
        given = () if self.context is None else (self.context,)
        for number, step in enumerate(self.steps):
            z = z[..., ::-1] if self.reverse and number else z
            z, log_det = step.forward(z, *given)
            log_q = log_q - log_det
        return z, log_q

    def sample_and_log_prob(
        self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        """Draws z [count, B, L] and their log q(z|x) [count, B] in nats."""
        return self.push(noise.normals(keys, first, count, self.base.mu.shape[-1]))

    @property
    def mean(self) -> jax.Array:
        """By 2 PAIRS fixed draws, the same noise for all examples: [B, L]."""
        return self._fixed().mean(0)

    @property
    def std(self) -> jax.Array:
        """Of each latent, by the same draws as `mean`: [B, L]."""
        return self._fixed().std(0)

    def _fixed(self) -> jax.Array:
        eps = jax.random.normal(jax.random.key(0), (PAIRS, 1, self.base.mu.shape[-1]))
        eps = jnp.broadcast_to(eps, (PAIRS, *self.base.mu.shape))
        return self.push(jnp.concatenate([eps, -eps]))[0]


class FlowPosterior(Posterior):
    """What flows of amortised parameters share. At the start the parameters are small, so steps are
    near the identity, or gentle where they cannot be it."""

    flow_layers: int = 4
    distribution = Flow

    def amortised(self, features: jax.Array, *sizes: int) -> list[list[jax.Array]]:
        """For each of the steps, arrays [B, size]."""
        total = sum(sizes)
        init = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
        flat = nn.Dense(self.flow_layers * total, kernel_init=init, name="flow")(features)
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
        return [jnp.split(part, ends, -1) for part in jnp.split(flat, self.flow_layers, -1)]


class planar(FlowPosterior):  # noqa: N801  (the name is the config value)
    """`flow_layers` planar steps (Rezende & Mohamed 2015, section 4.1)."""

    @nn.compact
    def __call__(self, features: jax.Array) -> Flow:
        """q(z|x) for features [B, F]."""
        base, size = self.base(features), self.latent_size
        steps = self.amortised(features, size, size, 1)
        return Flow(base, tuple(flow_steps.Planar(u, w, b[..., 0]) for u, w, b in steps))


class radial(FlowPosterior):  # noqa: N801
    """`flow_layers` radial steps (Rezende & Mohamed 2015, section 4.1)."""

    @nn.compact
    def __call__(self, features: jax.Array) -> Flow:
        """q(z|x) for features [B, F]."""
        base = self.base(features)
        steps = self.amortised(features, self.latent_size, 1, 1)
        return Flow(
            base, tuple(flow_steps.Radial(z0, a[..., 0], b[..., 0]) for z0, a, b in steps)
        )


class _Sylvester(FlowPosterior):
    """What the three Sylvester flows share: `orthogonal` gives the Qs of all steps from `numbers`
    outputs of each."""

    def assemble(self, features: jax.Array, columns: int, numbers: int) -> Flow:
        """q(z|x) for features [B, F]; each Q has `columns` columns, made from `numbers` outputs."""
        base, square = self.base(features), columns * columns
        sizes = (square, square, columns, columns, columns, *([numbers] if numbers else []))
        amortised, steps = self.amortised(features, *sizes), []
        raw = [parts[5] for parts in amortised] if numbers else None
        for parts, q in zip(amortised, self.orthogonal(raw), strict=True):
            above, above2 = (a.reshape(-1, columns, columns) for a in parts[:2])
            r = flow_steps.upper(above, parts[2])
            r2 = flow_steps.upper(above2, parts[3])
            q = jnp.broadcast_to(q, (len(features), *q.shape[1:]))
            steps.append(flow_steps.Sylvester(q, r, r2, parts[4]))
        return Flow(base, tuple(steps))


class sylvester_orthogonal(_Sylvester):  # noqa: N801
    """`flow_layers` Sylvester steps, Q of `flow_columns` orthonormal columns (van den Berg et al.
    2018, section 4.1, O-SNF)."""

    flow_columns: int = 0  # M; 0: latent_size

    @property
    def columns(self) -> int:
        """M, at most L."""
        return min(self.flow_columns or self.latent_size, self.latent_size)

    def orthogonal(self, raw: list[jax.Array]) -> list[jax.Array]:
        """Each step's Q [B, L, M], from its outputs [B, L M]."""
        at_once = jnp.concatenate(raw).reshape(-1, self.latent_size, self.columns)
        return jnp.split(flow_steps.orthonormal(at_once), len(raw))

    @nn.compact
    def __call__(self, features: jax.Array) -> Flow:
        """q(z|x) for features [B, F]."""
        return self.assemble(features, self.columns, self.latent_size * self.columns)


class sylvester_householder(_Sylvester):  # noqa: N801
    """`flow_layers` Sylvester steps, Q a product of `flow_reflections` reflections (van den Berg et
    al. 2018, section 4.2, H-SNF)."""

    flow_reflections: int = 4

    def orthogonal(self, raw: list[jax.Array]) -> list[jax.Array]:
        """Each step's Q [B, L, L], from its outputs [B, reflections * L]."""
        shape = (-1, self.flow_reflections, self.latent_size)
        return [flow_steps.reflections(part.reshape(shape)) for part in raw]

    @nn.compact
    def __call__(self, features: jax.Array) -> Flow:
        """q(z|x) for features [B, F]."""
        return self.assemble(features, self.latent_size, self.flow_reflections * self.latent_size)


class sylvester_triangular(_Sylvester):  # noqa: N801
    """`flow_layers` Sylvester steps, Q the identity and the reversal by turns (van den Berg et al.
    2018, section 4.3, T-SNF)."""

    def orthogonal(self, raw: None) -> list[jax.Array]:
        """Each step's Q [1, L, L], which takes no outputs."""
        eye = jnp.eye(self.latent_size)[None]
        return [eye[:, ::-1] if number % 2 else eye for number in range(self.flow_layers)]

    @nn.compact
    def __call__(self, features: jax.Array) -> Flow:
        """q(z|x) for features [B, F]."""
        return self.assemble(features, self.latent_size, 0)


class iaf(Posterior):  # noqa: N801
    """Inverse autoregressive flow (Kingma et al. 2016, section 4): `flow_layers` steps, each by a
    masked network with layers of `flow_hidden`, the latents' order reversed between them. The
    networks' weights are learnt; they see x through a context as wide as their first layer."""

    distribution = Flow
    flow_layers: int = 4
    flow_hidden: tuple[int, ...] = (64,)

    @nn.compact
    def __call__(self, features: jax.Array) -> Flow:
        """q(z|x) for features [B, F]."""
        base, width = self.base(features), self.flow_hidden[0]
        context = nn.Dense(width, name="context")(features)
        steps = [
            made.declare(
                self, f"step{number}", self.latent_size, self.flow_hidden, 2, width
            )
            for number in range(self.flow_layers)
        ]
        return Flow(base, tuple(map(made.Step, steps)), context, reverse=True)

"""The density of z that a velocity makes of noise: draws, log densities, weights on disk."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.estimators import classes, kept
from vae.estimators.fitted_densities import Gaussian, Sampler
from vae.estimators.learned_densities import BATCH
from vae.estimators.mixture_velocity import Base, velocity

if TYPE_CHECKING:
    import jax

EXACT = 16  # latents, up to which the trace of the Jacobian is not estimated
PROBES = 8  # of an estimate


class VelocityDensity:
    """z = start.colour(u), u the end of dx/dt = v(x, t, label) from N(0, I) at t = 0 to t = 1.

    The velocity is that of a mixture of Gaussians, which is known (`mixture_velocity`), and
    F(x / s, t, label) / s by a network that starts as 0, with s^2 = t^2 + (1 - t)^2, the variance
    of x_t where u is N(0, I) (scaled as Karras et al. 2022, section 5, do for diffusion). So the
    density starts as the mixture, and latents that a model does not use need not be learnt.

    Args:
      network: `size`, `shape` (H, W, C) or empty, `classes`, and `width` and `blocks`, 0 for the
        default (`vae.networks.velocities`).
      params: of the network.
      start: the diagonal Gaussian that z is standardised by.
      base: the mixture, of standardised latents.
      heun_steps: from noise to a draw, two velocities each.
    """

    def __init__(
        self, network: dict[str, Any], params: Any, start: Gaussian, base: Base,
        heun_steps: int,
    ):  # fmt: skip
        self.settings, self.params, self.base = network, params, base
        self.start, self.heun_steps = start, heun_steps
        self.size, self.classes = int(network["size"]), int(network["classes"])

    @functools.cached_property
    def network(self) -> Any:
        """The Flax module of F."""
        from vae.networks import velocities

        options = {key: self.settings[key] for key in ("width", "blocks") if self.settings[key]}
        if self.settings["shape"]:
            shape = tuple(self.settings["shape"])
            return velocities.unet(shape, classes=self.classes, **options)
        return velocities.mlp(classes=self.classes, **options)

    def initial(self, key: "jax.Array") -> Any:
        """Parameters of which F is 0."""
        import jax
        import jax.numpy as jnp

        given = jnp.zeros((1, self.size)), jnp.zeros((1,)), jnp.zeros((1,), jnp.int32)
        return jax.jit(self.network.init)(key, *given)

    def velocity(
        self, params: Any, x: "jax.Array", t: "jax.Array", label: "jax.Array"
    ) -> "jax.Array":
        """v [B, L] at x [B, L], t [B] and label [B], which is `classes` for no class."""
        import jax.numpy as jnp

        s = jnp.sqrt(t * t + (1.0 - t) * (1.0 - t))[:, None]
        inner = self.network.apply(params, x / s, t, label)
        return velocity(self.base, x, t, label) + inner / s

    def drawn(self, given: Any, label: "jax.Array", keys: "jax.Array") -> "jax.Array":
        """u [B, L] of labels and keys [B]."""
        import jax
        import jax.numpy as jnp

        from vae.estimators.ode import heun
        from vae.probability import noise

        def slope(x: jax.Array, t: jax.Array) -> jax.Array:
            times = jnp.full(len(x), t)

            def found(label: jax.Array) -> jax.Array:
                return self.velocity(given["params"], x, times, label)

            return classes.guided(given, label, self.classes, found)

        return heun(slope, noise.normal(keys, (self.size,)), self.heun_steps)

    def log_density(self, params: Any, seen: "jax.Array", keys: "jax.Array") -> "jax.Array":
        """log p(u) [B] nats of u and label beside each other [B, L + 1]: that of the noise at the
        start of its path, less the integral of the trace of dv/dx along it (Chen et al. 2018, eq.
        8)."""
        import jax
        import jax.numpy as jnp

        from vae.estimators.ode import estimated_trace, exact_trace, heun
        from vae.probability import gaussian

        u, label = seen[:, :-1], seen[:, -1].astype(jnp.int32)
        exact = self.size <= EXACT
        probes = (0 if exact else PROBES, self.size)  # the same all along a path
        signs = jax.vmap(lambda key: jax.random.rademacher(key, probes, u.dtype))(keys)

        def traced(x: jax.Array, label: jax.Array, signs: jax.Array, t: jax.Array) -> Any:
            def along(x: jax.Array, t: jax.Array) -> jax.Array:
                return self.velocity(params, x[None], t[None], label[None])[0]

            return exact_trace(along, x, t) if exact else estimated_trace(along, x, t, signs)

        def slope(state: Any, t: jax.Array) -> Any:
            return jax.vmap(traced, (0, 0, 0, None))(state[0], label, signs, t)

        x, gained = heun(slope, (u, jnp.zeros(len(u))), self.heun_steps, 1.0, 0.0)
        return gaussian.log_prob(x, 0.0, jnp.zeros(())).sum(-1) + gained

    def sampler(self) -> Sampler:
        """Its draws and log densities; both take `labels`, and draws `guidance`."""
        from vae.estimators.batches import PerExample
        from vae.probability import noise

        def finish(u: np.ndarray) -> np.ndarray:
            return self.start.colour(u).astype(np.float32)

        sample = classes.draws(self.drawn, self.params, self.classes, finish, BATCH)
        densities = PerExample(self.log_density)

        def log_prob(z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
            label = classes.checked(labels, len(z), self.classes)
            seen = np.column_stack([prepared(self.start, z), label]).astype(np.float32)
            found = densities(self.params, seen, noise.key_for(0, "evaluate"), BATCH)
            return found - self.start.log_det

        return Sampler(sample, log_prob, self.classes)

    def save(self, folder: Path) -> None:
        """Writes what it is into a folder, an .npy each."""
        about = {"network": self.settings, "heun_steps": self.heun_steps}
        arrays = {"mean": self.start.mean, "std": np.diag(self.start.factor)}
        arrays |= {f"base {name}": array for name, array in self.base._asdict().items()}
        kept.save(folder, about, self.params, **arrays)

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> "VelocityDensity":
        """What `save` wrote, from its arrays by name."""
        about, params, rest = kept.parts(arrays)
        start = Gaussian(rest["mean"], np.diag(rest["std"]))
        base = Base(*(rest[f"base {name}"] for name in Base._fields))
        return cls(about["network"], params, start, base, about["heun_steps"])


def prepared(start: Gaussian, z: np.ndarray) -> np.ndarray:
    """z [..., L] standardised by a diagonal Gaussian, in float32."""
    mean, std = start.mean, np.diag(start.factor)
    return (z - mean.astype(np.float32)) / std.astype(np.float32)

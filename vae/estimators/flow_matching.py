"""Flow matching of latents z: a velocity learnt by regression carries noise to draws of z.

x_t = (1 - t) e + t u of e ~ N(0, I) and standardised z, u, from t = 0 to 1; the velocity v(x, t) =
E[u - e | x_t = x] moves the density of x_0 to that of x_t by dx/dt = v (Lipman et al. 2023,
theorems 1 and 2; Liu et al. 2023, rectified flow).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.errors import UserError
from vae.estimators import classes, learned_densities, mixture_velocity
from vae.estimators.fitted_densities import Sampler, scales
from vae.estimators.velocity_density import VelocityDensity, prepared

if TYPE_CHECKING:
    import jax


def fit_flow_matching(z: np.ndarray, seed: int = 0, **settings: Any) -> Sampler:
    """Flow matching of z [N, L] in a random order; `settings` are arguments of `matched`."""
    return matched(z, seed, **settings).sampler()


def matched(
    z: np.ndarray,
    seed: int = 0,
    labels: np.ndarray | None = None,
    shape: tuple[int, ...] = (),
    fresh: Callable[[int], np.ndarray | None] | None = None,
    steps: int = 4000,
    batch: int = 256,
    rate: float = 1e-3,
    width: int = 0,
    blocks: int = 0,
    components: int = 30,
    average: float = 0.999,
    heun_steps: int = 40,
) -> VelocityDensity:
    """Flow matching of z in a random order, by steps of Adam (see `learned_densities.minimised`).

    Args:
      z: [N, L], or [N, K, L]: K draws of the latents of each of N examples.
      labels: class of each example [N], from 0 on; less than 0: not known. Draws may then be of a
        class, by classifier-free guidance.
      shape: (H, W, C) of latents that are a map: the network is then a small U-Net.
      fresh: gives other draws of the same examples, like z, or None to go on with those before;
        of a number that counts parts of the fit.
      width, blocks: of the network (`vae.networks.velocities`); 0: the default there.
      components: of the mixture of Gaussians that the fit starts from, shared out over classes.
      average: decay of the running mean of the weights, which is what is kept.
      heun_steps: from noise to a draw, two velocities each.

    Raises:
      UserError: too few latents, or a map of another size.
      RunError: a loss that is not finite.
    """
    import jax
    import jax.numpy as jnp

    from vae.probability import noise

    z = _of_draws(z)
    start, size = scales(z.reshape(-1, z.shape[-1])), z.shape[-1]
    number, label = classes.known(labels, len(z))
    network = {"size": size, "shape": list(_map(shape, size)), "classes": number}
    network |= {"width": width, "blocks": blocks}
    base = mixture_velocity.fit(prepared(start, z[:, 0]), label, number, components, seed)
    density = VelocityDensity(network, None, start, base, heun_steps)

    def data(z: np.ndarray) -> dict[str, np.ndarray]:
        return {"u": prepared(start, z), "label": label}

    def again(number: int) -> Any:
        other = fresh(number) if fresh else None
        return None if other is None else data(_of_draws(other))

    def loss(params: Any, seen: dict[str, "jax.Array"], keys: "jax.Array") -> "jax.Array":
        def uniform(number: int) -> jax.Array:
            return jax.vmap(jax.random.uniform)(noise.fold(keys, number))

        draws = seen["u"].shape[1]
        which = jnp.minimum((draws * uniform(0)).astype(int), draws - 1)
        u = jnp.take_along_axis(seen["u"], which[:, None, None], axis=1)[:, 0]
        e, t = noise.normal(noise.fold(keys, 1), (size,)), uniform(2)
        hidden = classes.some_hidden(seen["label"], number, noise.fold(keys, 3))
        x = (1.0 - t)[:, None] * e + t[:, None] * u
        return jnp.square(density.velocity(params, x, t, hidden) - (u - e)).mean(-1)

    density.params = density.initial(noise.key_for(seed, "init"))
    density.params = learned_densities.minimised(
        loss, density.params, data(z), seed, steps, batch, rate, average, again
    )
    return density


def _of_draws(z: np.ndarray) -> np.ndarray:
    return z if z.ndim == 3 else z[:, None]


def _map(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """(H, W, C) where `shape` is that of a map of `size` latents; else ()."""
    if len(shape) < 3:
        return ()
    if int(np.prod(shape)) != size:
        raise UserError(f"shape={shape} is of {int(np.prod(shape))} latents, and z has {size}")
    return tuple(shape)

"""What changes during a run, as pure functions of the epoch (a fraction: step / steps an epoch).

Nothing is counted or stored, so a resumed run is on the same schedule. End points and lengths come
from `hyper`, traced; the kind of schedule is chosen by name when the step is built.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vae.protocols import Hyper


def ramp(epoch: jax.Array, length: jax.Array) -> jax.Array:
    """0 at the start, 1 from `length` epochs on; a length of 0 is 1 throughout."""
    return jnp.where(length > 0, jnp.clip(epoch / jnp.maximum(length, 1e-9), 0.0, 1.0), 1.0)


def cycle(epoch: jax.Array, length: jax.Array) -> jax.Array:
    """Ramps over the first half of each cycle and holds for the second (Fu et al. 2019)."""
    position = epoch / jnp.maximum(length, 1e-9)
    return jnp.clip(2.0 * (position - jnp.floor(position)), 0.0, 1.0)


BETA: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "constant": lambda epoch, length: jnp.ones_like(epoch),
    "linear": ramp,
    "cyclical": cycle,
}


def constant(progress: jax.Array) -> jax.Array:
    """The learning rate as it is."""
    return jnp.ones_like(progress)


def cosine(progress: jax.Array) -> jax.Array:
    """Half a cosine from 1 to 0 over the run (Loshchilov & Hutter 2017)."""
    return 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.clip(progress, 0.0, 1.0)))


def iwae(progress: jax.Array) -> jax.Array:
    """10^(-i/7) in stages i = 0..7 of 3^i epochs, stretched over the run (Burda et al. 2015).

    A run of 3,280 epochs has the paper's own stages.
    """
    ends = (3.0 ** jnp.arange(1, 8) - 1.0) / 2.0 / 3280.0
    stage = (progress[..., None] >= ends - 1e-7).sum(-1)
    return 10.0 ** (-stage / 7.0)


LEARNING_RATE = {"constant": constant, "cosine": cosine, "iwae": iwae}


SCHEDULED = ("beta", "capacity", "learning_rate")  # what `at_step` changes


def at_step(
    hyper: Hyper, step: jax.Array, steps_per_epoch: int, epochs: int, beta: str, learning_rate: str
) -> Hyper:
    """`hyper` with beta, capacity and learning rate as they are for update number `step` (from 0).

    Args:
      hyper: end points and lengths, as in the config's objective and optimizer groups.
      beta, learning_rate: names in BETA and LEARNING_RATE.
    """
    epoch = step.astype(jnp.float32) / steps_per_epoch
    warmup = ramp(epoch + 1.0 / steps_per_epoch, hyper["warmup_epochs"])
    progress = epoch / epochs
    return hyper | {
        "beta": hyper["beta"] * BETA[beta](epoch, hyper["beta_epochs"]),
        "capacity": hyper["capacity"] * ramp(epoch, hyper["capacity_epochs"]),
        "adversarial": hyper["adversarial"] * (epoch >= hyper["critic_start"]),
        "learning_rate": hyper["learning_rate"] * warmup * LEARNING_RATE[learning_rate](progress),
    }

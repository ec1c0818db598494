"""The training state: everything that a resumed run needs, in one pytree."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from vae.model import VAE, initialise

# What a step logs, in the order in which a non-finite value is blamed on one of them.
TERMS = ("distortion", "rate", "elbo", "loss", "gradient_norm")


@flax.struct.dataclass
class State:
    """One run's state. Arrays only; every randomness follows from the seed and `step`."""

    step: jax.Array  # updates tried so far, skipped ones included
    params: Any
    opt_state: Any
    ema: Any  # averaged params; an empty dict where averaging is off
    sums: dict[str, jax.Array]  # of TERMS since the last log line, and the "steps" summed over
    nonfinite_in_row: jax.Array
    nonfinite_total: jax.Array
    blamed: jax.Array  # index into TERMS of the last non-finite one
    best_elbo: jax.Array  # on the validation set, at beta = 1
    waited: jax.Array  # validations since the best

    @property
    def eval_params(self) -> Any:
        """The weights that are evaluated: averaged where averaging is on."""
        return self.ema if self.ema else self.params


def zero_sums() -> dict[str, jax.Array]:
    return {name: jnp.zeros((), jnp.float32) for name in (*TERMS, "steps")}


def create(
    model: VAE, optimizer: Any, hyper: dict[str, jax.Array], shape: tuple[int, ...], ema: bool
) -> State:
    """The state before the first step: a pure function of hyper["seed"], which may be traced."""
    params = initialise(model, shape, hyper["seed"])
    return State(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=optimizer(hyper).init(params),
        ema=jax.tree.map(jnp.copy, params) if ema else {},
        sums=zero_sums(),
        nonfinite_in_row=jnp.zeros((), jnp.int32),
        nonfinite_total=jnp.zeros((), jnp.int32),
        blamed=jnp.zeros((), jnp.int32),
        best_elbo=jnp.full((), -jnp.inf, jnp.float32),
        waited=jnp.zeros((), jnp.int32),
    )

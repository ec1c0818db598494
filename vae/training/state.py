"""The training state: everything that a resumed run needs, in one pytree."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae.models import initialise
from vae.programs import Kept
from vae.training import sharding
from vae.training.program import Hyper, Program

BOOK = (
    "step", "sums", "bad_in_row", "bad_total", "blamed", "best_elbo", "waited"
)  # fmt: skip


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """One run's state. Arrays only; all randomness follows from the seed and `step`."""

    step: jax.Array  # updates tried so far, skipped ones included
    params: Any
    opt_state: Any
    ema: Any  # averaged params; an empty dict where averaging is off
    sums: dict[str, jax.Array]  # of the terms since the last log line; "steps" counts
    bad_in_row: jax.Array
    bad_total: jax.Array
    blamed: jax.Array  # index into Program.terms of what was wrong with the last bad step
    best_elbo: jax.Array  # on the validation set, at beta = 1
    waited: jax.Array  # validations since the best

    def replace(self, **changes: Any) -> "State":
        """The same with other values of some fields."""
        return dataclasses.replace(self, **changes)

    def book(self) -> dict[str, Any]:
        """The few numbers that the host looks at between calls, apart from the weights."""
        return {name: getattr(self, name) for name in BOOK}

    @property
    def eval_params(self) -> Any:
        """The weights that are evaluated: averaged where averaging is on."""
        return self.ema if self.ema else self.params


def zero_sums(program: Program) -> dict[str, Any]:
    """Zeros for every term of the program, and for the count of steps."""
    return {name: np.zeros((), np.float32) for name in (*program.terms, "steps")}


def create(program: Program, hyper: Hyper, shape: tuple[int, ...]) -> State:
    """The state before the first step: a pure function of hyper["seed"], which may be traced.

    Args:
      shape: of one example.
    """
    from vae.training import optimizers

    params = initialise(program.model, shape, hyper["seed"])
    return State(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=optimizers.init(program.optimizer, hyper, params),
        ema=jax.tree.map(jnp.copy, params) if program.ema else {},
        sums=zero_sums(program),
        bad_in_row=jnp.zeros((), jnp.int32),
        bad_total=jnp.zeros((), jnp.int32),
        blamed=jnp.zeros((), jnp.int32),
        best_elbo=jnp.full((), -jnp.inf, jnp.float32),
        waited=jnp.zeros((), jnp.int32),
    )


def shapes(program: Program, hyper: Hyper, shape: tuple[int, ...]) -> State:
    """Shapes and types of a state, without computing one."""
    return jax.eval_shape(lambda: create(program, hyper, shape))


class Creator:
    """The state before the first step of runs of one program, compiled once; the seed is traced.

    Args:
      shape: of one example.
      key: what the program depends on, for `vae.programs`; None to keep nothing.
      model_axis: devices that share the weights; no device then has all of a state.
    """

    def __init__(
        self,
        program: Program,
        shape: tuple[int, ...],
        key: str | None = None,
        model_axis: int = 1,
    ):
        mesh = sharding.mesh_of(model_axis) if model_axis > 1 else None
        # It runs once a run, in no time: what counts is to compile it fast.
        quick = {"xla_backend_optimization_level": 0}
        first = lambda hyper: sharding.kept(mesh, create(program, hyper, shape))  # noqa: E731
        self._first = Kept(lambda: jax.jit(first, compiler_options=quick), "first", key)
        self._shapes: State | None = None

    def __call__(self, hyper: Hyper) -> State:
        """The state on the host."""
        return sharding.get(self._first(hyper))

    def shapes(self, hyper: Hyper) -> State:
        """Shapes and types of the state."""
        if self._shapes is None:
            self._shapes = self._first.shapes(hyper)
        return self._shapes

"""What is fixed when a step is compiled, beside the hyperparameters, which are traced."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from vae.protocols import Hyper, Objective
from vae.training import schedules

if TYPE_CHECKING:
    from vae.models import Model


class Parts(NamedTuple):
    """What a step is traced with."""

    model: "Model"
    objective: Objective
    optimizer: Callable[[Hyper], Any]


@dataclasses.dataclass(frozen=True)
class Program:
    """What is fixed when a step is compiled; everything else is traced."""

    parts: Callable[[], Parts]  # built when something is first traced; never where all is kept
    terms: tuple[str, ...]  # what a step logs, in the order in which a bad step is blamed on one
    beta_schedule: str
    learning_rate_schedule: str
    num_examples: int  # of the training set
    steps_per_epoch: int
    epochs: int
    binarize: bool  # draw fresh binary pixels from the raw ones at every step
    levels: int  # grey levels of the raw data, 2 for binary, 0 for real
    ema: bool
    skip_steps: int
    accumulate: int = 1  # parts of a batch that are done one after the other
    freeze: tuple[str, ...] = ()  # parts of the model whose weights stay as they are
    masked: bool = False  # the latents are the first hyper["latent_size"] of the model's

    @property
    def model(self) -> "Model":
        """The model, built when first asked for."""
        return self.parts().model

    @property
    def objective(self) -> Objective:
        """The objective, built when first asked for."""
        return self.parts().objective

    @property
    def optimizer(self) -> Callable[[Hyper], Any]:
        """Makes the optimiser of given hyperparameters; built when first asked for."""
        return self.parts().optimizer


def hyper_at(program: Program, hyper: Hyper, step: jax.Array) -> Hyper:
    """The hyperparameters as update number `step` uses them."""
    return schedules.at_step(
        hyper | {"num_examples": np.float32(program.num_examples)},
        step,
        program.steps_per_epoch,
        program.epochs,
        program.beta_schedule,
        program.learning_rate_schedule,
    )

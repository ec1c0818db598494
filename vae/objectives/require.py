"""What an objective needs of model and posterior, refused in one line where it is not there."""

from collections.abc import Callable
from typing import Any

from vae.errors import UserError
from vae.models import Model
from vae.objectives import facts
from vae.probability.distributions import Diagonal

PARTS = {  # of a model, as in `Facts.parts`: what to do where it is not there
    "codebook": "a codebook: set model.name=vqvae",
    "classifier": "a classifier: set data.context=labels and model.classifier=mlp",
    "regressor": "model.regressor: set it to mlp",
}


def missing(name: str, part: str) -> UserError:
    """The message that the model lacks the part which objective `name` trains."""
    return UserError(f"objective.name={name!r} trains {PARTS[part]}")


def parts(objective: Callable[..., Any], model: Model) -> None:
    """Raises UserError where the model lacks a part that the objective trains."""
    there = {
        "codebook": model.codes > 0,
        "classifier": model.classifier is not None,
        "regressor": model.regressor is not None,
    }
    for part in facts.of(objective).parts:
        if not there[part]:
            raise missing(objective.__name__, part)


def density(name: str, model: Model, q: Any) -> None:
    """Raises UserError where log q(z|x) is known only at q's own draws."""
    if not q.has_density:
        raise UserError(
            f"objective.name={name!r} holds q's parameters in log q(z|x) at its own draws, which "
            f"{model.chosen_by} cannot: it has the density of a draw only as it is drawn; use iwae"
        )


def diagonal(name: str, model: Model, q: Any) -> None:
    """Raises UserError where a mean and a variance of each latent do not determine q."""
    if not isinstance(q, Diagonal):
        raise UserError(
            f"objective.name={name!r} takes each latent's mean and variance for all of q(z|x), and "
            f"{model.chosen_by} has more to it: set model.name=vae and model.posterior=diagonal"
        )


def one_layer(name: str, model: Model) -> None:
    """Raises UserError where there are several layers of latents."""
    if model.layers > 1:
        raise UserError(
            f"objective.name={name!r} is about one layer of latents: set model.name=vae"
        )

"""What an objective needs of the posterior, refused in one line where it is not there."""

from typing import Any

from vae.errors import UserError
from vae.models import Model
from vae.probability.distributions import Diagonal


def density(name: str, model: Model, q: Any) -> None:
    """Raises UserError where log q(z|x) is known of q's own draws alone."""
    if not q.has_density:
        raise UserError(
            f"objective.name={name!r} holds q's parameters in log q(z|x) at its own draws, which "
            f"{_name(model)} cannot: it has the density of a draw only as it is drawn; use iwae"
        )


def diagonal(name: str, model: Model, q: Any) -> None:
    """Raises UserError where q has no mean and variance of each latent that say all of it."""
    if not isinstance(q, Diagonal):
        raise UserError(
            f"objective.name={name!r} takes each latent's mean and variance for all of q(z|x), and "
            f"{_name(model)} has more to it: set model.name=vae and model.posterior=diagonal"
        )


def one_layer(name: str, model: Model) -> None:
    """Raises UserError where there are several layers of latents."""
    if model.layers > 1:
        raise UserError(
            f"objective.name={name!r} is about one layer of latents: set model.name=vae"
        )


def _name(model: Model) -> str:
    if model.layers > 1:
        return f"model.name={type(model).__name__!r}"
    return f"model.posterior={type(model.posterior).__name__!r}"

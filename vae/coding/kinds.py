"""How the latents of each kind of model are coded."""

from typing import TYPE_CHECKING

from vae.coding.downward import AutoregressiveLatents, DownwardLatents
from vae.coding.fixed_bins import MixtureLatents, UpwardLatents
from vae.coding.latents import Latents
from vae.errors import UserError
from vae.models.hierarchy import Downward
from vae.models.layered import chain
from vae.probability.distributions import Diagonal
from vae.probability.flow_priors import autoregressive
from vae.probability.gaussian_priors import mixture, vamp

if TYPE_CHECKING:
    from vae.models import Model


def kind_of(model: "Model") -> type[Latents]:
    """How a model's latents are coded.

    Raises:
      UserError: they are not.
    """
    if isinstance(model, chain):
        return UpwardLatents
    if isinstance(model, Downward):
        return DownwardLatents
    if model.layers == 1 and issubclass(model.distribution, Diagonal):
        prior = getattr(model, "prior", None)
        if model.standard:
            return Latents
        if isinstance(prior, mixture | vamp):
            return MixtureLatents
        if isinstance(prior, autoregressive):
            return AutoregressiveLatents
    raise UserError(
        "compress takes hierarchies, and one layer of latents with model.posterior=diagonal and "
        f"model.prior=normal, mixture, vamp or autoregressive; this model has {model.chosen_by}"
    )

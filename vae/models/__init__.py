"""Models: what `model.name` chooses, and how one is built, bound and initialised."""

from vae.models.base import Joint, Model
from vae.models.build import from_config
from vae.models.flat import VAE
from vae.models.weights import fit, given, initialise, variables

__all__ = ["VAE", "Joint", "Model", "fit", "from_config", "given", "initialise", "variables"]

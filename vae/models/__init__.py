"""Models: what `model.name` chooses, and how one is built, bound and initialised.

What is not asked for is not imported: a run whose programs are all kept needs no model, nor Flax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae.models.base import Model
    from vae.models.build import from_config
    from vae.models.flat import VAE
    from vae.models.weights import fit, given, initialise, variables

__all__ = ["VAE", "Model", "fit", "from_config", "given", "initialise", "variables"]

HOMES = {"base": ("Model",), "build": ("from_config",), "flat": ("VAE",)}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((home for home, names in HOMES.items() if name in names), "weights")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)

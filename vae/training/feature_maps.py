"""The features that `objective.features` names, as a function that a step can be traced with."""

from collections.abc import Callable
from typing import Any

import jax
from ml_collections import ConfigDict

from vae import parts
from vae.data.dataset import Dataset
from vae.errors import UserError

CLASSIFIER = "classifier"

Maps = Callable[[jax.Array], list[jax.Array]]


def of(config: ConfigDict, dataset: Dataset) -> Maps | None:
    """Images [B, H, W, C] in [0, 1] -> maps of features [B, ..., F]; None where none are asked for.

    "classifier" is the project's own, trained on this training set and its labels the first time it
    is asked for, and kept in the user's cache: what its convolutions and its last layer see.

    Raises:
      UserError: there are no labels to train it on, or a name cannot be imported.
    """
    name = config.objective.features
    if not name:
        return None
    if parts.is_outside(name):
        return _listed(parts.outside(name, "objective.features"))
    if name != CLASSIFIER:
        raise UserError(
            f"objective.features={name!r} is neither {CLASSIFIER} nor package.module:name"
        )
    from vae.data.observe import scale
    from vae.scores.samples.feature_cache import kept
    from vae.scores.samples.features import maps

    train = dataset.splits["train"]
    if train.labels is None:
        raise UserError(
            f"objective.features={CLASSIFIER} needs labels, and {dataset.name} has none: name a "
            "function of your own, package.module:name"
        )
    seen = jax.device_get(scale(train.x[:], dataset.grey_levels))
    return maps(kept(seen, train.known("labels")[:], dataset.name))


def _listed(function: Callable[..., Any]) -> Maps:
    def maps(images: jax.Array) -> list[jax.Array]:
        found = function(images)
        return list(found) if isinstance(found, (list, tuple)) else [found]

    return maps

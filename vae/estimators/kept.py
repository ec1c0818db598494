"""Fitted densities as a folder of arrays, an .npy each: what they are, weights and all else."""

import json
from pathlib import Path
from typing import Any

import numpy as np


def save(folder: Path, about: dict[str, Any], params: Any, **arrays: np.ndarray) -> None:
    """Writes them.

    Args:
      about: settings, of what JSON takes.
      params: weights of a Flax module, with `params` at the top.
    """
    from flax.traverse_util import flatten_dict

    arrays = {"about": np.array(json.dumps(about)), **arrays, **flatten_dict(params, sep=".")}
    for name, value in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(value))


def parts(arrays: dict[str, np.ndarray]) -> tuple[dict[str, Any], Any, dict[str, np.ndarray]]:
    """`about`, the weights and all other arrays, of those that `save` wrote, by name."""
    from flax.traverse_util import unflatten_dict

    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    about = json.loads(str(arrays.pop("about")))
    weights = {name: arrays.pop(name) for name in list(arrays) if name.startswith("params.")}
    return about, unflatten_dict(weights, sep="."), arrays

"""Weights to start from: those of another run, where their places have the same shape."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from vae import runs
from vae.checkpoint import Checkpoints, flatten
from vae.errors import UserError


def weights_of(workdir: Path) -> dict[str, np.ndarray]:
    """The weights that a run is evaluated with, by path.

    Raises:
      UserError: no run there, or no checkpoint yet.
    """
    config = runs.read_config(workdir)
    branch = "ema/" if config.train.ema else "params/"
    with Checkpoints(workdir, read_only=True) as checkpoints:
        step = checkpoints.best_step() if config.eval.checkpoint == "best" else None
        step = step if step is not None else max(checkpoints.steps(), default=None)
        if step is None:
            raise UserError(f"train.init_from={workdir} holds no checkpoint yet: train it first")
        arrays = checkpoints.load(step)
    return {name.removeprefix(branch): a for name, a in arrays.items() if name.startswith(branch)}


def started(params: Any, workdir: Path) -> tuple[Any, str]:
    """The weights with those of another run in their places, and a line that says which.

    Args:
      params: at the start, a tree of arrays.

    Raises:
      UserError: no run there, or none of its weights has a place here.
    """
    theirs, ours = weights_of(workdir), flatten(params)
    taken = {n for n, a in ours.items() if n in theirs and theirs[n].shape == a.shape}
    if not taken:
        raise UserError(f"train.init_from={workdir}: none of its weights fits this model")
    left = [name for name in ours if name not in taken]
    more = f"; not {', '.join(left[:4])}{', ...' * (len(left) > 4)}" if left else ""

    def pick(path: Any, leaf: Any) -> Any:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return theirs[name].astype(leaf.dtype) if name in taken else leaf

    said = f"starts from {len(taken)} of {len(ours)} arrays of weights of {workdir}{more}"
    return jax.tree_util.tree_map_with_path(pick, params), said


def check_parts(names: tuple[str, ...], params: Any) -> None:
    """Raises UserError where `train.freeze` names what is no part of the model, or all of it."""
    strange = [name for name in names if name not in params]
    if strange:
        raise UserError(
            f"train.freeze names {strange[0]!r}, and the model's parts with weights are "
            f"{', '.join(sorted(params))}"
        )
    if set(names) == set(params):
        raise UserError("train.freeze names every part of the model: there is nothing to train")

"""Variational autoencoders in JAX: configs in, trained, evaluated and reported runs out.

    run = vae.train(config, "runs/mine")   # a run directory
    vae.evaluate("runs/mine")              # evaluation.json
    vae.sweep(config, grid, workdir="s")   # a grid of runs, one table, one page
    model = vae.load("runs/mine")          # encode, decode, sample, reconstruct, log_likelihood

The functions import JAX when they are called, so that `import vae` and `--help` answer at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ml_collections import ConfigDict

    from vae.evaluation.trained import Trained
    from vae.sweeps.grid import Grid

__version__ = "0.1.0"
__all__ = ["evaluate", "load", "sweep", "train"]


def train(config: "ConfigDict", workdir: str | None = None, extend: bool = False) -> str:
    """Trains the config, resuming what `workdir` already holds; returns the run directory.

    A run may go on with more `train.epochs`; where its result depends on the length, only with
    `extend`."""
    from vae.training.train import train

    return train(config, workdir, extend)


def evaluate(
    workdir: str, split: str | None = None, metrics: "Sequence[str] | None" = None
) -> dict[str, Any]:
    """Computes every metric that the run's config or `metrics` names (docs/evaluation.md); writes
    and returns `evaluation.json`."""
    from vae.evaluation.evaluate import evaluate

    return evaluate(workdir, split, metrics)


def sweep(config: "ConfigDict", grid: "Grid", **options: Any) -> str:
    """Trains, evaluates and reports every point of a grid (see `vae.sweeps.grid`), resuming what is
    there; returns the sweep's directory. Options: those of `vae.sweeps.launch.sweep`."""
    from vae.sweeps.launch import sweep

    return sweep(config, grid, **options)


def load(workdir: "str | Path") -> "Trained":
    """Loads a trained run: `encode`, `decode`, `sample`, `reconstruct`, `log_likelihood`."""
    from vae.evaluation.trained import load

    return load(workdir)

"""Variational autoencoders in JAX: configs in, trained, evaluated and reported runs out.

    model = vae.fit(x, latent_size=8)      # arrays, tables, cells or a path: a trained model
    run = vae.train(config, "runs/mine")   # a run directory
    vae.evaluate("runs/mine")              # evaluation.json
    vae.sweep(config, grid, workdir="s")   # a grid of runs, one table, one page
    model = vae.load("runs/mine")          # encode, decode, sample, ...; also hub:USER/NAME
    table = vae.results("runs")            # all runs under a folder: configs, states, metrics

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
__all__ = ["evaluate", "fit", "load", "results", "sweep", "train"]


def fit(
    x: Any,
    labels: Any = None,
    config: "ConfigDict | str | None" = None,
    workdir: "str | Path | None" = None,
    **changes: Any,
) -> "Trained":
    """Trains a model of data, and returns it; what is there already goes on.

    The run directory keeps data that are in memory, so that the run can be evaluated, reported and
    resumed by itself. Likelihood and scaling follow from the data; the first line says what was
    done.

    Args:
      x: an array [N, D], [N, H, W] or [N, H, W, C], a sparse matrix of SciPy, a DataFrame, an
        AnnData, or the path of a file or folder (docs/data.md).
      labels: [N], numbers or text, or the name of a column of a table.
      config: to start from, or the name of a shipped one; by default every key at its default.
      workdir: run directory; by default runs/ and a name made of data and config.
      changes: of keys of the config: `latent_size=8`, or `train__epochs=50` with the group.

    Raises:
      UserError: data or config are wrong; the message names everything.
      RunError: training diverged.
    """
    from vae.one_call import fit

    return fit(x, labels, config, workdir, **changes)


def results(folder: "str | Path" = "runs") -> Any:
    """Every run under a folder, a row each, as a DataFrame: workdir, state, step, the keys of the
    config, and the metrics of `evaluation.json` with their standard errors."""
    from vae.gathering import results

    return results(folder)


def train(
    config: "ConfigDict",
    workdir: str | None = None,
    extend: bool = False,
    data: Any = None,
    labels: Any = None,
) -> str:
    """Trains the config, resuming what `workdir` already holds; returns the run directory.

    `train.epochs` may have grown since; where the result depends on the length, `extend` must say
    so. `data` and `labels`, as `vae.fit` takes them, are in place of what the config names.
    """
    if data is not None:
        from vae.one_call import trained

        return trained(config, data, labels, workdir)
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
    """Loads a trained run: `encode`, `decode`, `sample`, `reconstruct`, `log_likelihood`.

    `hub:USER/NAME` is one that was pushed to the Hugging Face hub.
    """
    from vae.evaluation.trained import load

    if str(workdir).startswith("hub:"):
        from vae.hub import cached

        workdir = cached(str(workdir))
    return load(workdir)

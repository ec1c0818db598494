"""The verbs that turn examples into latents, and latents into examples: encode, reconstruct,
interpolate."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vae.data.dataset import Rows
from vae.errors import UserError
from vae.evaluation import cell_files, inputs, outputs
from vae.evaluation.trained import Trained, load

PART = 10_000  # examples at a time
LONGEST = 1000  # steps between two examples


def encode(workdir: str | Path, source: str, output: str | Path) -> tuple[int, int]:
    """Writes mean and standard deviation of q(z|x) of every example.

    Args:
      source: a file or folder, as what the run was trained on; or train, validation or test.
      output: .csv or .parquet: what stands beside the examples (ids, labels, other columns), then
        `mean_0`, ..., `std_0`, ...; .npz: the same as arrays, `mean` and `std` [N, L]; .h5ad: the
        mean as obsm["X_vae"], in a copy of an input that is one (`vae.evaluation.cell_files`).

    Returns:
      Numbers of examples and of latents.

    Raises:
      UserError: no run, no such file, or one that does not fit; nothing is written.
    """
    path, run = outputs.check(output, (cell_files.SUFFIX,)), load(workdir)
    given, x, context = inputs.given(source, run)
    mean, std = np.empty((len(x), run.latent_size)), np.empty((len(x), run.latent_size))
    for rows, c in _parts(x, context):
        mean[rows], std[rows] = run.encode(x[rows], c)
    if path.suffix == cell_files.SUFFIX:
        _to_cells(path, source, run, given, "obsm", cell_files.LATENTS, iter([mean]), mean.shape)
        return len(x), run.latent_size
    latents = {"mean": mean.astype(np.float32), "std": std.astype(np.float32)}
    outputs.write(path, {**given.beside_of(latents), **latents})
    return len(x), run.latent_size


def reconstruct(workdir: str | Path, source: str, output: str | Path) -> int:
    """Writes the mean of p(x|z) at the mean of q(z|x) of every example, in the data's own units.

    Args:
      source: as of `encode`.
      output: .csv or .parquet: what stands beside the examples, then the run's columns (or
        `x_0`, ...); .npz: `x` [N, *shape]; .h5ad, of counts: normalised expression, shares of a
        library of 10,000, as layers["vae_normalized"], in a copy of an input that is one.

    Returns:
      The number of examples.

    Raises:
      UserError: as `encode`.
    """
    path, run = outputs.check(output, (cell_files.SUFFIX,)), load(workdir)
    given, x, context = inputs.given(source, run)
    if path.suffix == cell_files.SUFFIX:
        shares = (cell_files.LIBRARY * run.shares(run.encode(x[rows], c)[0], c)
                  for rows, c in _parts(x, context))  # fmt: skip
        shape = (len(x), run.shape[0])
        _to_cells(path, source, run, given, "layers", cell_files.NORMALIZED, shares, shape)
        return len(x)
    found = np.empty((len(x), *run.shape), np.float32)
    for rows, c in _parts(x, context):
        found[rows] = run.reconstruct(x[rows], c)
    columns, names = outputs.examples(path, run, found)
    outputs.write(path, {**given.beside_of(columns), **columns}, names)
    return len(x)


def interpolate(
    workdir: str | Path, first: int, last: int, output: str | Path, steps: int = 8,
    source: str = "test",
) -> int:  # fmt: skip
    """Writes the means of p(x|z) along the line between the posterior means of two examples.

    Args:
      first, last: numbers of the examples, from 0 on.
      output: as of `reconstruct`; the step's `share` of the way stands beside it.
      steps: of the way, the two ends counted.

    Returns:
      The number of steps.

    Raises:
      UserError: as `encode`, or there is no example of that number.
    """
    path, run = outputs.check(output), load(workdir)
    if not 2 <= steps <= LONGEST:
        raise UserError(f"--steps={steps}: give a number from 2 to {LONGEST}")
    _, x, context = inputs.given(source, run)
    for number in (first, last):
        if not 0 <= number < len(x):
            raise UserError(f"there is no example {number}: {source} has {len(x):,}, from 0 on")
    ends = None if context is None else (context[[first]], context[[last]])
    found = run.interpolate(x[first], x[last], steps, ends)
    share = np.linspace(0.0, 1.0, steps, dtype=np.float32)
    columns, names = outputs.examples(path, run, found)
    outputs.write(path, {"share": share, **columns}, names)
    return steps


def _to_cells(
    path: Path, source: str | Path, run: Trained, given: inputs.Given, group: str, name: str,
    parts: Iterator[np.ndarray], shape: tuple[int, ...],
) -> None:  # fmt: skip
    """Numbers of each cell as `cell_files.write` has them."""
    cells = given.beside.get(run.described.get("id", ""))
    cell_files.write(path, source, group, name, parts, (shape[0], shape[1]), cells,
                     run.column_names)  # fmt: skip


def _parts(x: Rows, context: np.ndarray | None) -> Iterator[tuple[slice, np.ndarray | None]]:
    """Slices of the examples, and the contexts of each."""
    for start in range(0, len(x), PART):
        rows = slice(start, start + PART)
        yield rows, None if context is None else context[rows]

"""Checkpoints of a whole state, through Orbax: asynchronous, checksummed, latest two and best.

A state is saved as a flat mapping from path ("params/encoder/Dense_0/kernel") to numpy array with
no trace of devices, so what many devices wrote one restores, and the other way round.
"""

import hashlib
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from vae.errors import RunError, UserError

_KEPT = "what was saved before is kept: make room and run the same command to go on"

policies = ocp.training.preservation_policies


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """Path -> host array for every leaf of a pytree."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(tree))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in leaves
    }


def unflatten(template: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Puts `arrays` into the structure of `template` (arrays or shapes).

    Raises:
      RunError: a path is missing, or has another shape.
    """

    def pick(path: Any, leaf: Any) -> np.ndarray:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name not in arrays or arrays[name].shape != leaf.shape:
            found = arrays[name].shape if name in arrays else "nothing"
            raise RunError(
                f"the checkpoint holds {found} for {name}, the model needs {leaf.shape}: "
                "it was written by another version of the code; train again in a new --workdir"
            )
        return arrays[name]

    return jax.tree_util.tree_map_with_path(pick, template)


def checksum(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over paths, types and contents."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class Checkpoints:
    """The checkpoints of one run directory; a context manager that waits for pending saves."""

    def __init__(self, workdir: Path | str, read_only: bool = False):
        self.directory = Path(workdir).resolve() / "checkpoints"
        self.read_only = read_only
        self._newest = -1  # step of the last save or restore
        if read_only and not self.directory.exists():
            raise UserError(f"{workdir} holds no checkpoint yet: train it first")
        keep = [policies.LatestN(2), policies.BestN(get_metric_fn=_elbo, n=1)]
        self._orbax = ocp.training.Checkpointer(
            self.directory,
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy(keep),
            cleanup_tmp_directories=not read_only,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: Any) -> None:
        with self._saving():
            self._orbax.close()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Turns what Orbax and TensorStore raise, of many types, into one RunError."""
        try:
            yield
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"cannot save a checkpoint in {self.directory}: {reason}\n{_KEPT}"
            ) from error

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, oldest first."""
        return [checkpoint.step for checkpoint in self._orbax.checkpoints]

    def save(self, step: int, state: Any, elbo: float | None) -> None:
        """Starts saving `state`; returns once it is copied. `elbo` ranks it for `best`.

        A step that is saved already, or being saved, is left as it is.
        """
        if step == self._newest:
            return
        self._newest = step
        arrays = flatten(state)
        self.wait()
        self._check_space(sum(array.nbytes for array in arrays.values()))
        with self._saving():
            self._orbax.save_async(
                step,
                arrays,
                force=True,
                metrics=None if elbo is None else {"elbo": float(elbo)},
                custom_metadata={"sha256": checksum(arrays)},
            )

    def _check_space(self, size: int) -> None:
        """Fails before a save that the disk cannot hold, rather than in its middle."""
        free = shutil.disk_usage(self.directory).free
        if free < 1.25 * size + 2**18:  # what Orbax writes beside the arrays
            raise RunError(
                f"no space left in {self.directory} for a checkpoint of {size / 2**20:.1f} MiB "
                f"({free / 2**20:.1f} MiB free)\n{_KEPT}"
            )

    def wait(self) -> None:
        """Blocks until every save has reached the disk."""
        with self._saving():
            self._orbax.wait()

    def best_step(self) -> int | None:
        """The step with the highest validation ELBO, or None."""
        ranked = [c for c in self._orbax.checkpoints if c.metrics and np.isfinite(_elbo(c.metrics))]
        return max(ranked, key=lambda c: _elbo(c.metrics)).step if ranked else None

    def load(self, step: int) -> dict[str, np.ndarray]:
        """The arrays saved at `step`.

        Raises:
          RunError: they cannot be read, or are not what was written.
        """
        try:
            described = self._orbax.metadata(step)
            arrays = self._orbax.load(step)
            intact = described.custom_metadata["sha256"] == checksum(arrays)
        except Exception as error:  # Orbax and TensorStore raise many types for a damaged file
            raise RunError(f"checkpoint {step} cannot be read ({type(error).__name__})") from error
        if not intact:
            raise RunError(f"checkpoint {step} is damaged (its checksum does not match)")
        return arrays

    def restore(self, template: Any, step: int | None = None) -> tuple[int, Any] | None:
        """Restores the checkpoint at `step`, or the latest, or the newest one before that is whole.

        A damaged one is reported with a warning and, unless read-only, deleted.

        Returns:
          (step, state), or None where there is no checkpoint at all.

        Raises:
          RunError: there are checkpoints and none can be read.
        """
        steps = [s for s in reversed(self.steps()) if step is None or s <= step]
        damaged = []
        for candidate in steps:
            try:
                arrays = self.load(candidate)
            except RunError as error:
                damaged.append(candidate)
                warnings.warn(f"{error}: trying the one before it", stacklevel=2)
                continue
            for bad in [] if self.read_only else damaged:
                self._orbax.delete(bad)
            self._newest = candidate
            return candidate, unflatten(template, arrays)
        if steps:
            raise RunError(
                f"no checkpoint in {self.directory} can be read: delete the run and train it again"
            )
        return None


def _elbo(metrics: Any) -> float:
    return metrics["elbo"]

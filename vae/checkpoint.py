"""Checkpoints of a whole state, through Orbax: asynchronous, checksummed, latest two and best.

A state is saved as a flat mapping from path ("params/encoder/Dense_0/kernel") to numpy array. It
holds no trace of devices: one device restores what many wrote, and the other way round.

Orbax writes and cleans up. This module lists and reads what is on disk, one step at a time, with
TensorStore: in Orbax one damaged file stops the listing of all steps, and an unreadable one prints
pages of other tasks' tracebacks. The checkpointer is made at the first save.
"""

import functools
import hashlib
import json
import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vae.distributed import barrier, suspect
from vae.errors import RunError, UserError

_KEPT = "what was saved before is kept: make room and run the same command to go on"

_HEADER = "/zarr.json"  # of each array, behind its path


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
            if name == "step" and name not in arrays:
                raise RunError(
                    "the checkpoint holds weights alone, as a pushed run does, and cannot be "
                    "trained on: start another run from it with --init_from"
                )
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


def _library() -> Any:
    """Orbax, which takes a third of a second to import."""
    from orbax.checkpoint import v1

    return v1


class Checkpoints:
    """The checkpoints of one run directory; a context manager that waits for pending saves.

    A thread imports Orbax while a training starts; the first save waits for it.
    """

    def __init__(self, workdir: Path | str, read_only: bool = False):
        self.directory = Path(workdir).resolve() / "checkpoints"
        self.read_only = read_only
        self._newest = -1  # step of the last save or restore
        if read_only and not self.directory.exists():
            raise UserError(f"{workdir} holds no checkpoint yet: train it first")
        if not read_only:
            self.directory.mkdir(parents=True, exist_ok=True)
            threading.Thread(target=_library).start()

    @functools.cached_property
    def _orbax(self) -> Any:
        """The checkpointer. It reads the ELBO of every step, so unreadable steps are deleted
        first."""
        for step in self.steps():
            try:
                self._elbo(step)
            except RunError as error:
                warnings.warn(f"{error}: it is deleted", stacklevel=2)
                self._delete(step)
        training = _library().training
        policies = training.preservation_policies
        keep = [policies.LatestN(2), policies.BestN(get_metric_fn=_elbo_in, n=1)]
        return training.Checkpointer(
            self.directory,
            save_decision_policy=training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy(keep),
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: Any) -> None:
        if "_orbax" in vars(self):
            with self._saving():
                self._orbax.close()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Turns what Orbax and TensorStore raise, of many types, into one RunError."""
        try:
            yield
        except Exception as error:
            suspect()
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RunError(
                f"cannot save a checkpoint in {self.directory}: {reason}\n{_KEPT}"
            ) from error

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, oldest first."""
        return sorted(int(p.name) for p in self.directory.glob("*") if p.name.isdecimal())

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
        elbo = None if elbo is None else float(elbo)
        with self._saving():
            self._orbax.save_async(
                step,
                arrays,
                force=True,
                metrics=None if elbo is None else {"elbo": elbo},
                custom_metadata={"sha256": checksum(arrays), "elbo": elbo},
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
        """The step with the highest validation ELBO, or None; a damaged one is warned of."""
        ranked = {}
        for step in self.steps():
            try:
                elbo = self._elbo(step)
            except RunError as error:
                warnings.warn(f"{error}: it is left out", stacklevel=2)
                continue
            if elbo is not None and np.isfinite(elbo):
                ranked[step] = elbo
        return max(ranked, key=lambda step: ranked[step], default=None)

    def _elbo(self, step: int) -> float | None:
        """The validation ELBO of a step; None where it was saved without one.

        Raises:
          RunError: it cannot be read.
        """
        path = self.directory / str(step) / "metrics" / "metrics"
        try:
            return float(_elbo_in(json.loads(path.read_text()))) if path.exists() else None
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise RunError(f"checkpoint {step} is damaged ({type(error).__name__})") from error

    def load(self, step: int) -> dict[str, np.ndarray]:
        """The arrays saved at `step`.

        Raises:
          RunError: they cannot be read, or are not what was written.
        """
        elbo, path = self._elbo(step), self.directory / str(step)
        try:
            written = json.loads((path / "_CHECKPOINT_METADATA").read_text())["custom_metadata"]
            arrays = _read(path / "state")
            # An older checkpoint does not say its ELBO twice.
            intact = repr(written.get("elbo", elbo)) == repr(elbo)
            intact = intact and written["sha256"] == checksum(arrays)
        except Exception as error:  # TensorStore raises many types for a damaged file
            raise RunError(f"checkpoint {step} cannot be read ({type(error).__name__})") from error
        if not intact:
            raise RunError(f"checkpoint {step} is damaged (its checksum does not match)")
        return arrays

    def restore(self, template: Any, step: int | None = None) -> tuple[int, Any] | None:
        """Restores the checkpoint at `step` (by default the latest), or else the newest whole one
        before it.

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
                self._delete(bad)
            self._newest = candidate
            return candidate, unflatten(template, arrays)
        if steps:
            raise RunError(
                f"no checkpoint in {self.directory} can be read: delete the run and train it again"
            )
        return None

    def _delete(self, step: int) -> None:
        """Deletes a damaged step, whatever is left of it."""
        path = self.directory / str(step)
        if jax.process_index() == 0:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        barrier("deleted")


def _elbo_in(metrics: Any) -> float:
    return metrics["elbo"]


def _read(folder: Path) -> dict[str, np.ndarray]:
    """The arrays that Orbax wrote into a folder, by path: Zarr in one OCDBT database."""
    import tensorstore  # Orbax brings it

    database = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/"}}
    keys = tensorstore.KvStore.open(database).result().list().result()
    names = [key.decode().removesuffix(_HEADER) for key in keys if key.decode().endswith(_HEADER)]
    stores = [{"driver": "zarr3", "kvstore": {**database, "path": f"{name}/"}} for name in names]
    opening = [tensorstore.open(store, open=True) for store in stores]
    reading = [store.result().read() for store in opening]
    return {name: array.result() for name, array in zip(names, reading, strict=True)}

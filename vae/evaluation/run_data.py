"""What a run's data are, and how examples of them are seen: of the user's tables too."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from vae.columns import Column, cells, kept, of_described, own, seen
from vae.data import again, arrowfiles, frames, mixed
from vae.data.dataset import Dataset, Lazy
from vae.data.observe import observed
from vae.data.precision import standardize
from vae.errors import UserError
from vae.evaluation import accepted


class RunData:
    """A run's data set, and the way from its own numbers to those that a model sees, and back."""

    def __init__(self, workdir: Path, config: Any, described: dict[str, Any]):
        self.workdir, self.config, self.described = workdir, config, described
        self.shape = tuple(described["shape"])

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The data that the run was trained on, loaded when first asked for."""
        return again.load(self.workdir, self.config, self.described)

    def examples(self, split: str = "test", num: int | None = None) -> np.ndarray:
        """The first `num` examples of a split (all by default) as the model sees them.

        Training examples that are binarised at every step are binarised once, by a fixed seed.
        """
        return self.seen(split)[:num]

    def seen(self, split: str) -> Lazy:
        """All examples of a split as the model sees them, read when they are indexed."""
        return observed(self.dataset, split, self.described["observed"])

    @functools.cached_property
    def column_kinds(self) -> tuple[Column, ...]:
        """What each column of the run's data is; a UserError where they are of one kind."""
        if "column_kinds" not in self.described:
            likelihood = self.config.model.likelihood
            raise UserError(
                f"{self.workdir} has {likelihood} for all numbers: train with "
                "--config.model.likelihood=columns"
            )
        return of_described(self.described["column_kinds"])

    @property
    def column_names(self) -> list[str]:
        """Names of the run's columns; their numbers, where they have none."""
        width = self.shape[0]
        return list(map(str, self.described.get("columns") or range(width)))

    def prepare(self, raw: np.ndarray) -> np.ndarray:
        """Raw vectors [N, D] as the model sees them: standardised where its training data were.

        Of columns of several kinds raw are their own numbers, NaN where a cell is missing, and
        codes 0, 1, ... of levels that are texts.
        """
        if "column_kinds" in self.described:
            raw = accepted.shaped(np.asarray(raw, np.float64), self.shape)
            for d, name in enumerate(self.column_names):
                mixed.check(raw[:, d], self.column_kinds[d], name, "x")
            return seen(raw, self.column_kinds)
        if "mean" not in self.described:
            return raw
        if np.ndim(raw) != 2 or np.shape(raw)[1] != len(self.described["mean"]):
            wanted = len(self.described["mean"])
            raise UserError(f"x has shape {np.shape(raw)}; this model takes [N, {wanted}]")
        return standardize(raw, *(np.asarray(self.described[name]) for name in ("mean", "std")))

    def restore(self, x: np.ndarray) -> np.ndarray:
        """What the model says of x [N, *shape] in the units of the data: the inverse of
        `prepare`."""
        if "column_kinds" in self.described:
            return own(x, self.column_kinds)
        if "mean" not in self.described:
            return x
        mean, std = (np.asarray(self.described[name]) for name in ("mean", "std"))
        return np.asarray(x, np.float64) * std + mean

    def taken(self, frame: Any) -> np.ndarray:
        """The columns of a DataFrame that the run was trained on, as the model sees them [N, D]:
        in its order, text as categories, standardised where its training data were.

        Raises:
          UserError: the run is not of a table, or columns are missing.
        """
        wanted = self.described.get("columns")
        if wanted is None:
            raise UserError(f"{self.workdir} was not trained on a table: give an array")
        return self.prepare(self.own_numbers(arrowfiles.of_pandas(frame)))

    def own_numbers(self, table: frames.Table) -> np.ndarray:
        """The run's columns of a table, as `prepare` takes them: float64 [N, D].

        Raises:
          UserError: some are not there, or hold what the run does not know.
        """
        if "column_kinds" in self.described:
            return mixed.taken(table, self.column_names, self.column_kinds)
        return frames.taken(table, self.described["columns"])

    def cells(self, x: np.ndarray, drawn: bool = False) -> dict[str, np.ndarray]:
        """x [N, D] as the model sees it in the columns' own units, by name: [N]; levels and dates
        as texts.

        Args:
          drawn: x was drawn: of columns of several kinds, numbers are kept to the range and the
            digits of the training set (`vae.columns.kept`).
        """
        values = self.restore(x)
        if "column_kinds" not in self.described:
            return dict(zip(self.column_names, values.T, strict=True))
        values = kept(values, self.column_kinds) if drawn else values
        pairs = zip(values.T, self.column_kinds, strict=True)
        return dict(zip(self.column_names, (cells(*pair) for pair in pairs), strict=True))

    def within(self, x: np.ndarray) -> np.ndarray:
        """Means of p(x|z) kept where pixels can be: a Gaussian's mean of grey levels may leave [0,
        1]."""
        return np.clip(x, 0.0, 1.0) if self.described["observed"] == "grey" else x

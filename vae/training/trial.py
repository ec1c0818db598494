"""One run on the host: its directory, its place in training, and everything that it writes."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vae import columns, runs
from vae.checkpoint import Checkpoints
from vae.data.account import account
from vae.data.dataset import Dataset
from vae.data.observe import observed_kind
from vae.distributed import agree, barrier, elsewhere
from vae.errors import UserError, needed
from vae.programs import Kept
from vae.protocols import BOUND
from vae.training import setup
from vae.training.feed import Feed
from vae.training.program import Program, hyper_at
from vae.training.progress import Progress
from vae.training.schedules import SCHEDULED
from vae.training.state import Creator, State
from vae.training.warm_start import started
from vae.training.writers import Writers

LEAST_LOG_STEPS = 100  # between two lines of metrics.jsonl, where epochs are shorter

Validate = Callable[[Any, int], dict[str, np.ndarray]]  # (weights, latent size) -> [N] nats each
Show = Callable[[Any, int], dict[str, np.ndarray]]  # (weights, latent size) -> [H, W, C] each


def describe_data(config: ConfigDict, dataset: Dataset) -> dict[str, Any]:
    """What a trained model must know of its data, so that loading one reads no data."""
    table: dict[str, Any] = {"columns": list(dataset.columns)} if dataset.columns else {}
    if dataset.label:
        table["label"] = dataset.label
    if dataset.classes:
        table["classes"] = list(dataset.classes)
    if dataset.identifier:
        table["id"] = dataset.identifier
    if dataset.scaler is not None:
        table["mean"], table["std"] = (values.tolist() for values in dataset.scaler)
    if dataset.column_kinds:
        table["column_kinds"] = columns.described(dataset.column_kinds)
    if config.model.library:
        table["libraries"] = list(setup.libraries(config, dataset))
    if dataset.context_scaler is not None:
        scaler = (values.tolist() for values in dataset.context_scaler)
        table["context_mean"], table["context_std"] = scaler
    if dataset.covariates and dataset.context_size:
        table["covariates"] = list(dataset.covariates)
    if dataset.vocabulary:
        table["vocabulary"] = list(dataset.vocabulary)
        table["never_first"] = list(dataset.never_first)
    return {
        "name": dataset.name,
        "version": dataset.version,
        "contents": dataset.contents,
        "kind": dataset.kind,
        "observed": observed_kind(dataset.kind, config.data.binarization),
        "binarized": dataset.binarized,
        "levels": dataset.levels,
        "context_size": dataset.context_size,
        "shape": list(dataset.splits["train"].x.shape[1:]),
        "sizes": {name: len(split) for name, split in dataset.splits.items()},
        "done": account(config.data, config.model.likelihood, dataset),
        **table,
    }


def intervals(config: ConfigDict, per_epoch: int) -> tuple[int, int]:
    """Steps between two validations, and between two lines of metrics.jsonl."""
    validations = max(1, round(config.train.eval_epochs * per_epoch))
    return validations, min(validations, max(per_epoch, LEAST_LOG_STEPS))


class Trial:
    """A run in progress.

    Args:
      program: of the model at this run's own size.
      create, validate, pictures: compiled once for all runs that share them.
      until: epochs after which to pause, ready to be resumed; None for the whole run.
      extend: see `vae.lengths.goes_on`.
      key: what the program depends on, for `vae.programs`; None to keep nothing.
    """

    def __init__(
        self,
        config: ConfigDict,
        workdir: Path,
        dataset: Dataset,
        program: Program,
        create: Creator,
        validate: Validate,
        progress: Progress,
        until: float | None = None,
        extend: bool = False,
        key: str | None = None,
        pictures: Show | None = None,
    ):
        self.pictures = pictures
        self.config, self.workdir, self.dataset, self.program = config, workdir, dataset, program
        self.create, self.validation, self.progress = create, validate, progress
        self.extend = extend
        self.hyper = setup.hyperparameters(config)
        train = dataset.splits["train"]
        self.feed = Feed(
            train, config.seed, config.train.batch_size, config.data.stream,
            config.train.model_axis,
        )  # fmt: skip
        self.shape = tuple(train.x.shape[1:])
        per_epoch = program.steps_per_epoch
        self.total = config.train.epochs * per_epoch
        self.until = self.total if until is None else min(self.total, round(until * per_epoch))
        self.eval_steps, self.log_steps = intervals(config, per_epoch)
        self.failure = ""  # why it ended early, in one or two lines
        scheduled = lambda hyper, step: hyper_at(program, hyper, step)  # noqa: E731
        self._now = Kept(lambda: jax.jit(scheduled), "schedules", key)
        self._clock = Clock()
        self._writers: Writers | None = None
        self._open = ExitStack()

    def begin(self) -> State | None:
        """Takes the directory; returns the state to go on from, or None where nothing is left.

        Raises:
          UserError: the directory is not for this run; nothing in it has been changed.
        """
        first = jax.process_index() == 0  # one process holds the directory and writes it
        if first:
            self._open.enter_context(runs.locked(self.workdir))
            runs.claim(self.workdir, self.config, self.extend, self.dataset.contents)
            described = describe_data(self.config, self.dataset)
            runs.write_json(self.workdir / "data.json", described)
            runs.write_environment(self.workdir, self.config)
            (self.workdir / "failure.json").unlink(missing_ok=True)
        barrier("claimed")
        if not (self.workdir / "config.json").exists():
            raise UserError(elsewhere(self.workdir))
        self.checkpoints = self._open.enter_context(Checkpoints(self.workdir))
        restored = self.checkpoints.restore(self.create.shapes(self.hyper))
        current = restored[1] if restored else self._first()
        here = int(current.step)
        if first:
            runs.rewind_metrics(self.workdir, here)
        finished = self.finished(current.book())
        self.progress.begin(self, here, restored is not None, finished)
        if finished:
            return None
        if first:
            self._writers = self._open.enter_context(Writers(self.workdir, self.config))
        return current

    def _first(self) -> State:
        """The state before the first step: random weights, or another run's."""
        current = self.create(self.hyper)
        if not self.config.train.init_from:
            return current
        params, said = started(current.params, Path(self.config.train.init_from))
        if jax.process_index() == 0:
            print(said, flush=True)
        ema = jax.tree.map(np.copy, params) if current.ema else current.ema
        return current.replace(params=params, ema=ema)

    def finished(self, book: dict[str, Any]) -> bool:
        """Whether all steps are done, or validations have waited long enough for a better one."""
        patience = self.config.train.patience
        return int(book["step"]) >= self.until or 0 < patience <= int(book["waited"])

    def steps_to_visit(self, here: int) -> int:
        """Steps until the host must look: a log line, a validation, the end."""
        visits = [here - here % n + n for n in (self.log_steps, self.eval_steps)]
        return min(self.until, *visits) - here

    def trained(self, steps: int, seconds: float) -> None:
        """Counts steps towards the speed that the next log line gives."""
        self._clock.add(steps, seconds)

    def halted(self, book: dict[str, Any]) -> bool:
        """Whether more bad steps came in a row than may be skipped."""
        return int(book["bad_in_row"]) > self.program.skip_steps

    def log_due(self, here: int) -> bool:
        """Whether a log line is due at step `here`."""
        return here % self.log_steps == 0 or here == self.total

    def validation_due(self, here: int) -> bool:
        """Whether a validation is due at step `here`."""
        return here % self.eval_steps == 0 or here == self.total

    def log(self, book: dict[str, Any]) -> None:
        """Writes the means over the steps since the last line."""
        steps = max(float(book["sums"]["steps"]), 1.0)
        now = jax.device_get(self._now(self.hyper, book["step"] - np.int32(1)))
        record = self._where(book, "train")
        record |= {name: float(book["sums"][name]) / steps for name in self.program.terms}
        record |= {name: float(now[name]) for name in SCHEDULED}
        record["skipped_steps"] = int(book["bad_total"])
        if self._clock.steps:
            examples = self._clock.steps * self.feed.batch_size
            record["examples_per_second"] = examples / self._clock.seconds
        self._clock.reset()
        self._report(record)

    def validate(self, current: State) -> State:
        """Validation ELBO at beta = 1, early-stopping state, checkpoint.

        Returns:
          The state with its best ELBO, and the wait for a better one, brought up to date.
        """
        arrays = self.validation(current.eval_params, self.config.model.latent_size)
        means = {name: arrays[name].mean(dtype=np.float64) for name in BOUND}
        elbo = np.float32(agree(np.float32(means["elbo"])))
        better = bool(elbo > current.best_elbo)
        current = current.replace(
            best_elbo=np.float32(elbo if better else current.best_elbo),
            waited=np.int32(0 if better else current.waited + 1),
        )
        record = self._where(current.book(), "validation")
        self._report(record | {name: float(value) for name, value in means.items()})
        if self._writers:
            self._show(current, arrays)
        self.checkpoints.save(int(current.step), current, float(elbo))
        return current

    def _show(self, current: State, arrays: dict[str, np.ndarray]) -> None:
        """Gives the writers histograms of what a validation has found, and pictures where due."""
        size, here = self.config.model.latent_size, int(current.step)
        spread: dict[str, np.ndarray] = {
            name: arrays[name][:, :size].mean(0, dtype=np.float64)
            for name in ("kl_per_latent", "kl_per_layer")
            if name in arrays
        }
        apart = self.config.train.picture_epochs
        every = max(1, round(apart / self.config.train.eval_epochs))
        due = apart and (here // self.eval_steps % every == 0 or here == self.total)
        shown = self.pictures(current.eval_params, size) if due and self.pictures else {}
        needed(self._writers, "writer").show(here, spread, shown)

    def pause(self, current: State) -> None:
        """Saves between validations: the run resumes from here."""
        self.checkpoints.save(int(current.step), current, None)
        self.checkpoints.wait()

    def fail(self, book: dict[str, Any]) -> None:
        """Dumps the batch of the step that was bad, and says so in `failure.json`."""
        wrong = int(book["step"]) - 1
        term = self.program.terms[int(book["blamed"])].replace("_", " ")
        rows = self.feed.rows(wrong, 1)[0]
        path = self.workdir / "bad_batch.npz"
        bound = float(self.hyper["skip_norm"])
        over = f" or above optimizer.skip_norm={bound:g}" if bound and "norm" in term else ""
        reason = f"{term} is not finite{over} at step {wrong}"
        raw = self.dataset.kind == "real" and self.dataset.scaler is None and len(self.shape) == 1
        scale = "set data.standardize=True, " if raw else ""
        self.failure = (
            f"{reason}: the batch is in {path}, the last good checkpoint is kept\n"
            f"{scale}lower optimizer.learning_rate, set optimizer.clip_norm, or tolerate some with "
            f"train.skip_steps (now {self.program.skip_steps})"
        )
        if self._writers:
            self._writers.failed = True
        if jax.process_index() == 0:
            np.savez(path, step=wrong, rows=rows, x=np.asarray(self.feed.split.x[rows]))
            runs.write_json(self.workdir / "failure.json", {"reason": reason, "step": wrong})

    def close(self) -> None:
        """Waits for pending saves, closes every file, lets go of the directory."""
        self._open.close()

    def _where(self, book: dict[str, Any], split: str) -> dict[str, Any]:
        here = int(book["step"])
        return {"step": here, "epoch": here / self.program.steps_per_epoch, "split": split}

    def _report(self, record: dict[str, Any]) -> None:
        if self._writers:
            self._writers.write(record)
        self.progress.update(self, record)


class Clock:
    """Steps and seconds of training since the last log line."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Starts again from 0."""
        self.steps, self.seconds = 0, 0.0

    def add(self, steps: int, seconds: float) -> None:
        """Counts more steps, and the seconds that they took."""
        self.steps, self.seconds = self.steps + steps, self.seconds + seconds

"""The training loop: from a config to a finished run directory, across kills and resumes."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vae import config as configs
from vae import data, runs
from vae.checkpoint import Checkpoints
from vae.data.dataset import Dataset
from vae.data.observe import observed, observed_kind
from vae.distributed import agree, barrier
from vae.errors import RunError
from vae.evaluation import bounds
from vae.probability import noise
from vae.training import setup, state, step
from vae.training.feed import Feed
from vae.training.state import TERMS, State
from vae.training.writers import Progress, Writers

LEAST_LOG_STEPS = 100  # between two lines of metrics.jsonl, where epochs are shorter
CALL_SECONDS = 1.0  # of training between visits to the host: how soon a signal is seen


def train(config: ConfigDict, workdir: str | None = None) -> str:
    """Trains the config in `workdir`, resuming what is there; returns the run directory.

    Args:
      workdir: "" or None for `runs/` and a name that is a function of the config.

    Raises:
      UserError: config, data or directory are wrong; nothing has been written.
      RunError: the run diverged, was interrupted, or could not be saved; says how to go on.
    """
    configs.check(config)
    parallel = setup.resolve_parallel(config)
    dataset = data.load(config.data)
    feed = Feed(
        dataset.splits["train"],
        config.seed,
        config.train.batch_size,
        config.data.stream,
        parallel,
    )
    program = setup.program(config, dataset, feed.steps_per_epoch)
    path = Path(workdir or Path("runs") / configs.run_name(config))
    first = jax.process_index() == 0
    with runs.locked(path) if first else nullcontext():  # one process holds and writes it
        if first:
            runs.claim(path, config)
            runs.write_json(path / "data.json", describe_data(config, dataset))
            runs.write_json(path / "environment.json", runs.environment())
            print(f"{path}\n{data.describe(dataset)}", flush=True)
        barrier("claimed")
        Run(config, dataset, feed, program, path, parallel).go()
    return str(path)


def describe_data(config: ConfigDict, dataset: Dataset) -> dict[str, Any]:
    """What a trained model must know of its data, so that loading one reads no data."""
    return {
        "name": dataset.name,
        "version": dataset.version,
        "kind": dataset.kind,
        "observed": observed_kind(dataset.kind, config.data.binarization),
        "levels": dataset.levels,
        "shape": list(dataset.splits["train"].x.shape[1:]),
        "sizes": {name: len(split) for name, split in dataset.splits.items()},
    }


class Run:
    """One run in progress."""

    def __init__(
        self,
        config: ConfigDict,
        dataset: Dataset,
        feed: Feed,
        program: step.Program,
        workdir: Path,
        parallel: str,
    ):
        self.config, self.program, self.feed, self.workdir = config, program, feed, workdir
        self.hyper = setup.hyperparameters(config)
        self.compiled = step.compile_loop(program, parallel)
        self.total = config.train.epochs * program.steps_per_epoch
        self.eval_steps = max(1, round(config.train.eval_epochs * program.steps_per_epoch))
        self.log_steps = min(self.eval_steps, max(program.steps_per_epoch, LEAST_LOG_STEPS))
        feed.most = min(feed.most, self.log_steps)
        self.validation = observed(dataset, "validation")[:]
        self.evaluator = bounds.elbo(program.model)
        self.shape = tuple(dataset.splits["train"].x.shape[1:])
        self.rate = 0.0  # steps a second, measured; 0.0: not yet

    def go(self) -> None:
        """Restores or creates the state, trains to the end, saves."""
        with Checkpoints(self.workdir) as checkpoints, _signals() as signals:
            restored = checkpoints.restore(jax.eval_shape(self._create))
            current = restored[1] if restored else jax.device_get(jax.jit(self._create)())
            if jax.process_index() == 0:
                runs.rewind_metrics(self.workdir, int(current.step))
            if self._finished(current):
                print(f"already finished at step {int(current.step)}", flush=True)
                return
            if restored is not None:
                print(f"resuming at step {int(current.step)} of {self.total}", flush=True)
            self._train(current, checkpoints, signals)

    def _create(self) -> State:
        program = self.program
        return state.create(
            program.model, program.optimizer, self.hyper, self.shape, program.ema
        )

    def _finished(self, current: State) -> bool:
        patience = self.config.train.patience
        return int(current.step) >= self.total or 0 < patience <= int(current.waited)

    def _train(self, current: State, checkpoints: Checkpoints, signals: list[int]) -> None:
        """Calls the compiled loop until done; visits the host at logs, validations and signals."""
        writers = Writers(self.workdir, self.config) if jax.process_index() == 0 else None
        progress = Progress(self.total, int(current.step))
        clock = Clock()
        try:
            while not self._finished(current):
                here = int(current.step)
                count, stop = agree(np.array([self._count(here), len(signals)]))
                if stop:
                    checkpoints.save(here, current, None)
                    checkpoints.wait()
                    raise RunError(
                        f"interrupted and saved at step {here} of {self.total}; "
                        "run the same command to go on"
                    )
                current = self._call(current, int(count), clock)
                if int(current.nonfinite_in_row) > self.program.skip_nonfinite:
                    self._give_up(current)
                here = int(current.step)
                if here % self.log_steps == 0 or here == self.total:
                    current = self._log(current, clock, writers, progress)
                if here % self.eval_steps == 0 or here == self.total:
                    current = self._validate(current, checkpoints, writers, progress)
        finally:
            progress.close()
            if writers:
                writers.__exit__()

    def _count(self, here: int) -> int:
        """Steps of the next call: to the next visit, at most about CALL_SECONDS."""
        visits = [self.total, *(here - here % n + n for n in (self.log_steps, self.eval_steps))]
        affordable = max(1, int(self.rate * CALL_SECONDS)) if self.rate else 8
        return min(min(visits) - here, affordable, self.feed.most)

    def _call(self, current: State, count: int, clock: "Clock") -> State:
        began = time.perf_counter()
        fed = self.feed.take(int(current.step), count)
        done = self.compiled(current, self.hyper, self.feed.examples, fed, jnp.int32(count))
        current = jax.block_until_ready(done)
        seconds = time.perf_counter() - began
        if self.rate or clock.warm:  # the first call compiles
            self.rate = count / seconds
            clock.add(count, seconds)
        clock.warm = True
        return current

    def _log(
        self, current: State, clock: "Clock", writers: Writers | None, progress: Progress
    ) -> State:
        """Writes the means over the steps since the last line; starts new sums."""
        sums = jax.device_get(current.sums)
        steps = max(float(sums["steps"]), 1.0)
        now = step.hyper_at(self.program, self.hyper, current.step - 1)
        record = self._where(current, "train")
        record |= {name: float(sums[name]) / steps for name in TERMS}
        record |= {name: float(now[name]) for name in ("beta", "capacity", "learning_rate")}
        record["nonfinite_steps"] = int(current.nonfinite_total)
        if clock.steps:
            record["examples_per_second"] = clock.steps * self.feed.batch_size / clock.seconds
        clock.reset()
        self._report(record, writers, progress)
        return current.replace(sums=jax.device_get(state.zero_sums()))

    def _validate(
        self,
        current: State,
        checkpoints: Checkpoints,
        writers: Writers | None,
        progress: Progress,
    ) -> State:
        """Validation ELBO at beta = 1, early-stopping state, checkpoint."""
        key = noise.key_for(0, "validate")  # one noise for all validations: they are comparable
        arrays = self.evaluator(current.eval_params, self.validation, key, batch_size=500)
        names = ("elbo", "distortion", "rate")
        means = {name: arrays[name].mean(dtype=np.float64) for name in names}
        elbo = np.float32(agree(np.float32(means["elbo"])))
        better = bool(elbo > current.best_elbo)
        current = current.replace(
            best_elbo=np.float32(elbo if better else current.best_elbo),
            waited=np.int32(0 if better else current.waited + 1),
        )
        record = self._where(current, "validation") | {k: float(v) for k, v in means.items()}
        self._report(record, writers, progress)
        checkpoints.save(int(current.step), current, float(elbo))
        return current

    def _where(self, current: State, split: str) -> dict[str, Any]:
        here = int(current.step)
        return {"step": here, "epoch": here / self.program.steps_per_epoch, "split": split}

    def _report(self, record: dict[str, Any], writers: Writers | None, progress: Progress) -> None:
        if writers:
            writers.write(record)
            progress.update(record)

    def _give_up(self, current: State) -> None:
        """Dumps the batch of the step that was not finite, and ends the run."""
        wrong = int(current.step) - 1
        term = TERMS[int(current.blamed)]
        rows = self.feed.rows(wrong, 1)[0]
        path = self.workdir / "nonfinite_batch.npz"
        if jax.process_index() == 0:
            np.savez(path, step=wrong, rows=rows, x=np.asarray(self.feed.split.x[rows]))
        raise RunError(
            f"{term.replace('_', ' ')} is not finite at step {wrong}: the batch is in {path}, the "
            "last good checkpoint is kept\nlower optimizer.learning_rate, set optimizer.clip_norm, "
            f"or tolerate some with train.skip_nonfinite (now {self.program.skip_nonfinite})"
        )


class Clock:
    """Steps and seconds of training since the last log line, compilation left out."""

    def __init__(self) -> None:
        self.warm = False
        self.reset()

    def reset(self) -> None:
        self.steps, self.seconds = 0, 0.0

    def add(self, steps: int, seconds: float) -> None:
        self.steps, self.seconds = self.steps + steps, self.seconds + seconds


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that SIGTERM and Ctrl-C append to, in place of what they do otherwise."""
    received: list[int] = []
    previous = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            previous[number] = signal.signal(number, lambda n, frame: received.append(n))
        except ValueError:  # not the main thread (a notebook's worker): leave signals alone
            continue
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

"""The training loop: runs in an engine's slots, from their first step to their last."""

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from vae.distributed import gathered, suspect
from vae.errors import Interrupted, RunError, UserError
from vae.training.engine import Population, Single
from vae.training.state import zero_sums
from vae.training.trial import Trial

CALL_SECONDS = 1.0  # of training between visits to the host: how soon a signal is seen


class Loop:
    """Trains every trial; a trial holds a slot from its start to its end, then the next takes it.

    A trial that diverges is marked as failed and leaves its slot; the others do not notice.

    Args:
      ended: called with each trial once it has ended and its directory is free.
    """

    def __init__(
        self,
        engine: Single | Population,
        trials: Sequence[Trial],
        ended: Callable[[Trial], None] = lambda trial: None,
    ):
        self.engine, self.waiting, self.ended = engine, deque(trials), ended
        self.running: dict[int, Trial] = {}  # by slot
        self._steps: dict[int, int] = {}  # done, by slot
        self.rate = 0.0  # steps a second of one slot, measured; 0.0: not yet
        self._warm = False  # the first call has compiled

    def go(self) -> None:
        """Trains until every trial has ended.

        Raises:
          Interrupted: by a signal; all is saved.
          RunError: a checkpoint could not be saved.
          UserError: a trial's directory is not for it.
        """
        with _signals() as signals:
            try:
                while self._fill():
                    self._shrink()
                    counts, signalled = self._counts(signals[0] if signals else 0)
                    if signalled:
                        self._interrupt(signalled)
                    self._call(counts)
                    for slot in list(counts):
                        self._visit(slot)
            except Exception as error:
                if not isinstance(error, UserError | RunError):
                    suspect()  # before what is held is let go of, which may wait for who is gone
                raise
            finally:
                for trial in self.running.values():
                    trial.close()

    def _fill(self) -> bool:
        """Gives free slots to waiting trials; False where nothing is left to train."""
        free = deque(slot for slot in range(self.engine.size) if slot not in self.running)
        while free and self.waiting:
            trial = self.waiting.popleft()
            try:
                current = trial.begin()
            except BaseException:
                trial.close()
                raise
            if current is None:
                trial.close()
                self.ended(trial)
                continue
            slot = free.popleft()
            self.running[slot] = trial
            self.engine.put(slot, current, trial.hyper)
            self._steps[slot] = int(current.step)
        return bool(self.running)

    def _shrink(self) -> None:
        """Moves the runs to half the slots, once half stand empty and nobody waits for them.

        An empty slot costs as much as a full one where a device trains several runs at a time.
        """
        while not self.waiting and self.engine.can_halve(len(self.running)):
            smaller = self.engine.halved()
            moved = dict(enumerate(self.running))
            for new, old in moved.items():
                smaller.put(new, self.engine.get(old), self.running[old].hyper)
            self.running = {new: self.running[old] for new, old in moved.items()}
            self._steps = {new: self._steps[old] for new, old in moved.items()}
            self.engine, self._warm = smaller, False

    def _counts(self, signalled: int) -> tuple[Mapping[int, int], int]:
        """Steps of the next call for each slot: to its next visit, at most about CALL_SECONDS; and
        the signal that has come, 0 where none has."""
        affordable = max(1, int(self.rate * CALL_SECONDS)) if self.rate else 8
        most = min(affordable, self.engine.most)
        counts = {
            slot: min(trial.steps_to_visit(self._steps[slot]), most)
            for slot, trial in self.running.items()
        }
        # Clocks differ between processes, and a signal may come to any of them.
        of_all = gathered(np.array([*counts.values(), signalled]))
        return dict(zip(counts, map(int, of_all[0]), strict=False)), int(of_all[:, -1].max())

    def _call(self, counts: Mapping[int, int]) -> None:
        began = time.perf_counter()
        fed = {
            slot: self.running[slot].feed.take(self._steps[slot], count)
            for slot, count in counts.items()
        }
        self.engine.run(fed)
        seconds = time.perf_counter() - began
        if self._warm:
            self.rate = max(counts.values()) / seconds
            for slot, count in counts.items():
                self.running[slot].trained(count, seconds)
        self._warm = True

    def _visit(self, slot: int) -> None:
        """After a call, does what is due: failure, log line, validation, end."""
        trial, book = self.running[slot], self.engine.book(slot)
        here = self._steps[slot] = int(book["step"])
        if trial.halted(book):
            trial.fail(book)
            self._end(slot)
            return
        if trial.log_due(here):
            trial.log(book)
            self.engine.edit(slot, sums=zero_sums(trial.program))
        if trial.validation_due(here):
            current = trial.validate(self.engine.get(slot))
            self.engine.edit(slot, best_elbo=current.best_elbo, waited=current.waited)
        if trial.finished(self.engine.book(slot)):
            if not trial.validation_due(here):
                trial.pause(self.engine.get(slot))
            self._end(slot)

    def _end(self, slot: int) -> None:
        trial = self.running.pop(slot)
        try:
            trial.close()
        finally:
            trial.progress.end(trial)
        self.ended(trial)

    def _interrupt(self, number: int) -> None:
        for slot, trial in self.running.items():
            trial.pause(self.engine.get(slot))
        if self.engine.size == 1:
            where = f"step {self._steps[0]} of {self.running[0].total}"
        else:
            where = f"{len(self.running)} runs under way, {len(self.waiting)} not begun"
        message = f"interrupted and saved at {where}; run the same command to go on"
        raise Interrupted(number, message)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that SIGTERM and Ctrl-C append to; a second Ctrl-C does not wait any longer."""
    received: list[int] = []
    previous = {}

    def handle(number: int, frame: object) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        received.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            previous[number] = signal.signal(number, handle)
        except ValueError:  # not the main thread (a notebook's worker): leave signals alone
            continue
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

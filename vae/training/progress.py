"""What a person sees of training on the terminal: one run, or many."""

import sys
import time
from pathlib import Path
from typing import Any, Protocol

from vae.protocols import BOUND


class Shown(Protocol):
    """What is seen of a `training.trial.Trial`."""

    @property
    def workdir(self) -> Path:
        """Its run directory."""

    @property
    def total(self) -> int:
        """Steps of the whole run."""

    @property
    def until(self) -> int:
        """The step at which it pauses or ends."""

    @property
    def failure(self) -> str:
        """What ended it; "" where nothing did."""


class Progress:
    """Shows one run: a bar on a terminal, elsewhere a plain line per validation."""

    def __init__(self, done: str = "", heading: str = ""):
        self.done, self.heading = done, heading  # what was done to the data, and what they are
        self.bar: Any = None  # rich's, where a terminal is there to see it

    def begin(self, trial: Shown, here: int, resumed: bool, finished: bool) -> None:
        """A run begins at step `here`."""
        print(f"{self.done}\n{trial.workdir}\n{self.heading}", flush=True)
        if finished:
            print(f"already finished at step {here}", flush=True)
            return
        if resumed:
            print(f"resuming at step {here} of {trial.total}", flush=True)
        if sys.stderr.isatty():
            self.bar = _bar("{task.fields[epoch]:.1f}")
            self.task = self.bar.add_task(
                "", total=trial.total, completed=here, epoch=0.0, numbers=""
            )
            self.bar.start()

    def update(self, trial: Shown, record: dict[str, Any]) -> None:
        """Shows one record: ELBO, rate and distortion in nats, examples a second."""
        numbers = "  ".join(f"{name} {record[name]:.2f}" for name in BOUND)
        if self.bar and "examples_per_second" in record:
            numbers += f"  {record['examples_per_second']:,.0f}/s"
        if self.bar:
            epoch, done = record["epoch"], record["step"]
            self.bar.update(self.task, completed=done, epoch=epoch, numbers=numbers)
        elif record["split"] == "validation":
            where = f"epoch {record['epoch']:g}  step {record['step']}"
            print(f"{where}  validation: {numbers}", flush=True)

    def end(self, trial: Shown) -> None:
        """The run has ended."""

    def close(self) -> None:
        """Takes the bar off the terminal."""
        if self.bar:
            self.bar.stop()


class Silent(Progress):
    """Shows nothing, because another process does."""

    def begin(self, trial: Shown, here: int, resumed: bool, finished: bool) -> None:
        """Says nothing."""

    def update(self, trial: Shown, record: dict[str, Any]) -> None:
        """Says nothing."""


class Tally(Progress):
    """Shows many runs: a line as each ends, and on a terminal a bar over the steps of all.

    Args:
      total: runs there are.
    """

    def __init__(self, total: int):
        super().__init__()
        self.total, self.ended = total, 0
        self.steps: dict[str, int] = {}  # done, by run
        self.best: dict[str, float] = {}  # validation ELBO, by run
        self.began = time.perf_counter()
        if sys.stderr.isatty():
            self.bar = _bar("{task.fields[ended]}")
            self.task = self.bar.add_task("", total=None, ended="", numbers="")
            self.bar.start()

    def begin(self, trial: Shown, here: int, resumed: bool, finished: bool) -> None:
        """Counts the run among those under way, or among those that have ended."""
        self.steps[trial.workdir.name] = here
        if self.bar:  # all runs are about as long
            self.bar.update(self.task, total=self.total * trial.until)
        if finished:
            self.ended += 1

    def update(self, trial: Shown, record: dict[str, Any]) -> None:
        """Moves the bar to the steps that all runs have done."""
        name = trial.workdir.name
        self.steps[name] = record["step"]
        if record["split"] == "validation":
            self.best[name] = max(record["elbo"], self.best.get(name, record["elbo"]))
        if self.bar:
            self.bar.update(
                self.task,
                completed=sum(self.steps.values()),
                ended=f"{self.ended} of {self.total}",
                numbers=f"{name} elbo {record['elbo']:.2f}",
            )

    def end(self, trial: Shown) -> None:
        """Prints how the run ended: its best validation ELBO in nats, or why it failed."""
        self.ended += 1
        name = trial.workdir.name
        said = f"best validation elbo {self.best[name]:.2f}" if name in self.best else "no elbo"
        if trial.failure:
            said = f"failed: {trial.failure.splitlines()[0]}"
        seconds = time.perf_counter() - self.began
        print(f"{self.ended} of {self.total}  {seconds:4.0f} s  {name}  {said}", flush=True)


def _bar(first: str) -> Any:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn(first),
        BarColumn(bar_width=10),
        TaskProgressColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
        transient=True,
    )

"""What a person sees of training on the terminal or in a notebook: one run, or many."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace
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
    """Shows one run: a bar on a terminal or in a notebook, elsewhere a line per validation."""

    def __init__(self, done: str = "", heading: str = ""):
        self.done, self.heading = done, heading  # what was done to the data, and what they are
        self.bar: Any = None  # where somebody sees it

    def begin(self, trial: Shown, here: int, resumed: bool, finished: bool) -> None:
        """A run begins at step `here`."""
        print(f"{self.done}\n{trial.workdir}\n{self.heading}", flush=True)
        if finished:
            print(f"already finished at step {here}", flush=True)
            return
        if resumed:
            print(f"resuming at step {here} of {trial.total}", flush=True)
        self.bar = _bar("{task.fields[epoch]:.1f}")
        if self.bar:
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
    """Shows many runs: a line as each ends, and a bar over the steps of all where one is seen.

    Args:
      total: runs there are.
    """

    def __init__(self, total: int):
        super().__init__()
        self.total, self.ended = total, 0
        self.steps: dict[str, int] = {}  # done, by run
        self.best: dict[str, float] = {}  # validation ELBO, by run
        self.began = time.perf_counter()
        self.bar = _bar("{task.fields[ended]}")
        if self.bar:
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


class NotebookLine:
    """One line in the output of a cell, changed in its place: as much of rich's bar as is used
    here, which in a notebook needs widgets."""

    WIDTH, SECONDS = 20, 0.1  # of the bar, letters; between two changes, at least

    def __init__(self, first: str):
        self.first, self._shown, self._text, self._changed = first, None, "", 0.0
        self._task: Any = SimpleNamespace(total=None, completed=0, fields={})

    def add_task(
        self, description: str, total: int | None, completed: int = 0, **fields: Any
    ) -> int:
        """Sets what the bar is of."""
        self._task = SimpleNamespace(total=total, completed=completed, fields=fields)
        return 0

    def start(self) -> None:
        """Shows the line."""
        self._show(at_once=True)

    def update(self, task: int, total: int | None = None, completed: int | None = None,
               **fields: Any) -> None:  # fmt: skip
        """Changes the line."""
        self._task.total = self._task.total if total is None else total
        self._task.completed = self._task.completed if completed is None else completed
        self._task.fields |= fields
        self._show()

    def stop(self) -> None:
        """Leaves the line as it is now."""
        self._show(at_once=True)

    def _show(self, at_once: bool = False) -> None:
        share = min(1.0, self._task.completed / self._task.total) if self._task.total else 0.0
        done = round(self.WIDTH * share)
        bar = "█" * done + "░" * (self.WIDTH - done)
        numbers = self._task.fields.get("numbers", "")
        text = f"{self.first.format(task=self._task)} {bar} {share:4.0%} {numbers}".strip()
        now = time.monotonic()
        if text == self._text or not at_once and now - self._changed < self.SECONDS:
            return
        self._text, self._changed = text, now
        told = {"text/plain": text}
        if self._shown is None:
            from IPython.display import display

            self._shown = display(told, raw=True, display_id=True)
        else:
            self._shown.update(told, raw=True)


def in_notebook() -> bool:
    """Whether this process runs the cells of a notebook."""
    shells = sys.modules.get("IPython")  # imported by whoever does
    shell = shells.get_ipython() if shells else None
    return getattr(shell, "kernel", None) is not None


def _bar(first: str) -> Any:
    """A bar, with a text before it; None where nobody would see it move."""
    if in_notebook():
        return NotebookLine(first)
    if not sys.stderr.isatty():
        return None
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

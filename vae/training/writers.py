"""Where numbers go while a run trains: metrics.jsonl, TensorBoard, W&B, the terminal."""

import json
import sys
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

SHOWN = ("elbo", "distortion", "rate")


class Writers:
    """Writes each record to every place; a context manager that closes them.

    A record is a flat mapping with `step` and `split`; everything else is a number.
    """

    def __init__(self, workdir: Path, config: ConfigDict):
        from tensorboardX import SummaryWriter

        self._wandb = _start_wandb(config, workdir) if config.train.wandb else None
        self._lines = open(workdir / "metrics.jsonl", "a", buffering=1)
        self._board = SummaryWriter(str(workdir / "tensorboard"))

    def write(self, record: dict[str, Any]) -> None:
        self._lines.write(json.dumps(record) + "\n")
        step, split = record["step"], record["split"]
        numbers = {f"{split}/{k}": v for k, v in record.items() if k not in ("step", "split")}
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)
        if self._wandb:
            self._wandb.log(numbers, step=step)

    def __enter__(self) -> "Writers":
        return self

    def __exit__(self, *error: Any) -> None:
        self._lines.close()
        self._board.close()
        if self._wandb:
            self._wandb.finish()


def _start_wandb(config: ConfigDict, workdir: Path) -> Any:
    import wandb

    return wandb.init(
        project=config.train.wandb,
        name=workdir.name,
        id=workdir.name,
        resume="allow",
        config=config.to_dict(),
        dir=str(workdir),
    )


class Progress:
    """A bar on a terminal; elsewhere a plain line a validation."""

    def __init__(self, total: int, done: int):
        self.bar = None
        if sys.stderr.isatty():
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("{task.fields[epoch]:.1f}"),
                BarColumn(bar_width=10),
                TaskProgressColumn(),
                TextColumn("{task.fields[numbers]}"),
                TimeRemainingColumn(),
                transient=True,
            )
            self.task = self.bar.add_task("", total=total, completed=done, epoch=0.0, numbers="")
            self.bar.start()

    def update(self, record: dict[str, Any]) -> None:
        """Shows one record: ELBO, rate and distortion in nats, examples a second."""
        numbers = "  ".join(f"{name} {record[name]:.2f}" for name in SHOWN)
        if self.bar and "examples_per_second" in record:
            numbers += f"  {record['examples_per_second']:,.0f}/s"
        if self.bar:
            epoch, done = record["epoch"], record["step"]
            self.bar.update(self.task, completed=done, epoch=epoch, numbers=numbers)
        elif record["split"] == "validation":
            where = f"epoch {record['epoch']:g}  step {record['step']}"
            print(f"{where}  validation: {numbers}", flush=True)

    def close(self) -> None:
        if self.bar:
            self.bar.stop()

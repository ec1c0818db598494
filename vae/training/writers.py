"""Where numbers go while a run trains: metrics.jsonl, TensorBoard, W&B."""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae.training.events import Events


class Writers:
    """Writes each record to every place; a context manager that closes them.

    A record is a flat mapping with `step` and `split`; everything else is a number.
    """

    def __init__(self, workdir: Path, config: ConfigDict):
        self._wandb = _start_wandb(config, workdir) if config.train.wandb else None
        self._lines = open(workdir / "metrics.jsonl", "a", buffering=1)
        self._board = Events(workdir / "tensorboard")

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record to every place."""
        self._lines.write(json.dumps(record) + "\n")
        step, split = record["step"], record["split"]
        numbers = {f"{split}/{k}": v for k, v in record.items() if k not in ("step", "split")}
        self._board.write(step, numbers)
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


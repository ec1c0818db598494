"""Where numbers go while a run trains: metrics.jsonl, TensorBoard, W&B."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from vae import config as configs
from vae.errors import UserError
from vae.protocols import BOUND
from vae.training import summaries
from vae.training.events import Events


class Writers:
    """Writes each record to every place; a context manager that closes them.

    A record is a flat mapping with `step` and `split`; everything else is a number. TensorBoard is
    also told the config, to compare runs by their keys and the parts of the validation's ELBO.
    """

    failed = False  # whether the run has ended so

    def __init__(self, workdir: Path, config: ConfigDict):
        self._wandb = _start_wandb(config, workdir) if config.train.wandb else None
        self._lines = open(workdir / "metrics.jsonl", "a", buffering=1)
        self._board = Events(workdir / "tensorboard")
        values = dict(configs.flatten(config))
        judged = [f"validation/{name}" for name in BOUND]
        self._board.add(0, [summaries.keys(values, judged), summaries.start(values)])

    def write(self, record: dict[str, Any]) -> None:
        """Writes one record to every place."""
        self._lines.write(json.dumps(record) + "\n")
        step, split = record["step"], record["split"]
        numbers = {f"{split}/{k}": v for k, v in record.items() if k not in ("step", "split")}
        self._board.write(step, numbers)
        if self._wandb:
            self._wandb.log(numbers, step=step)

    def show(
        self, step: int, spread: Mapping[str, np.ndarray], pictures: Mapping[str, np.ndarray]
    ) -> None:
        """Gives TensorBoard and W&B a validation's histograms and pictures.

        Args:
          spread: values [N], by name; those that are not finite are left out.
          pictures: uint8 [H, W, 1 or 3], by name.
        """
        finite = {
            f"validation/{name}": kept
            for name, values in spread.items()
            if len(kept := values[np.isfinite(values)])
        }
        seen = {f"validation/{name}": pixels for name, pixels in pictures.items()}
        self._board.add(step, [
            *(summaries.histogram(tag, values) for tag, values in finite.items()),
            *(summaries.picture(tag, pixels) for tag, pixels in seen.items()),
        ])  # fmt: skip
        if self._wandb:
            import wandb

            shown: dict[str, Any] = {tag: wandb.Histogram(v) for tag, v in finite.items()}
            shown |= {tag: wandb.Image(pixels) for tag, pixels in seen.items()}
            self._wandb.log(shown, step=step)

    def __enter__(self) -> "Writers":
        return self

    def __exit__(self, *error: Any) -> None:
        self._lines.close()
        self._board.add(0, [summaries.end(self.failed)])
        self._board.close()
        if self._wandb:
            self._wandb.finish()


def _start_wandb(config: ConfigDict, workdir: Path) -> Any:
    """Begins or resumes the run of W&B that is named as the directory.

    Raises:
      UserError: W&B does not let it.
    """
    import wandb

    try:
        return wandb.init(
            project=config.train.wandb,
            name=workdir.name,
            id=workdir.name,
            resume="allow",
            config=config.to_dict(),
            dir=str(workdir),
        )
    except Exception as error:  # of many types, by its version
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"train.wandb={config.train.wandb}: {said}\nlog in by wandb login, set "
            "WANDB_MODE=offline, or leave the key out"
        ) from error


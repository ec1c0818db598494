"""Many runs as one compiled program, spread over the devices."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from vae import config as configs
from vae import data
from vae.choices import choose
from vae.data.dataset import Dataset
from vae.errors import UserError
from vae.estimators.compiled import Compiled
from vae.models.build import KINDS
from vae.probability import posteriors, priors
from vae.training import setup
from vae.training.engine import Population, most_steps, row_bytes
from vae.training.loop import Loop
from vae.training.pictures import Pictures
from vae.training.program import Program
from vae.training.progress import Progress, Silent
from vae.training.state import Creator
from vae.training.train import validator
from vae.training.trial import Trial


def group_key(config: ConfigDict) -> str:
    """Configs with the same key train as one program: they differ in traced numbers alone.

    These are the seed, every real number of `objective` and `optimizer`, `train.ema` (on or off for
    all) and, where posterior and prior allow a mask, `model.latent_size`.
    """
    fixed = setup.static(config)
    if maskable(config):
        del fixed["model.latent_size"]
    return json.dumps(fixed, sort_keys=True)


def maskable(config: ConfigDict) -> bool:
    """Whether models of several latent sizes can share one program."""
    places: dict[str, Any] = {"name": KINDS, "posterior": posteriors, "prior": priors}
    chosen = (choose(of, config.model[key], f"model.{key}") for key, of in places.items())
    return all(each.maskable for each in chosen)


@functools.lru_cache(maxsize=4)
def _dataset(described: str) -> Dataset:
    """Groups of the same data share one copy of them."""
    return data.load(ConfigDict(json.loads(described)))


class Group:
    """Configs of one `group_key`, and what is built and compiled once for all of them.

    Raises:
      UserError: a config or its data are wrong; nothing has been written.
    """

    def __init__(self, members: Sequence[ConfigDict]):
        for config in members:
            configs.check(config)
            if config.train.model_axis > 1:
                raise UserError(
                    f"train.model_axis={config.train.model_axis} is of a run over several devices, "
                    "and these trials have one each: leave it at 1, or use --launcher=slurm"
                )
        by_size = {config.model.latent_size: config for config in members}
        self.dataset = _dataset(json.dumps(members[0].data.to_dict()))
        self.programs: dict[int, Program] = {}  # each size's own
        self._create: dict[int, Creator] = {}
        for config in by_size.values():
            self._add(config)
        self.program = self.programs[max(by_size)]
        if len(by_size) > 1:
            self.program = dataclasses.replace(self.program, masked=True)
        shape = self.dataset.shape
        self.compiled = Compiled(lambda: self.program.model, shape, self.program.masked)
        self._validate = validator(self.compiled, self.dataset)
        self._pictures = Pictures(self.compiled, self.dataset)
        self._engine: Population | None = None

    def _add(self, config: ConfigDict) -> None:
        size = config.model.latent_size
        if size not in self.programs:
            self.programs[size] = setup.program(config, self.dataset)
            self._create[size] = Creator(self.programs[size], self.dataset.shape)

    def train(
        self,
        members: Sequence[tuple[ConfigDict, Path]],
        at_once: int = 0,
        until: float | None = None,
        progress: Progress | None = None,
        ended: Callable[[Path], None] = lambda workdir: None,
    ) -> list[Trial]:
        """Trains configs of the group in their run directories, resuming what is there.

        Args:
          at_once: runs in training at a time; 0: as many as the devices hold.
          until: epochs after which to pause all of them; None for whole runs.
          ended: called with each run directory as its run has ended, well or not.

        Returns:
          The trials, each with its `failure`: "" where it went well.

        Raises:
          UserError: a directory holds another run.
          Interrupted: by a signal; everything is saved.
          RunError: a checkpoint could not be saved.
        """
        progress = progress or Silent()
        trials = [self._trial(config, path, progress, until) for config, path in members]
        if trials:
            engine = self.engine(trials, at_once)
            Loop(engine, trials, lambda trial: ended(trial.workdir)).go()
        return trials

    def _trial(
        self, config: ConfigDict, path: Path, progress: Progress, until: float | None
    ) -> Trial:
        self._add(config)  # a size that came up later, smaller than the largest
        size = config.model.latent_size
        return Trial(
            config, path, self.dataset, self.programs[size], self._create[size], self._validate,
            progress, until, pictures=self._pictures,
        )  # fmt: skip

    def engine(self, trials: Sequence[Trial], at_once: int = 0) -> Population:
        """The engine for so many trials: as many slots as the devices' memory holds.

        A later call gets the same one, where it is large enough: it has compiled its program.
        """
        devices, per_device = layout(len(trials), at_once)
        if self._engine and self._engine.devices * self._engine.per_device >= devices * per_device:
            return self._engine
        examples = self.dataset.splits["train"].arrays()
        batch = trials[0].feed.batch_size
        most = most_steps(row_bytes(devices * per_device, batch), trials[0].log_steps)
        engine = Population(self.program, examples, devices, per_device, most)
        while engine.per_device > 1 and not engine.fits(trials[0].hyper, batch):
            engine = engine.halved()
        self._engine = engine
        return engine


def layout(
    runs: int, at_once: int = 0, devices: int = 0, platform: str = ""
) -> tuple[int, int]:
    """Devices, and runs at a time on each: on CPUs one run a device, which beats `vmap` there.

    Args:
      at_once: runs at a time; 0: all.
      devices, platform: how many there are, of what; by default those of this process.
    """
    runs = min(runs, at_once or runs)
    devices = min(devices or jax.local_device_count(), runs)
    platform = platform or jax.default_backend()
    return devices, 1 if platform == "cpu" else -(-runs // devices)

"""From a config to a finished run directory, resuming what is there."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vae import automatic, data
from vae import config as configs
from vae.data.account import account
from vae.data.dataset import Dataset
from vae.data.observe import observed
from vae.errors import RunError
from vae.estimators import bounds
from vae.estimators.compiled import Compiled
from vae.paths import located
from vae.probability import noise
from vae.training import places, setup
from vae.training.engine import Single, run_steps
from vae.training.loop import Loop
from vae.training.pictures import Pictures
from vae.training.progress import Progress, Silent
from vae.training.state import Creator
from vae.training.trial import Trial, Validate

VALIDATION_BATCH = 500  # examples a device holds at a time


def train(config: ConfigDict, workdir: str | None = None, extend: bool = False) -> str:
    """Trains the config in `workdir`, resuming what is there; returns the run directory.

    Args:
      workdir: "" or None for `runs/` and a name that is a function of the config.
      extend: go on with more epochs where the run depends on its length (`vae.lengths.goes_on`).

    Raises:
      UserError: config, data or directory are wrong; nothing has been written.
      RunError: the run diverged or could not be saved; says how to go on.
      Interrupted: by a signal; it is saved.
    """
    configs.check(config)
    config, source = automatic.opened(located(config), workdir)
    parallel = places.resolve(config)
    dataset = data.load(config.data, source)
    done = account(config.data, config.model.likelihood, dataset)
    key = setup.key(config, dataset)
    program = setup.program(config, dataset, key)
    compiled = Compiled(lambda: program.model, dataset.shape, key=key)
    trial = Trial(
        config,
        Path(workdir or Path("runs") / configs.run_name(config)),
        dataset,
        program,
        Creator(program, dataset.shape, key, config.train.model_axis),
        validator(compiled, dataset),
        Silent() if jax.process_index() else Progress("\n".join(done), data.describe(dataset)),
        extend=extend,
        key=key,
        pictures=Pictures(compiled, dataset),
    )
    train = dataset.splits["train"]
    streamed = config.data.stream
    most = run_steps(train.x, config.train.batch_size, streamed, trial.log_steps)
    examples = None if streamed else train.arrays()
    engine = Single(program, examples, parallel, most, key, config.train.model_axis)
    try:
        Loop(engine, [trial]).go()
    finally:
        trial.progress.close()
    if trial.failure:
        raise RunError(trial.failure)
    return str(trial.workdir)


def validator(compiled: Compiled, dataset: Dataset) -> Validate:
    """The ELBO at beta = 1 and its parts over the whole validation set."""
    x, context = observed(dataset, "validation")[:], dataset.splits["validation"].context
    key = noise.key_for(0, "validate")  # one noise for all validations: they are comparable

    def validate(params: Any, latent_size: int) -> dict[str, np.ndarray]:
        weights = compiled.variables(params, latent_size)
        return compiled(bounds.elbo)(weights, x, key, VALIDATION_BATCH, context)

    return validate

"""Small configs, data and models that tests build on."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from configs import base
from vae.data.dataset import Dataset, Split
from vae.training import setup, state, step


def small_config(**changes: Any):
    """The base config at a size that trains in a second; keys as in `objective__beta=2.0`."""
    config = base.get_config()
    config.model.hidden = (16,)
    config.model.latent_size = 3
    config.train.epochs = 4
    config.train.batch_size = 40
    config.train.eval_epochs = 1.0
    config.train.parallel = "jit"  # many devices have tests of their own
    config.eval.iwae_samples = (10,)
    for key, value in changes.items():
        group, _, name = key.rpartition("__")
        (config[group] if group else config)[name] = value
    return config


def grey_dataset(num: int = 120, shape: tuple[int, ...] = (4, 4, 1), levels: int = 17) -> Dataset:
    """Random grey images, as digits are."""
    rng = np.random.default_rng(0)

    def split(size: int, binarized: bool) -> Split:
        high = 2 if binarized else levels
        return Split(rng.integers(0, high, (size, *shape)).astype(np.uint8), binarized=binarized)

    splits = {
        "train": split(num, False),
        "validation": split(30, True),
        "test": split(30, True),
    }
    return Dataset("grey", "1", "grey", levels, splits)


def build(config: Any, dataset: Dataset) -> tuple[step.Program, dict, state.State]:
    """Program, hyperparameters and first state of a config on a data set."""
    steps = len(dataset.splits["train"]) // config.train.batch_size
    program = setup.program(config, dataset, steps)
    hyper = setup.hyperparameters(config)
    shape = tuple(dataset.splits["train"].x.shape[1:])
    first = state.create(program.model, program.optimizer, hyper, shape, program.ema)
    return program, hyper, first


def device_batch(dataset: Dataset, size: int) -> jnp.ndarray:
    return jnp.asarray(dataset.splits["train"].x[:size])

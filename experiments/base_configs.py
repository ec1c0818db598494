"""Configs that several experiments start from."""

from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae.configs import base

SMALL = 10_000  # examples, of quick scales


def burda() -> ConfigDict:
    """Burda et al. 2015, one stochastic layer, on MNIST binarised anew at every step.

    The first 59,600 images train. What differs: the encoder gives log variances, not log standard
    deviations; the binarised test set is drawn by this project's seed.
    """
    config = base.get_config()
    config.data.name, config.data.validation_size = "mnist", 400
    config.model.latent_size, config.model.hidden = 50, (200, 200)
    config.model.activation = "tanh"
    config.optimizer.learning_rate, config.optimizer.schedule = 1e-3, "iwae"
    config.optimizer.eps = 1e-4
    config.train.batch_size, config.train.epochs = 20, 3280
    config.train.parallel = "jit"
    config.train.eval_epochs = 40.0
    config.eval.iwae_samples, config.eval.checkpoint = (5000,), "last"
    return config


TWO_LAYERS = {"model.name": "chain", "model.latent_size": 100, "model.upper_sizes": (50,)}


def mnist(epochs: int) -> ConfigDict:
    """The MLP of configs/mnist.py, 50,000 images to train on."""
    config = base.get_config()
    config.data.name, config.data.validation_size = "mnist", 10_000
    config.model.latent_size = 40
    config.optimizer.learning_rate = 1e-3
    config.train.epochs, config.train.eval_epochs = epochs, max(1.0, epochs / 20)
    config.train.parallel = "jit"
    config.eval.iwae_samples, config.eval.checkpoint = (5000,), "last"
    return config


def changes(config: ConfigDict, known: ConfigDict) -> dict[str, Any]:
    """A point of a sweep that makes `config` of `known`: dotted keys and values."""
    before = dict(configs.flatten(known))
    return {key: value for key, value in configs.flatten(config) if before[key] != value}


def shorten(config: ConfigDict, epochs: int, size: int = 0, samples: int = 5000) -> ConfigDict:
    """The same with fewer epochs, on a seeded subset of `size` examples, judged by fewer draws."""
    config.train.epochs, config.train.eval_epochs = epochs, max(1.0, epochs / 20)
    config.data.size = size
    if size:
        config.data.validation_size = -1
    config.eval.iwae_samples = (samples,)
    return config

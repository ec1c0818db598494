"""CIFAR-10, residual networks, one learned standard deviation for all pixels (sigma-VAE).

    ./launch.sh train --config=configs/cifar10.py --config.data.dir=DATA --workdir=runs/cifar10

The likelihood is a density over [0, 1], so there are no bits per dimension. Made for an
accelerator; no score has been recorded for it yet.
"""

from ml_collections import ConfigDict

from vae.configs import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.data.name = "cifar10"
    config.data.binarization = "none"
    config.model.encoder = config.model.decoder = "resnet"
    config.model.filters = (64, 128, 256)
    config.model.likelihood = "gaussian_learned"
    config.model.sigma = 0.2
    config.model.latent_size = 128
    config.optimizer.learning_rate = 5e-4
    config.optimizer.clip_norm = 100.0
    config.train.epochs = 100
    config.train.batch_size = 128
    config.train.ema = 0.999
    config.train.eval_epochs = 5.0
    return config

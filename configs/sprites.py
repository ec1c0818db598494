"""Sprites (rendered here, dSprites' factor grid): beta-VAE, four convolutions.

    ./launch.sh train --config=configs/sprites.py --workdir=runs/sprites

`--config=configs/sprites.py:16` sets beta to 16. A seeded subset of 50,000 of the 737,280 images;
`--config.data.size=0` for all. No score has been recorded for it yet.
"""

from ml_collections import ConfigDict

from vae.configs import base


def get_config(beta: str = "4") -> ConfigDict:
    config = base.get_config()
    config.data.name = "sprites"
    config.data.size = 50_000
    config.model.encoder = config.model.decoder = "conv"
    config.model.filters = (32, 32, 64, 64)
    config.model.dense = 256
    config.model.activation = "relu"
    config.model.latent_size = 10
    config.objective.beta = float(beta)
    config.optimizer.learning_rate = 5e-4
    config.train.epochs = 30
    config.train.batch_size = 64
    config.train.eval_epochs = 5.0
    return config

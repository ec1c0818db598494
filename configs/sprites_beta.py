"""Sprites (rendered here, dSprites' factor grid): what beta does to disentanglement, 3 seeds.

    ./launch.sh sweep --config=configs/sprites_beta.py --seeds=3 --workdir=runs/sprites_beta

An MLP of two layers of 512 and 10 latents, on a seeded subset of 50,000 images: small, so that nine
models train on 2 CPU cores. Not to be put beside papers' numbers, whose images and networks are
others. Half an hour; the scores are in experiments/results/sprites_beta.json. beta = 16 keeps six
latents, whose seeds agree the most (UDR); MIG and DCI stay low: 10 epochs of an MLP are few.
"""

from ml_collections import ConfigDict

from vae.configs import base
from vae.sweeps.grid import Grid, sweep


def get_config() -> ConfigDict:
    config = base.get_config()
    config.data.name = "sprites"
    config.data.size = 50_000
    config.model.hidden = (512, 512)
    config.model.latent_size = 10
    config.optimizer.learning_rate = 1e-3
    config.train.epochs = 10
    config.train.eval_epochs = 2.5
    config.eval.iwae_samples = (100,)
    config.eval.metrics = ("aggregate", "disentanglement")
    config.eval.checkpoint = "last"
    return config


def get_sweep() -> Grid:
    return sweep("objective.beta", (1.0, 4.0, 16.0))

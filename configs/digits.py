"""The quick start: UCI digits (1,797 images of 8x8, inside scikit-learn), dynamically binarised.

    ./launch.sh train --config=configs/digits.py --workdir=runs/digits
    ./launch.sh sweep --config=configs/digits.py --workdir=runs/quickstart

Ten seconds on 2 CPU cores, a minute for the sweep over 3 latent sizes and 3 betas. Test
nll_iwae_100 is about 22.5 nats (experiments/results/digits.json).
"""

from ml_collections import ConfigDict

from vae.configs import base
from vae.sweeps.grid import Grid, product, sweep


def get_config() -> ConfigDict:
    return base.get_config()


def get_sweep() -> Grid:
    sizes, betas = sweep("model.latent_size", (2, 8, 32)), sweep("objective.beta", (0.5, 1.0, 2.0))
    return product([sizes, betas])

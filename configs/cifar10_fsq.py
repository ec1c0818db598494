"""CIFAR-10, a spatial autoencoder with finite scalar quantisation, f = 4: 8 x 8 codes of 1,000.

    ./launch.sh train --config=configs/cifar10_fsq.py --config.data.dir=DATA --workdir=runs/fsq

As cifar10_kl.py otherwise. No score has been recorded for it yet.
"""

from ml_collections import ConfigDict

from vae.configs import cifar10_kl


def get_config() -> ConfigDict:
    config = cifar10_kl.get_config()
    config.model.bottleneck, config.model.code_levels = "fsq", (8, 5, 5, 5)
    config.objective.beta = 1.0  # the rate is the codes' length, which nothing changes
    return config

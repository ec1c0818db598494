"""CIFAR-10, a spatial autoencoder with a codebook, f = 4: 8 x 8 codes of 1,024.

    ./launch.sh train --config=configs/cifar10_vq.py --config.data.dir=DATA --workdir=runs/vq

As cifar10_kl.py otherwise. No score has been recorded for it yet.
"""

from ml_collections import ConfigDict

from vae.configs import cifar10_kl


def get_config() -> ConfigDict:
    config = cifar10_kl.get_config()
    config.model.bottleneck, config.model.codes = "vq", 1024
    config.model.rotation = config.model.simvq = True
    config.objective.commitment = 3.0
    config.objective.beta = 1.0  # the rate is the codes' length, which nothing changes
    return config

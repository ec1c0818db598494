"""MNIST, dynamically binarised: a convolutional VQ-VAE, 7 x 7 codes of a codebook of 128.

    ./launch.sh train --config=configs/vq_mnist.py --config.data.dir=DATA --workdir=runs/vq

The codebook is one of running means, and the prior over codes is learnt in the same steps. No score
has been recorded for it yet.
"""

from ml_collections import ConfigDict

from vae.configs import conv_mnist


def get_config() -> ConfigDict:
    config = conv_mnist.get_config()
    config.model.name, config.objective.name = "vqvae", "vq"
    config.model.dense = 0
    config.eval.iwae_samples = (1,)  # q(z|x) is a point: more draws are the same
    config.eval.checkpoint = "last"
    return config

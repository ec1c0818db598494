"""MNIST, dynamically binarised: two 4x4 stride-2 convolutions (32, 64 channels), 50 latents.

    ./launch.sh train --config=configs/conv_mnist.py --config.data.dir=DATA --workdir=runs/conv

About 42 ms a step on 2 CPU cores (experiments/results/benchmark.json), so 12 minutes for its 30
epochs. No score has been recorded for it yet.
"""

from ml_collections import ConfigDict

from vae.configs import mnist


def get_config() -> ConfigDict:
    config = mnist.get_config()
    config.model.encoder = config.model.decoder = "conv"
    config.model.activation = "relu"
    config.optimizer.learning_rate = 1e-3
    config.train.epochs = 30
    return config

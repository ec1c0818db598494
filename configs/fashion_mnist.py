"""Fashion-MNIST, dynamically binarised, with the model and schedule of `mnist.py`.

    ./launch.sh train --config=configs/fashion_mnist.py --config.data.dir=DATA

As long as `mnist.py`, about 4 minutes on 2 CPU cores. No score has been recorded for it yet.
"""

from ml_collections import ConfigDict

from vae.configs import mnist


def get_config() -> ConfigDict:
    config = mnist.get_config()
    config.data.name = "fashion_mnist"
    return config

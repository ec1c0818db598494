"""MNIST with 100 labels: the semi-supervised M2 (Kingma et al. 2014) beside its classifier alone.

    ./launch.sh sweep --config=configs/m2_mnist.py --config.data.dir=DATA --seeds=5 \\
        --workdir=runs/m2

`classification_error` is on the 10,000 test images. The weight of a labelled example's -log q(y|x)
is the paper's alpha = 0.1 N, shared out over the copies that data.labelled_share makes of it. About
20 minutes on 2 CPU cores: errors of 18.3% and, of the classifier alone, 24.4%
(experiments/results/m2_mnist.json; the paper's M2 has 12.0% after far longer training).
"""

from ml_collections import ConfigDict

from vae.configs import mnist
from vae.sweeps.grid import Grid, sweep


def get_config() -> ConfigDict:
    config = mnist.get_config()
    config.data.context, config.data.labelled = "labels", 100
    config.model.classifier = "mlp"
    config.model.hidden = (500,)
    config.objective.name = "m2"
    config.objective.labelled, config.objective.classification = 0.02, 100.0
    config.optimizer.learning_rate = 1e-3
    config.train.epochs = 10
    config.train.eval_epochs = 5.0
    config.eval.iwae_samples = (100,)
    config.eval.checkpoint = "last"
    return config


def get_sweep() -> Grid:
    return sweep("objective.name", ("m2", "supervised"))

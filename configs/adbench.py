"""Tables with anomalies (ADBench): a VAE of ordinary rows, columns standardised.

    ./launch.sh prepare adbench --data_dir=DATA
    ./launch.sh train --config=configs/adbench.py --config.data.dir=DATA --workdir=runs/thyroid
    ./launch.sh detect --workdir=runs/thyroid --input=new.csv --output=scores.csv

For a table of your own: --config.data.name=files --config.data.path=ordinary.csv.
"""

from ml_collections import ConfigDict

from vae.configs import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.data.name, config.data.kind = "adbench/thyroid", ""
    config.data.binarization, config.data.standardize = "none", True
    config.model.likelihood = "gaussian_learned"
    config.model.latent_size, config.model.hidden = 16, (128, 128)
    config.model.activation = "tanh"  # saturates, so that rows far out change the weights no more
    config.optimizer.learning_rate, config.optimizer.clip_norm = 1e-3, 10.0
    config.train.batch_size = 30  # some tables have no more rows
    config.train.epochs, config.train.eval_epochs = 200, 10.0
    config.eval.metrics = ("anomaly",)
    return config

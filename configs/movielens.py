"""MovieLens, likes: Mult-VAE of Liang et al. 2018, an MLP 600-200-600; `:dae` for Mult-DAE.

    ./launch.sh prepare movielens_100k --data_dir=DATA
    ./launch.sh train --config=configs/movielens.py --config.data.dir=DATA --workdir=runs/movielens
    ./launch.sh recommend --workdir=runs/movielens --user="Toy Story (1995)" --user="Fargo (1996)"

The input is scaled to length 1, and half of it is left out in training. The KL's weight rises to a
cap below 1, found on validation users by experiments/applications/apps_recommendation.py.
"""

from ml_collections import ConfigDict

from vae.configs import base


def get_config(kind: str = "vae") -> ConfigDict:
    config = base.get_config()
    config.data.name = "movielens_100k"
    config.data.binarization = "none"
    config.model.likelihood = "multinomial"
    config.model.latent_size, config.model.hidden = 200, (600,)
    config.model.activation = "tanh"
    config.model.input_dropout = 0.5
    if kind == "dae":
        config.objective.name = "autoencoder"
        config.optimizer.name, config.optimizer.weight_decay = "adamw", 0.01
    else:
        config.objective.beta = 0.2
        config.objective.beta_schedule, config.objective.beta_epochs = "linear", 50.0
    config.optimizer.learning_rate = 1e-3
    config.train.epochs, config.train.batch_size = 100, 100
    config.eval.metrics, config.eval.checkpoint = ("recommendation",), "last"
    return config

"""Every objective on dynamically binarised MNIST, with one budget: the MLP of mnist.py, 30 epochs.

    ./launch.sh sweep --config=configs/objectives.py --config.data.dir=DATA --launcher=processes \\
        --workdir=runs/objectives

About an hour and a half on 2 CPU cores, half an hour of it for IWAE with k = 50; results in
experiments/results/objectives.json. The last two trials model grey pixels, with a density: their
nats compare with each other alone. The last checkpoint is evaluated, as the validation ELBO would
choose against the objectives that trade it for something else.
"""

from ml_collections import ConfigDict

from vae.configs import mnist
from vae.sweeps.grid import Grid


def get_config() -> ConfigDict:
    config = mnist.get_config()
    config.train.epochs = 30
    config.train.eval_epochs = 5.0
    config.train.parallel = "jit"
    config.eval.checkpoint = "last"
    objective = config.objective
    objective.gamma = 100.0  # capacity: 25 nats from the start
    objective.off_diagonal, objective.diagonal = 1.0, 1.0
    objective.critic_hidden = (256, 256, 256)  # the paper's 6 x 1000 takes 10 times as long
    return config


def get_sweep() -> Grid:
    def trial(name: str, **settings: float | str) -> dict:
        return {"objective.name": name} | {f"objective.{k}": v for k, v in settings.items()}

    grey = {"model.likelihood": "gaussian_learned", "data.binarization": "none"}
    return [
        trial("iwae", samples=50),
        trial("elbo"),
        trial("elbo", beta=0.5),
        trial("elbo", beta=4.0),
        trial("elbo", beta_schedule="linear", beta_epochs=10.0),
        trial("elbo", beta_schedule="cyclical", beta_epochs=7.5),
        trial("capacity"),
        trial("free_bits"),
        trial("free_bits_per_example"),
        trial("iwae", samples=5),
        trial("miwae", samples=3, batches=2),
        trial("ciwae", samples=5),
        trial("piwae", samples=3, batches=2),
        trial("renyi", samples=5),
        trial("stl", samples=1),
        trial("dreg", samples=5),
        trial("beta_tcvae", beta=4.0),
        trial("factor_vae"),
        trial("dip_i"),
        trial("dip_ii"),
        trial("info_vae"),
        trial("wae"),
        trial("rae"),
        trial("autoencoder"),
        trial("elbo") | grey,
        trial("sigma_vae") | grey,
    ]

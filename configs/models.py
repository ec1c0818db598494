"""Every prior, posterior and model on dynamically binarised MNIST, with one budget: 30 epochs, the
MLP of mnist.py.

    ./launch.sh sweep --config=configs/models.py --config.data.dir=DATA --launcher=processes \\
        --workdir=runs/models

Hours on 2 CPU cores; experiments/results/models_speed.json has the time of a step of each, the
slowest being Sylvester flows and the VQ-VAE. The last checkpoint is evaluated;
experiments/RESULTS.md has the scores. The last three rows are not beside the others: a conditional
model's nats are of p(x|y), and a VQ-VAE's bound is one of codes, with q(z|x) a point.

What the budget decides: the flow priors are behind the standard one at 5 epochs and level at 30.
IAF has the better ELBO than the diagonal posterior and not the better importance-weighted bound.
Two layers and the ladder beat one with a linear warm-up of beta only: without it their upper layers
collapse in the first epochs, and stay so.
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
    config.model.flow_hidden = (200,)
    config.model.flow_columns = 16
    return config


def get_sweep() -> Grid:
    def model(name: str, **settings: int | tuple[int, ...]) -> dict:
        return {"model.name": name} | {f"model.{key}": value for key, value in settings.items()}

    chain = {"latent_size": 100, "upper_sizes": (50,)}
    warm_up = {"objective.beta_schedule": "linear", "objective.beta_epochs": 10.0}
    ladder = {"upper_sizes": (32, 16), "layer_hidden": (100,)}
    return [
        {"model.prior": "normal"},
        {"model.prior": "mixture", "model.prior_components": 100},
        {"model.prior": "vamp", "model.prior_components": 500},
        {"model.prior": "realnvp"},
        {"model.prior": "spline"},
        {"model.prior": "autoregressive"},
        {"model.posterior": "full_covariance"},
        {"model.posterior": "planar"},
        {"model.posterior": "radial"},
        {"model.posterior": "iaf"},
        {"model.posterior": "sylvester_orthogonal"},
        {"model.posterior": "sylvester_householder", "model.flow_layers": 2},
        {"model.posterior": "sylvester_triangular", "model.flow_layers": 2},
        {"model.posterior": "von_mises_fisher", "model.prior": "sphere", "model.latent_size": 20},
        model("chain", **chain),
        model("chain", **chain) | warm_up,
        model("ladder", **ladder),
        model("ladder", **ladder) | warm_up,
        {"data.context": "labels"},
        {"data.context": "labels", "model.prior": "conditional"},
        model("vqvae", latent_size=25) | {"objective.name": "vq"},
    ]

"""Locatello et al. 2019 (arXiv 1811.12359): unsupervised disentanglement, objective against seed.

Protocol of the paper: dSprites and others, the convolutional network of `study`, 10 latents, Adam
at 1e-4, batches of 64, 300,000 steps, 50 seeds; beta-VAE, annealed capacity, FactorVAE, DIP-VAE I
and II, beta-TCVAE. `--scale=full` is that protocol on dSprites (TFDS, a download). The other scales
run on the sprites that this project renders and are not to be put beside the paper's numbers. Held
is its finding: the choice of seed matters as much as that of the objective, so that the best and
the worst seed of one objective differ by more than the objectives' means do.

Full: weeks of 2 cores; a GPU. cpu: MLP, 20,000 images, 10 epochs, 3 seeds, 2 hours. quick: 5,000
images, 4 epochs, 2 seeds, 4 minutes.

    ./launch.sh reproduce locatello [--scale=quick]
"""

from collections.abc import Sequence

import numpy as np

from experiments.protocol import MEMORY, OURS, Expected, Study, Trial, Value, pick
from vae.configs import base, sprites_beta

SOURCE = "Locatello et al. 2019, section 5.3"
POINTS = [
    {"objective.name": "elbo", "objective.beta": 4.0},
    {"objective.name": "capacity", "objective.beta": 1.0},
    {"objective.name": "factor_vae", "objective.beta": 1.0},
    {"objective.name": "dip_i", "objective.beta": 1.0},
    {"objective.name": "dip_ii", "objective.beta": 1.0},
    {"objective.name": "beta_tcvae", "objective.beta": 4.0},
]


def spread(trials: Sequence[Trial]) -> Value:
    """The widest range of MIG over the seeds of one objective, over that of objectives' means."""
    values = [[t["metrics"]["mig_histogram"] for t in pick(trials, point)] for point in POINTS]
    means = [np.mean(of) for of in values]
    return float(max(np.ptp(of) for of in values) / np.ptp(means)), None


def study(scale: str) -> Study:
    """Every objective at each of its strengths, several seeds each, and the spread expected."""
    if scale == "full":
        config = base.get_config()
        config.data.name = "dsprites"
        config.model.encoder = config.model.decoder = "conv"
        config.model.filters, config.model.activation = (32, 32, 64, 64), "relu"
        config.train.batch_size, config.optimizer.learning_rate = 64, 1e-4
        config.optimizer.schedule = "constant"
        config.train.epochs = 29  # 300,000 steps of 663,552 images
        config.train.eval_epochs, config.eval.iwae_samples = 1.0, (100,)
    else:
        config = sprites_beta.get_config()
        config.objective.critic_hidden = (256, 256, 256)
        config.objective.gamma, config.objective.capacity = 100.0, 10.0
        config.train.epochs = {"cpu": 10, "quick": 4}[scale]
        config.train.eval_epochs = config.train.epochs / 2
        config.data.size = {"cpu": 20_000, "quick": 5_000}[scale]
        config.eval.codes = {"cpu": 10_000, "quick": 1_000}[scale]
    config.eval.metrics, config.eval.checkpoint = ("disentanglement",), "last"
    own = {"capacity": {"objective.capacity_epochs": 9.6}} if scale == "full" else {}
    points = [point | own.get(point["objective.name"], {}) for point in POINTS]
    known = MEMORY if scale == "full" else OURS
    least = 0.5 if scale == "full" else 0.1
    expected = [
        Expected("range of MIG over seeds, widest, over that of objectives' means", spread, least,
                 0.0, "above", SOURCE, known, "")
    ]  # fmt: skip
    images = {"full": "", "cpu": "20,000", "quick": "5,000"}[scale]
    reduced = f"{images} rendered sprites and not dSprites, an MLP" if images else ""
    seeds = {"full": 50, "cpu": 3, "quick": 2}[scale]
    return Study(config, points, expected, reduced, seeds=seeds, launcher="population")

"""Tomczak & Welling 2018 (arXiv 1705.07120), table 1: the VampPrior beside the standard normal.

Protocol: dynamic MNIST, 50,000 images to train on, 40 latents, two gated layers of 300, 500
pseudo-inputs, Adam at 5e-4, batches of 100, KL warm-up of 100 epochs, early stopping after 50
validations without a better ELBO; test NLL by 5,000 draws. The paper's Frey faces are not repeated.

Full: at most 2,000 epochs. cpu: 60 epochs with a warm-up of 10, 100 pseudo-inputs, about 2 hours of
2 cores. quick: 10,000 images, 20 epochs, 100 pseudo-inputs, 5 minutes.

    ./launch.sh reproduce vamp_prior --data_dir=DATA [--scale=cpu]
"""

from experiments.protocol import MEMORY, OURS, Expected, Mean, Study
from experiments.shared import SMALL, mnist, shorten

SOURCE = "Tomczak & Welling 2018, table 1"
NORMAL, VAMP = {"model.prior": "normal"}, {"model.prior": "vamp"}


def study(scale: str) -> Study:
    config = mnist(2000)
    config.model.encoder = config.model.decoder = "gated_mlp"
    config.model.hidden = (300, 300)
    config.model.prior_components = 500
    config.optimizer.learning_rate, config.optimizer.schedule = 5e-4, "constant"
    config.objective.beta_schedule, config.objective.beta_epochs = "linear", 100.0
    config.train.patience, config.train.eval_epochs = 50, 1.0
    config.eval.checkpoint = "best"

    def gap(samples: int, published: float, tolerance: float, kind: str, known: str) -> Expected:
        number = Mean(f"nll_iwae_{samples}", NORMAL, VAMP)
        what = "NLL with the standard normal less that with the VampPrior"
        return Expected(what, number, published, tolerance, kind, SOURCE, known)

    grid = [NORMAL, VAMP]
    if scale == "full":
        expected = [
            gap(5000, 2.12, 0.6, "within", MEMORY),
            Expected("NLL, standard normal", Mean("nll_iwae_5000", NORMAL), 84.50, 0.6, "within",
                     SOURCE, MEMORY),
            Expected("NLL, VampPrior", Mean("nll_iwae_5000", VAMP), 82.38, 0.6, "within", SOURCE,
                     MEMORY),
        ]  # fmt: skip
        return Study(config, grid, expected)
    config.train.patience = 0
    config.optimizer.schedule, config.optimizer.learning_rate = "cosine", 1e-3
    config.model.prior_components = 100
    if scale == "cpu":
        shorten(config, 60)
        config.objective.beta_epochs = 10.0
        reduced = "60 of up to 2,000 epochs, warm-up over 10, 100 pseudo-inputs, cosine from 1e-3"
        return Study(config, grid, [gap(5000, 2.12, 0.6, "within", MEMORY)], reduced)
    shorten(config, 20, SMALL, 500)
    config.objective.beta_epochs = 5.0
    reduced = "20 of up to 2,000 epochs, 10,000 images, 100 pseudo-inputs, 500 draws"
    return Study(config, grid, [gap(500, 0.0, 0.0, "above", OURS)], reduced)

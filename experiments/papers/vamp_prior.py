"""Tomczak & Welling 2018 (arXiv 1705.07120), table 1: the VampPrior beside the standard normal.

Protocol: dynamic MNIST, 50,000 images to train on, 40 latents, two gated layers of 300, 500
pseudo-inputs, Adam at 5e-4, batches of 100, KL warm-up of 100 epochs, early stopping after 50
validations without a better ELBO; test NLL by 5,000 draws. Frey faces: the same in bits per
dimension, discretised logistic, over three draws of 1,565, 200 and 200 frames.

Full: at most 2,000 epochs. cpu: 200 epochs of MNIST with a warm-up of 15 and 500 of the faces,
judged by 1,000 draws, an hour of 2 cores (at 100 epochs the gap is wider, 2.9 nats: the standard
normal is the slower one to train). quick: 10,000 images, 20 epochs, 100 pseudo-inputs, and
200 epochs of the faces, 10 minutes.

    ./launch.sh reproduce vamp_prior --data_dir=DATA [--scale=cpu]
"""

from typing import Any

from experiments.base_configs import SMALL, mnist, shorten
from experiments.protocol import MEMORY, OURS, Expected, Mean, Study

SOURCE = "Tomczak & Welling 2018, table 1"
NORMAL, VAMP = {"model.prior": "normal"}, {"model.prior": "vamp"}
MNIST = {"data.name": "mnist"}
SPLITS = 3  # of the faces


def faces(split: int, epochs: int, warm_up: float) -> dict[str, Any]:
    """What a trial on Frey faces sets; each draw has its own seed."""
    return {
        "seed": split,
        "data.name": "freyfaces",
        "data.split": split,
        "data.binarization": "none",
        "data.validation_size": -1,
        "data.size": 0,
        "model.likelihood": "discretized_logistic",
        "train.epochs": epochs,
        "train.eval_epochs": epochs / 20,
        "objective.beta_epochs": warm_up,
    }


def study(scale: str) -> Study:
    """Each data set with a standard normal and with a VampPrior, and the gains expected."""
    config = mnist(2000)
    config.model.encoder = config.model.decoder = "gated_mlp"
    config.model.hidden = (300, 300)
    config.model.prior_components = 500
    config.optimizer.learning_rate, config.optimizer.schedule = 5e-4, "constant"
    config.objective.beta_schedule, config.objective.beta_epochs = "linear", 100.0
    config.train.patience, config.train.eval_epochs = 50, 1.0
    config.eval.checkpoint = "best"

    def less(
        metric: str, data: dict, published: float, tolerance: float, kind: str, known: str,
        unit: str = "nats",
    ) -> Expected:  # fmt: skip
        number = Mean(metric, data | NORMAL, data | VAMP)
        what = f"{data['data.name']}, standard normal less VampPrior"
        return Expected(what, number, published, tolerance, kind, SOURCE, known, unit)

    def grid(*of_faces: float) -> list[dict]:
        points = [faces(split, *of_faces) for split in range(SPLITS)]
        return [data | prior for data in (MNIST, *points) for prior in (NORMAL, VAMP)]

    samples = {"full": 5000, "cpu": 1000, "quick": 500}[scale]
    nll = f"nll_iwae_{samples}"
    frey = less(
        "bpd", {"data.name": "freyfaces"}, 0.0, 0.0, "above", OURS, "bits per dimension"
    )
    if scale == "full":
        expected = [
            less(nll, MNIST, 2.12, 0.6, "within", MEMORY),
            Expected("NLL, standard normal", Mean(nll, MNIST | NORMAL), 84.50, 0.6, "within",
                     SOURCE, MEMORY),
            Expected("NLL, VampPrior", Mean(nll, MNIST | VAMP), 82.38, 0.6, "within", SOURCE,
                     MEMORY),
            frey,
        ]  # fmt: skip
        return Study(config, grid(2000, 100.0), expected)
    config.train.patience = 0
    config.optimizer.schedule, config.optimizer.learning_rate = "cosine", 1e-3
    if scale == "cpu":
        shorten(config, 200, samples=samples)
        config.objective.beta_epochs = 15.0
        reduced = (
            "200 of up to 2,000 epochs of MNIST (faces: 500), warm-up over 15 (50), cosine from "
            "1e-3, 1,000 draws"
        )
        expected = [less(nll, MNIST, 2.12, 0.6, "within", MEMORY), frey]
        return Study(config, grid(500, 50.0), expected, reduced)
    config.model.prior_components = 100
    shorten(config, 20, SMALL, samples)
    config.objective.beta_epochs = 5.0
    reduced = (
        "20 of up to 2,000 epochs of 10,000 images of MNIST (faces: 200), 100 pseudo-inputs, 500 "
        "draws"
    )
    expected = [less(nll, MNIST, 0.0, 0.0, "above", OURS), frey]
    return Study(config, grid(200, 20.0), expected, reduced)

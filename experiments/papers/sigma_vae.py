"""Rybkin et al. 2021 (arXiv 2006.13202): a calibrated decoder needs no beta.

Protocol here: grey images with a Gaussian decoder whose one sigma is optimal for every batch
(`sigma_vae`), learnt (`gaussian_learned`), or fixed at 1, as beta-VAEs have it. Held: the optimum
sigma^2 is the mean squared error, so the ELBO of the first two is far above that of sigma = 1, and
the rate of a fixed sigma = 1 is a fraction of theirs. The paper's tables are of FID on SVHN, CelebA
and videos, which are not repeated.

Full: MNIST, 200 epochs. cpu: 30 epochs, 10 minutes. quick: the digits that come with the package, a
minute.

    ./launch.sh reproduce sigma_vae --data_dir=DATA [--scale=cpu]
"""

from experiments.base_configs import mnist, shorten
from experiments.protocol import OURS, Expected, Mean, Study
from vae.configs import base

SOURCE = "Rybkin et al. 2021, section 3"
POINTS = {
    "optimal": {"objective.name": "sigma_vae", "model.likelihood": "gaussian_learned"},
    "learned": {"objective.name": "elbo", "model.likelihood": "gaussian_learned"},
    "fixed": {"objective.name": "elbo", "model.likelihood": "gaussian_fixed"},
}


def study(scale: str) -> Study:
    """sigma = 1, learned and optimal, and the differences in ELBO and rate expected."""
    config = base.get_config() if scale == "quick" else mnist(200)
    config.data.binarization = "none"
    config.eval.iwae_samples, config.eval.checkpoint = (100,), "last"
    if scale == "quick":
        config.train.epochs, config.train.eval_epochs = 200, 20.0
    elif scale == "cpu":
        shorten(config, 30, 0, 100)
    expected = [
        Expected(f"ELBO of {name} sigma less that of sigma = 1",
                 Mean("elbo", POINTS[name], POINTS["fixed"]), 0.0, 0.0, "above", SOURCE, OURS)
        for name in ("optimal", "learned")
    ]  # fmt: skip
    expected.append(
        Expected("rate with the optimal sigma less that with sigma = 1",
                 Mean("rate", POINTS["optimal"], POINTS["fixed"]), 1.0, 0.0, "above", SOURCE, OURS)
    )  # fmt: skip
    reduced = {"full": "", "cpu": "30 of 200 epochs", "quick": "the 8 x 8 digits and not MNIST"}
    return Study(config, list(POINTS.values()), expected, reduced[scale])

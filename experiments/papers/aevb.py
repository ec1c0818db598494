"""Kingma & Welling 2014 (arXiv 1312.6114), figure 2: the bound against the number of latents.

Protocol: MNIST, one hidden layer of 500, 3, 5, 10, 20 and 200 latents, Adam in place of Adagrad,
batches of 100. The figure has no numbers to read; its shape is held: the test bound rises from 3
latents to 20, and superfluous latents, 200 of them, do not overfit: they lose less than 2 nats.

Full: 1,000 epochs (the paper's 10^8 evaluated training samples are 2,000). cpu: 60 epochs, 25
minutes. quick: 10,000 images, 20 epochs, 3 minutes.

    ./launch.sh reproduce aevb --data_dir=DATA [--scale=cpu]
"""

from experiments.base_configs import SMALL, mnist, shorten
from experiments.protocol import OURS, Expected, Mean, Study

SOURCE = "Kingma & Welling 2014, figure 2"
SIZES = (3, 5, 10, 20, 200)


def study(scale: str) -> Study:
    """One trial per number of latents, and the rises in test ELBO expected between them."""
    config = mnist(1000)
    config.model.hidden, config.model.activation = (500,), "tanh"
    config.eval.iwae_samples = (100,)
    if scale != "full":
        shorten(config, *{"cpu": (60, 0, 100), "quick": (20, SMALL, 100)}[scale])

    def rise(low: int, high: int, least: float) -> Expected:
        of, minus = ({"model.latent_size": size} for size in (high, low))
        what = f"test ELBO with {high} latents less that with {low}"
        return Expected(what, Mean("elbo", of, minus), least, 0.0, "above", SOURCE, OURS)

    expected = [rise(3, 5, 0.0), rise(5, 10, 0.0), rise(20, 200, -2.0)]
    expected.insert(2, rise(10, 20, -0.5 if scale == "quick" else 0.0))
    reduced = {
        "full": "",
        "cpu": "60 of 1,000 epochs",
        "quick": "20 of 1,000 epochs, 10,000 images",
    }
    grid = [{"model.latent_size": size} for size in SIZES]
    return Study(config, grid, expected, reduced[scale], launcher="population")

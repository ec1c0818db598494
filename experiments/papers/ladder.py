"""Sonderby et al. 2016 (arXiv 1602.02282), figure 3: deep VAEs need a ladder or a warm-up.

Protocol here: MNIST, two and three layers of latents (64, 32, 16 of the paper's 64, 32, 16, 8, 4),
networks of 200, with and without a linear warm-up of beta, chains and ladders. The paper's networks
are wider (512 to 64), use batch normalisation, and train 2,000 epochs; its figure gives no numbers
to read, so the order is what is held: a ladder with warm-up beats a chain without.

Full: 2,000 epochs, warm-up over 200. cpu: 60 epochs, over 15, an hour. quick: 10,000 images, 20
epochs, 4 minutes.

    ./launch.sh reproduce ladder --data_dir=DATA [--scale=cpu]
"""

from experiments.base_configs import SMALL, mnist, shorten
from experiments.protocol import OURS, Expected, Mean, Study

SOURCE = "Sonderby et al. 2016, figure 3"


def study(scale: str) -> Study:
    """Chains and ladders with and without a warm-up of beta, and the order of their NLLs."""
    config = mnist(2000)
    config.model.hidden, config.model.layer_hidden = (200, 200), (100,)
    config.model.latent_size, config.model.upper_sizes = 64, (32, 16)
    warm = {"full": 200.0, "cpu": 15.0, "quick": 8.0}[scale]

    def point(name: str, beta_epochs: float) -> dict:
        schedule = "linear" if beta_epochs else "constant"
        return {
            "model.name": name,
            "objective.beta_schedule": schedule,
            "objective.beta_epochs": beta_epochs,
        }

    grid = [point("vae", 0.0), *(point(n, b) for n in ("chain", "ladder") for b in (0.0, warm))]
    samples = 500 if scale == "quick" else 5000

    def better(what: str, worse: dict, best: dict, least: float = 0.0) -> Expected:
        number = Mean(f"nll_iwae_{samples}", worse, best)
        return Expected(what, number, least, 0.0, "above", SOURCE, OURS)

    expected = [
        better("NLL of the chain less that of the ladder, both warmed up",
               point("chain", warm), point("ladder", warm)),
        better("NLL of the ladder without warm-up less that with it",
               point("ladder", 0.0), point("ladder", warm)),
    ]  # fmt: skip
    if scale != "quick":
        what = "NLL of one layer less that of the ladder, warmed up"
        expected.append(better(what, point("vae", 0.0), point("ladder", warm)))
        reduced = "60 of 2,000 epochs" if scale == "cpu" else ""
        return Study(shorten(config, 60) if reduced else config, grid, expected, reduced)
    shorten(config, 20, SMALL, samples)
    return Study(config, grid, expected, "20 of 2,000 epochs, 10,000 images, 500 draws")

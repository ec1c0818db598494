"""Rainforth et al. 2018 (arXiv 1802.04537): MIWAE, CIWAE, PIWAE beside IWAE, 64 draws of z each.

Protocol: `shared.burda`, one layer. IWAE and CIWAE (mix 0.5) take 64 draws in one bound; MIWAE and
PIWAE 8 bounds of 8 draws. The values are from pythae's table (K = M = 8), which has another network
and schedule, so the tolerances are wide and the order is what counts.

Full: 3,280 epochs. cpu: 20 epochs, batches of 100. quick: 10,000 images, 10 epochs, 6 minutes.

    ./launch.sh reproduce tighter_bounds --data_dir=DATA [--scale=cpu]
"""

from experiments.base_configs import SMALL, burda, shorten
from experiments.protocol import OURS, READ, Expected, Mean, Study

SOURCE = "pythae's table of results"
PUBLISHED = {"miwae": 84.97, "ciwae": 84.57, "piwae": 84.46}
POINTS = {
    "iwae": {"objective.name": "iwae", "objective.samples": 64},
    "miwae": {"objective.name": "miwae", "objective.samples": 8, "objective.batches": 8},
    "ciwae": {"objective.name": "ciwae", "objective.samples": 64},
    "piwae": {"objective.name": "piwae", "objective.samples": 8, "objective.batches": 8},
    "elbo": {"objective.name": "elbo", "objective.samples": 1},
}


def study(scale: str) -> Study:
    """One trial per objective, and the NLLs expected of them."""
    samples = 500 if scale == "quick" else 5000
    nll = f"nll_iwae_{samples}"
    expected = [
        Expected(f"NLL of the ELBO less that of {name}", Mean(nll, POINTS["elbo"], POINTS[name]),
                 0.0, 0.0, "above", SOURCE, OURS)
        for name in ("miwae", "ciwae", "piwae")
    ]  # fmt: skip
    grid = list(POINTS.values())
    if scale == "full":
        expected += [
            Expected(f"NLL, {name}", Mean(nll, POINTS[name]), value, 1.0, "within", SOURCE, READ)
            for name, value in PUBLISHED.items()
        ]
        return Study(burda(), grid, expected)
    if scale == "cpu":
        config = shorten(burda(), 20)
        config.train.batch_size = 100
        return Study(config, grid, expected, "20 of 3,280 epochs, batches of 100 and not of 20")
    config = shorten(burda(), 10, SMALL, samples)
    config.train.batch_size = 100
    config.optimizer.learning_rate = 2e-3
    reduced = "10 of 3,280 epochs of 10,000 images in batches of 100, 500 draws"
    return Study(config, grid, expected, reduced)

"""Tucker et al. 2019 (arXiv 1810.04152) and Roeder et al. 2017: IWAE by lower-variance gradients.

Protocol: `shared.burda`, one layer; the IWAE gradient and its doubly reparameterised one at k = 5
and 50, and at k = 1 the ELBO and its gradient without the score (STL). The same seeds, so the same
initial weights, data order and noise. The values are those of the re-implementation nbip/IWAE,
which trained them by the same schedule.

Full: 3,280 epochs, 5,000 draws. cpu: 30 epochs, batches of 100, 1,000 draws, 40 minutes of 2 cores.
quick: 10,000 images, 20 epochs, 500 draws, 6 minutes.

    ./launch.sh reproduce dreg --data_dir=DATA [--scale=cpu]
"""

from experiments.base_configs import SMALL, burda, shorten
from experiments.protocol import OURS, READ, Expected, Mean, Study

SOURCE = "github.com/nbip/IWAE"
IWAE = {5: 85.18, 50: 84.59}
DREG = {5: 84.90, 50: 84.32}


def point(objective: str, k: int) -> dict:
    """The config values of one trial: an objective with k draws."""
    return {"objective.name": objective, "objective.samples": k}


def study(scale: str) -> Study:
    """IWAE and DReG at the same k, ELBO and STL, and the NLLs expected of them."""
    samples = {"full": 5000, "cpu": 1000, "quick": 500}[scale]
    nll = f"nll_iwae_{samples}"
    ks = (5,) if scale == "quick" else (5, 50)
    grid = [point(name, k) for k in reversed(ks) for name in ("iwae", "dreg")]
    grid += [point("elbo", 1), point("stl", 1)]
    least = 0.0 if scale == "quick" else 0.1
    expected = [
        Expected(f"NLL of IWAE less that of DReG, k = {k}",
                 Mean(nll, point("iwae", k), point("dreg", k)), least, 0.0, "above", SOURCE, OURS)
        for k in ks
    ]  # fmt: skip
    if scale == "full":
        expected += [
            Expected(f"NLL, {name}, k = {k}", Mean(nll, point(name, k)), value, 0.5,
                     "within", SOURCE, READ)
            for name, values in (("iwae", IWAE), ("dreg", DREG))
            for k, value in values.items()
        ]  # fmt: skip
        return Study(burda(), grid, expected)
    if scale == "cpu":
        config = shorten(burda(), 30, samples=samples)
        config.train.batch_size = 100
        reduced = "30 of 3,280 epochs, batches of 100 and not of 20, 1,000 draws"
        return Study(config, grid, expected, reduced)
    config = shorten(burda(), 20, SMALL, samples)
    return Study(config, grid, expected, "20 of 3,280 epochs, 10,000 images, 500 draws", seeds=2)

"""Burda, Grosse & Salakhutdinov 2015 (arXiv 1509.00519), table 1: MNIST, one and two layers.

Protocol: `shared.burda`; two layers have 100 and 50 latents, 200-200 and 100-100 networks. Test NLL
by 5,000 draws; a latent is active where its posterior mean's variance is above 0.01. Values of the
VAE with k draws are of the ELBO averaged over k draws.

Full: 3,280 epochs a trial, days of 2 cores, hours of a GPU. cpu: 120 epochs without the VAE's k = 5
and 50 and, of two layers, the IWAE, about 2 hours of 2 cores. quick: 10,000 images, 20 epochs, 4
minutes. In both the learning rate falls by a cosine, because the paper's stages spend two thirds of
so short a run at a tenth of the rate (100 epochs of them end 2 nats higher).

    ./launch.sh reproduce iwae_table1 --data_dir=DATA [--scale=cpu]
"""

from experiments.base_configs import SMALL, TWO_LAYERS, burda, shorten
from experiments.protocol import MEMORY, OURS, READ, Expected, Mean, Study

SOURCE = "Burda et al. 2015, table 1"
PUBLISHED = {  # (layers, objective, k): test NLL
    (1, "elbo", 1): 86.76, (1, "elbo", 5): 86.47, (1, "elbo", 50): 86.35,
    (1, "iwae", 5): 85.54, (1, "iwae", 50): 84.78,
    (2, "elbo", 1): 85.33, (2, "elbo", 5): 85.01, (2, "elbo", 50): 84.78,
    (2, "iwae", 5): 83.89, (2, "iwae", 50): 82.90,
}  # fmt: skip
ACTIVE = {("elbo", 1): 19, ("elbo", 5): 20, ("elbo", 50): 20, ("iwae", 5): 22, ("iwae", 50): 25}


def point(layers: int, objective: str, k: int) -> dict:
    """A cell of the table."""
    named = {"objective.name": objective, "objective.samples": k}
    return (TWO_LAYERS if layers == 2 else {"model.name": "vae"}) | named


def study(scale: str) -> Study:
    """The cells of the table that the scale can train, and the values expected in them."""
    samples = 500 if scale == "quick" else 5000
    nll = f"nll_iwae_{samples}"

    def value(layers: int, objective: str, k: int) -> Expected:
        return Expected(
            f"NLL, {layers} layer{'s' * (layers > 1)}, {objective}, k = {k}",
            Mean(nll, point(layers, objective, k)),
            PUBLISHED[layers, objective, k],
            0.5 if scale == "full" else 2.5,
            "within" if scale == "full" else "below",
            SOURCE,
            READ,
        )

    def gap(k: int, published: float, tolerance: float, kind: str, known: str) -> Expected:
        number = Mean(nll, point(1, "elbo", 1), point(1, "iwae", k))
        what = f"NLL of the VAE less that of IWAE, k = {k}"
        return Expected(what, number, published, tolerance, kind, SOURCE, known)

    def deeper(objective: str, k: int) -> Expected:
        number = Mean(nll, point(1, objective, k), point(2, objective, k))
        what = f"NLL of one layer less that of two, {objective}, k = {k}"
        return Expected(what, number, 0.0, 0.0, "above", SOURCE, OURS)

    if scale == "full":
        cells = list(PUBLISHED)
        expected = [value(*cell) for cell in cells]
        expected += [
            Expected(f"active units, {name}, k = {k}", Mean("active_units", point(1, name, k)),
                     count, 2.0, "within", SOURCE, MEMORY, "latents")
            for (name, k), count in ACTIVE.items()
        ]  # fmt: skip
        expected += [deeper("elbo", 1), deeper("iwae", 5), deeper("iwae", 50)]
        return Study(burda(), [point(*cell) for cell in cells], expected)
    if scale == "cpu":
        cells = [(1, "iwae", 50), (1, "elbo", 1), (1, "iwae", 5), (2, "elbo", 1)]
        config = shorten(burda(), 120)
        config.optimizer.schedule, config.train.eval_epochs = "cosine", 3.0
        expected = [gap(5, 1.2, 0.5, "within", READ), gap(50, 2.0, 0.5, "within", READ)]
        expected += [value(*cell) for cell in cells] + [deeper("elbo", 1)]
        reduced = "120 of 3,280 epochs, cosine"
        return Study(config, [point(*cell) for cell in cells], expected, reduced)
    cells = [(1, "elbo", 1), (1, "iwae", 5), (1, "iwae", 50)]
    config = shorten(burda(), 20, SMALL, samples)
    config.optimizer.schedule = "cosine"
    expected = [gap(5, 0.0, 0.0, "above", OURS), gap(50, 0.3, 0.0, "above", OURS)]
    reduced = "20 of 3,280 epochs, cosine, 10,000 images, 500 draws"
    return Study(config, [point(*cell) for cell in cells], expected, reduced)

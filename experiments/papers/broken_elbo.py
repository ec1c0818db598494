"""Alemi et al. 2018 (arXiv 1711.00464): the rate-distortion frontier, whose slope is -1/beta.

At the optimum of distortion + beta * rate the frontier's tangent is dD/dR = -beta, so in the plane
of the paper's figure, rate against distortion, dR/dD = -1/beta. Protocol: beta in 0.25, 0.5, 1, 2,
4 and, for the slopes between, a factor 1.25 to each side of every one; the slope at beta is the
difference of rates over that of distortions of its two neighbours, on test examples. One model, 50
latents, trained to the end at every beta from the same seed, on MNIST with a short warm-up of beta.
A slope other than 1 says that the two neighbours are not equally far from their optimum. Without a
warm-up, latents are given up early and for good, more of them the larger beta, and slopes are below
1 at both ends. After a longer warm-up too many latents stay in use, and slopes are above 1 in the
middle. The last number measures the remaining error: how far a model is beaten at its own beta by
another's.

Full: MNIST, 200 epochs. cpu: MNIST, 60 epochs, an hour. quick: the digits that come with the
package, 200 epochs, 3 seeds, 3 minutes.

    ./launch.sh reproduce broken_elbo --data_dir=DATA [--scale=cpu]
"""

import math
from collections.abc import Sequence

from experiments.base_configs import mnist, shorten
from experiments.protocol import OURS, Expected, Mean, Study, Trial, Value
from vae.configs import base

SOURCE = "Alemi et al. 2018, section 3"
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0)
STEP = 1.25
PLANE = ("rate", "distortion")
WARM_UP = 2.0  # epochs


class Slope:
    """-beta dR/dD at beta, which is 1 at the optimum, from its two neighbours."""

    def __init__(self, beta: float):
        self.sides = [{"objective.beta": side} for side in neighbours(beta)]
        self.beta = beta

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """The slope and its standard error."""
        rate, distortion = (Mean(metric, *self.sides)(trials) for metric in PLANE)
        slope = -self.beta * rate[0] / distortion[0]
        errors = [(e or 0.0) / v for v, e in (rate, distortion)]
        return slope, abs(slope) * math.hypot(*errors) or None


class Beaten:
    """The most nats by which a model's distortion + beta * rate is above that of another model: 0
    where every one is the best of all at its own beta, as on the frontier."""

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """The largest gap over all betas in nats; it has no standard error."""
        betas = sorted({trial["values"]["objective.beta"] for trial in trials})
        reached = {
            beta: [Mean(name, {"objective.beta": beta})(trials)[0] for name in PLANE]
            for beta in betas
        }

        def loss(of: float, at: float) -> float:
            rate, distortion = reached[of]
            return distortion + at * rate

        return max(loss(b, b) - min(loss(other, b) for other in betas) for b in betas), None


def neighbours(beta: float) -> tuple[float, float]:
    """The betas a factor STEP below and above."""
    return round(beta / STEP, 6), round(beta * STEP, 6)


def study(scale: str) -> Study:
    """Every beta with its two neighbours, and the slope of 1 expected at each."""
    grid = [{"objective.beta": b} for beta in BETAS for b in (*neighbours(beta), beta)]
    expected = [
        Expected(f"-beta times the frontier's slope dR/dD, beta = {beta:g}", Slope(beta), 1.0, 0.15,
                 "within", SOURCE, OURS, "")
        for beta in BETAS
    ]  # fmt: skip
    sides = [{"objective.beta": beta} for beta in (0.25, 4.0)]
    expected += [
        Expected("rate at beta = 0.25 less that at 4", Mean("rate", *sides), 0.0, 0.0, "above",
                 SOURCE, OURS),
        Expected("distortion at beta = 4 less that at 0.25", Mean("distortion", *sides[::-1]), 0.0,
                 0.0, "above", SOURCE, OURS),
        Expected("most that a model is worse at its own beta than another's", Beaten(), 0.0, 0.1,
                 "below", SOURCE, OURS),
    ]  # fmt: skip
    if scale == "quick":
        config = base.get_config()
        config.train.epochs, config.train.eval_epochs = 200, 20.0
        config.eval.checkpoint = "last"
        reduced = "the 8 x 8 digits and not MNIST"
        return Study(config, grid, expected, reduced, seeds=3, launcher="population")
    config = mnist(200)
    config.model.latent_size = 50
    config.eval.iwae_samples = (100,)
    config.objective.beta_schedule, config.objective.beta_epochs = "linear", WARM_UP
    if scale == "cpu":
        shorten(config, 60, 0, 100)
    reduced = "60 of 200 epochs" if scale == "cpu" else ""
    return Study(config, grid, expected, reduced, launcher="population")

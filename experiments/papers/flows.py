"""van den Berg et al. 2018 (arXiv 1803.05649), figure 2 and table 1: flows for the posterior.

Protocol here: planar (16 steps), inverse autoregressive (4 steps, networks of 320) and orthogonal
and Householder Sylvester flows (4 steps of 16 columns; 4 of 4 reflections) beside the diagonal
posterior, on dynamic MNIST with the MLP of configs/mnist.py; the paper's encoder is a gated
convolutional one with 64 latents, trained up to 2,000 epochs on static MNIST. Its order is held:
Sylvester before IAF before planar before none; its NLL falls from 82.1 (none) to 80.2 (Sylvester).

Full: 500 epochs. cpu: 60 epochs, about 2 hours of 2 cores. quick: 10,000 images, 15 epochs, without
IAF, 6 minutes.

    ./launch.sh reproduce flows --data_dir=DATA [--scale=cpu]
"""

from experiments.base_configs import SMALL, mnist, shorten
from experiments.protocol import OURS, Expected, Mean, Study

SOURCE = "van den Berg et al. 2018, table 1"
POINTS = {
    "diagonal": {"model.posterior": "diagonal"},
    "planar": {"model.posterior": "planar", "model.flow_layers": 16},
    "iaf": {"model.posterior": "iaf", "model.flow_layers": 4},
    "orthogonal": {"model.posterior": "sylvester_orthogonal", "model.flow_layers": 4},
    "householder": {"model.posterior": "sylvester_householder", "model.flow_layers": 4},
}


def study(scale: str) -> Study:
    """One trial per posterior, and the order of their ELBOs."""
    config = mnist(500)
    config.model.flow_hidden, config.model.flow_columns = (320,), 16
    names = ["diagonal", "planar", "orthogonal"] if scale == "quick" else list(POINTS)

    def better(worse: str, best: str, metric: str = "elbo") -> Expected:
        number = Mean(metric, POINTS[best], POINTS[worse])
        what = f"ELBO of {best} less that of {worse}"
        return Expected(what, number, 0.0, 0.0, "above", SOURCE, OURS)

    expected = [better("diagonal", "orthogonal"), better("planar", "orthogonal")]
    grid = [POINTS[name] for name in reversed(names)]
    if scale == "quick":
        shorten(config, 15, SMALL, 500)
        reduced = "15 of 500 epochs, 10,000 images, 500 draws, two flows of four"
        return Study(config, grid, expected, reduced)
    expected += [better("diagonal", "iaf"), better("diagonal", "householder")]
    expected += [better("diagonal", "planar")]
    reduced = "60 of 500 epochs" if scale == "cpu" else ""
    return Study(shorten(config, 60) if reduced else config, grid, expected, reduced)

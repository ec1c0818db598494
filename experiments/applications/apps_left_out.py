"""Anomaly detection in images: each digit of MNIST left out of training in turn (An & Cho 2015).

A VAE is trained on nine of the ten digits, and the tenth is the anomaly of the test set. Beside its
scores stand the same detectors as of tables (`apps_anomaly`), on the same pixels.

Full: 100 epochs, five seeds. cpu: 10 epochs, one seed, 40 minutes of 2 cores. quick: the 8 x 8
digits, 2 minutes.

    ./launch.sh reproduce apps_left_out --data_dir=DATA [--scale=cpu]
"""

from collections.abc import Sequence
from pathlib import Path

from experiments import side_by_side
from experiments.applications.apps_anomaly import Less, compared, vectors
from experiments.protocol import OURS, Expected, Study, Trial
from vae.configs import mnist


def study(scale: str) -> Study:
    """A VAE for each digit that is left out of training, and the AUROCs expected of its scores."""
    config = mnist.get_config()
    config.data.binarization, config.model.likelihood = "none", "continuous_bernoulli"
    config.eval.metrics, config.eval.iwae_samples = ("anomaly",), (100,)
    config.train.epochs = {"full": 100, "cpu": 10, "quick": 100}[scale]
    config.train.eval_epochs = config.train.epochs / 10
    if scale == "quick":
        config.data.name, config.data.validation_size = "digits", -1
        config.model.latent_size = 10
    grid = [{"data.left_out": digit} for digit in range(10)]
    expected = [
        Expected("mean AUROC of the best VAE score less that of no model", Less("no model"), 0.0,
                 0.0, "above", "", OURS, ""),
        Expected("mean AUROC of the best VAE score less that of PCA", Less("PCA"), 0.0, 0.0,
                 "above", "", OURS, ""),
    ]  # fmt: skip
    reduced = {"full": "", "cpu": "10 of 100 epochs, one seed", "quick": "the 8 x 8 digits"}[scale]
    seeds = 5 if scale == "full" else 1
    return Study(
        config, grid, expected, reduced, seeds=seeds, launcher="population", beside=beside,
        picture=side_by_side.drawn("auroc"),
    )  # fmt: skip


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """The scores of the VAE and of the other detectors, for each digit that was left out."""
    rows = []
    for digit in dict.fromkeys(trial["values"]["data.left_out"] for trial in trials):
        mine = [trial for trial in trials if trial["values"]["data.left_out"] == digit]
        train, test = vectors(directory / "trials" / mine[0]["trial"])
        white = train.max()
        rows += compared(f"without {digit}", mine, directory, train / white, test / white)
    return rows

"""Augmentation: do samples of a conditional VAE help a classifier that has few labels?

MNIST with 10, 50, 100 and 500 training images of each class, and nothing else to learn from; ten
draws. On each a conditional VAE is trained, and the classifier (two convolutions and a dense layer)
on the real images, on these and samples of the VAE, and on these with random shifts, turns and
scalings. All three have the same number of steps and the same budget of tuning, four settings,
chosen on the same few held-out images; the accuracy is of the 10,000 test images.

Full and cpu: as above, two hours of 2 cores. quick: the digits, 10 and 50 of a class, three draws,
4 minutes.

    ./launch.sh reproduce apps_augmentation --data_dir=DATA [--scale=quick]
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from scipy import ndimage

from configs import base
from experiments import methods
from experiments.protocol import OURS, Expected, Mean, Study, Trial
from vae import runs
from vae.evaluation.samples.network import Network, accuracy, fit
from vae.evaluation.trained import Trained, load

COUNTS = (10, 50, 100, 500)
METHODS = ("real", "real and samples", "real and transformed")
RATES, COPIES = (1e-3, 3e-3), (1, 4)  # four settings: learning rates, and new images a real one
RATES_ALONE = (5e-4, 1e-3, 2e-3, 4e-3)  # the four settings of real images alone
STEPS, BATCH = 1500, 64
WIDTH = 128
SEEN = 200_000  # examples that a VAE is trained on, each many times
NOISE = 0.1  # of a column's standard deviation: what ordinary augmentation adds to rows of a table


def study(scale: str) -> Study:
    config = base.get_config()
    config.data.binarization = "none"
    config.model.likelihood = "continuous_bernoulli"
    config.model.latent_size, config.model.hidden = 16, (256, 256)
    if scale == "quick":
        return augmented(config, (10, 50), 3, "the 8 x 8 digits, three draws")
    config.data.name, config.data.validation_size = "mnist", 500
    return augmented(config, COUNTS, 10, classes=10)


def augmented(
    config: ConfigDict, counts: Sequence[int], draws: int, reduced: str = "", classes: int = 10
) -> Study:
    """A class-conditional model and the classifiers, of so many examples of each class."""
    config.data.context = "labels"
    config.train.batch_size = min(50, classes * min(counts))
    config.train.epochs, config.train.eval_epochs = 100, 10.0
    config.eval.iwae_samples, config.eval.checkpoint = (10,), "best"
    grid = [
        {
            "seed": draw,
            "data.split": draw,
            "data.per_class": count,
            "train.epochs": max(1, SEEN // (classes * count)),
            "train.eval_epochs": SEEN / 10 / (classes * count),
        }
        for count in counts
        for draw in range(draws)
    ]

    def gain(method: str, count: int) -> Expected:
        of = {"per_class": count}
        number = Mean("accuracy", of | {"method": method}, of | {"method": "real"})
        what = f"accuracy with {method.removeprefix('real and ')} less without, {count} a class"
        return Expected(what, number, -0.02, 0.0, "above", "", OURS, "")

    expected = [gain(method, count) for count in counts for method in METHODS[1:]]
    picture = methods.drawn("accuracy")
    return Study(
        config, grid, expected, reduced, launcher="population", beside=beside, picture=picture
    )


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """The classifier's accuracy of each method on each draw, at its best setting."""
    rows = []
    for trial in trials:
        values = trial["values"]
        for method, share in accuracies(directory / "trials" / trial["trial"]).items():
            rows.append({
                "trial": method,
                "values": {"method": method, "per_class": values["data.per_class"],
                           "seed": values["data.split"]},
                "metrics": {"accuracy": share},
                "stderr": {},
            })  # fmt: skip
    return rows


def accuracies(workdir: Path) -> dict[str, float]:
    """The accuracy of each method beside a run, which keeps them, so that a relaunch goes on."""
    path = workdir / "accuracies.json"
    if not path.exists():
        run = load(workdir)
        seed = run.config.data.split
        runs.write_json(path, {method: classified(run, method, seed) for method in METHODS})
    return runs.read_json(path)


def classified(run: Trained, method: str, seed: int) -> float:
    """Test accuracy at the setting that is best on the validation images."""
    x, labels = run.examples("train"), np.asarray(run.dataset.splits["train"].labels)
    network, found = Network(run.shape, run.model.context_size, WIDTH), []

    def score(params: Any, split: str) -> float:
        return accuracy(network, params, run.examples(split), run.dataset.splits[split].labels)

    alone = [(rate, 0) for rate in RATES_ALONE]
    settings = alone if method == "real" else itertools.product(RATES, COPIES)
    for rate, copies in settings:
        more, of = new_images(run, method, copies, x, labels, seed)
        everything, classes = np.concatenate([x, more]), np.concatenate([labels, of])
        epochs = max(1, STEPS * BATCH // len(everything))
        params = fit(network, everything, classes, seed, epochs, BATCH, rate)
        found.append((score(params, "validation"), params))
    best = max(found, key=lambda each: each[0])[1]  # of equals the first
    return score(best, "test")


def new_images(
    run: Trained, method: str, copies: int, x: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Examples and classes to train on beside the real ones: `copies` for each."""
    if not copies:
        return x[:0], labels[:0]
    of = np.tile(labels, copies)
    if method == "real and samples":
        return run.sample(len(of), seed=seed, context=of), of
    rng = np.random.default_rng(seed)
    if len(run.shape) == 1:
        every = np.tile(x, (copies, 1))
        return every + NOISE * rng.normal(size=every.shape).astype(np.float32), of
    return np.stack([transformed(image, rng) for image in np.tile(x, (copies, 1, 1, 1))]), of


def transformed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image [H, W, 1], turned by up to 15 degrees, scaled by up to a tenth, and shifted by up to
    a tenth of its side."""
    angle, scale = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(0.9, 1.1)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    middle = (np.array(image.shape[:2]) - 1) / 2
    shift = rng.uniform(-0.1, 0.1, 2) * image.shape[0]
    offset = middle - matrix @ (middle + shift)
    moved = ndimage.affine_transform(image[..., 0], matrix, offset, order=1)
    return np.clip(moved, 0.0, 1.0)[..., None].astype(np.float32)

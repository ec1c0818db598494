"""Augmentation: do samples of a conditional VAE help a classifier that has few labels?

MNIST with 10, 50, 100 and 500 training images of each class, and nothing else to learn from; ten
draws. On each a conditional VAE is trained, and the classifier (two convolutions and a dense layer)
on the real images, on these and samples of the VAE, and on these with random shifts, turns and
scalings. All three have the same number of steps and the same budget of tuning, four settings,
chosen on the same 500 held-out images, as is the checkpoint; the accuracy is of the 10,000 test
images. Samples are decoded from the prior, or from between two training images of a class: this is
one of their settings, as the number of transformed images is of the others.

Two latents, and images binarised at every step, were chosen on a draw that is not among the ten.
Samples from a prior are only as good as its match with what the decoder has seen of a class. With
16 latents, a classifier of real images finds the wanted class in 40% of samples at 10 images a
class and in 79% at 500; with two latents, in 98% and 99%. A continuous Bernoulli is an unbounded
density on near-black pixels and spends 140 nats on where a training image lies.

Full and cpu: as above, an hour of 2 cores. quick: the digits, 10 and 50 of a class, three draws,
4 minutes.

    ./launch.sh reproduce apps_augmentation --data_dir=DATA [--scale=quick]
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from scipy import ndimage

from experiments import side_by_side
from experiments.protocol import OURS, Expected, Mean, Study, Trial
from vae import data, runs
from vae.configs import base
from vae.data.observe import observed
from vae.evaluation.trained import Trained, load
from vae.scores.samples.network import Network, accuracy, fit

COUNTS = (10, 50, 100, 500)
METHODS = ("real", "real and samples", "real and transformed")
RATES = (1e-3, 3e-3)  # times two, four settings:
SOURCES, COPIES = ("prior", "between"), (1, 4)  # of latents; transformed images of a real one
RATES_ALONE = (5e-4, 1e-3, 2e-3, 4e-3)  # the four settings of real images alone
STEPS, BATCH = 1500, 64
WIDTH = 128
SEEN, VALIDATIONS = 200_000, 40  # examples that a VAE is trained on, each many times
NOISE = 0.1  # of a column's standard deviation: what ordinary augmentation adds to rows of a table

Splits = dict[str, tuple[np.ndarray, np.ndarray]]  # examples and labels


def study(scale: str) -> Study:
    """MNIST with 10 classes; at scale quick the 8 x 8 digits with fewer images."""
    config = base.get_config()
    config.model.latent_size, config.model.hidden = 2, (256, 256)
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
    config.eval.iwae_samples, config.eval.checkpoint = (10,), "best"
    grid = [
        {
            "seed": draw,
            "data.split": draw,
            "data.per_class": count,
            "train.epochs": max(1, SEEN // (classes * count)),
            "train.eval_epochs": SEEN / VALIDATIONS / (classes * count),
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
    picture = side_by_side.drawn("accuracy")
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
        splits, seed = unbinarised(run), run.config.data.split
        found = {method: classified(run, splits, method, seed) for method in METHODS}
        runs.write_json(path, found)
    return runs.read_json(path)


def classified(run: Trained, splits: Splits, method: str, seed: int) -> float:
    """Test accuracy at the setting that is best on the validation images."""
    x, labels = splits["train"]
    network, found = Network(run.shape, run.model.context_size, WIDTH), []
    if method == "real":
        settings = [(rate, x[:0]) for rate in RATES_ALONE]
    elif method == "real and samples":
        settings = itertools.product(RATES, [sampled(run, each, labels, seed) for each in SOURCES])
    else:
        settings = itertools.product(RATES, [moved(x, copies, seed) for copies in COPIES])
    for rate, more in settings:
        everything = np.concatenate([x, more])
        classes = np.resize(labels, len(everything))  # new examples go by turns through the real
        epochs = max(1, STEPS * BATCH // len(everything))
        params = fit(network, everything, classes, seed, epochs, BATCH, rate)
        found.append((accuracy(network, params, *splits["validation"]), params))
    best = max(found, key=lambda each: each[0])[1]  # of equals the first
    return accuracy(network, best, *splits["test"])


def unbinarised(run: Trained) -> Splits:
    """Examples and labels of each split as a classifier sees them: brightness, where the VAE sees
    zeros and ones."""
    config = run.config.data.copy_and_resolve_references()
    config.binarization = "none"
    dataset = data.load(config)
    return {
        name: (observed(dataset, name)[:], np.asarray(split.labels))
        for name, split in dataset.splits.items()
    }


def sampled(run: Trained, source: str, labels: np.ndarray, seed: int) -> np.ndarray:
    """A new example of the class of each training example, [N, *shape].

    Args:
      source: the latents are drawn from the prior, or lie between the means of q(z|x) of the
        training example and another of its class.
    """
    rows = len(run.shape) == 1  # a row without its noise is none; an image's mean is its brightness
    if source == "prior":
        return run.sample(len(labels), seed=seed, draw=rows, context=labels)
    rng = np.random.default_rng(seed)
    partners = np.empty(len(labels), int)
    for each in np.unique(labels):
        (members,) = np.nonzero(labels == each)
        partners[members] = rng.choice(members, len(members))
    mean, _ = run.encode(run.examples("train"), labels)
    share = rng.uniform(size=(len(labels), 1)).astype(np.float32)
    z = mean + share * (mean[partners] - mean)
    return run.draw(z, seed, labels) if rows else run.decode(z, labels)


def moved(x: np.ndarray, copies: int, seed: int) -> np.ndarray:
    """So many transformed copies of every image, or noisy ones of every row."""
    rng, every = np.random.default_rng(seed), np.tile(x, (copies, *[1] * (x.ndim - 1)))
    if x.ndim == 2:
        return every + NOISE * rng.normal(size=every.shape).astype(np.float32)
    return np.stack([transformed(image, rng) for image in every])


def transformed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image [H, W, 1], turned by up to 15 degrees, scaled by up to a tenth, and shifted by up to
    a tenth of its side."""
    angle, scale = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(0.9, 1.1)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    middle = (np.array(image.shape[:2]) - 1) / 2
    shift = rng.uniform(-0.1, 0.1, 2) * image.shape[0]
    offset = middle - matrix @ (middle + shift)
    pixels = ndimage.affine_transform(image[..., 0], matrix, offset, order=1)
    return np.clip(pixels, 0.0, 1.0)[..., None].astype(np.float32)

"""Densities of latents: what a convolutional VAE on MNIST draws from each of its samplers.

One model; its latents from the prior, from each density that `sample --sampler` can fit to them,
from flow matching of each class (Lipman et al. 2023; Ho & Salimans 2022), and from q(z|x) of
training images, which is what its decoder does with a perfect density of z. 10,000 draws of x each,
beside the test set, over the features of a classifier of the same images: precision, recall,
density, coverage, sharpness, copies of training images; and of draws of a class the share that the
classifier puts into it (`class_right`), beside that of q(z|x) of images of the class, which is what
draws of a perfect density would have. Comparable within this table alone.

Full: 30 epochs. cpu: 15 epochs, and the fits: about 40 minutes of 2 cores. quick: 5,000 images and
two epochs, 10 minutes.

    ./launch.sh reproduce apps_latents --data_dir=DATA [--scale=cpu]
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.applications import apps_generation
from experiments.applications.apps_generation import ENCODED, OF_SAMPLES
from experiments.protocol import OURS, Expected, Mean, Study, Trial
from vae.configs import conv_mnist
from vae.evaluation import training_latents
from vae.evaluation.trained import Trained, load
from vae.reports.mosaics import picture_rows
from vae.scores import samples
from vae.scores.samples.feature_cache import kept

FITTED = ("normal", "aggregate", "mixture", "flow", "second_stage", "flow_matching")
GUIDED = {"flow_matching, by class": 1.0, "flow_matching, guidance 1.5": 1.5}
PRIOR = "prior"
EPOCHS = {"full": 30, "cpu": 15, "quick": 2}
COLUMNS = 20  # of the picture


def study(scale: str) -> Study:
    """The convolutional model, and what its samplers draw."""
    quick = scale == "quick"
    base = conv_mnist.get_config()
    base.data.size = 5_000 if quick else 0
    base.data.validation_size = -1 if quick else base.data.validation_size
    base.eval.metrics, base.eval.iwae_samples = ("samples",), (10,)
    base.eval.samples = 500 if quick else 10_000
    base.train.epochs, base.train.eval_epochs = EPOCHS[scale], 1.0

    def at_least(metric: str, method: str, least: float) -> Expected:
        value = 0.0 if quick else least
        what = f"{metric}, {method}"
        return Expected(what, Mean(metric, {"method": method}), value, 0.0, "above", "", OURS, "")

    expected = [
        at_least("coverage", "flow matching", 0.9),
        at_least("precision", "flow matching", 0.85),
        at_least("coverage", "flow matching, by class", 0.9),
        *(at_least("class_right", name.replace("_", " "), 0.97) for name in GUIDED),
        at_least("coverage", "mixture", 0.8),
    ]
    reduced = {"full": "", "cpu": "15 of 30 epochs", "quick": "5,000 images, two epochs"}[scale]
    return Study(base, [{"seed": 0}], expected, reduced, beside=beside, picture=picture)


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """Every way to draw latents, as a method."""
    (trial,) = trials
    run = load(directory / "trials" / trial["trial"])
    x, train = run.examples("test")[: run.config.eval.samples], run.examples("train")
    labels = np.asarray(run.dataset.splits["train"].labels)
    extractor = kept(train, labels, run.dataset.name)
    known = {key: trial["metrics"][key] for key in OF_SAMPLES}
    errors = {key: trial["stderr"][key] for key in known if trial["stderr"].get(key) is not None}
    values = {"method": PRIOR, "seed": 0}
    rows = [{"trial": PRIOR, "values": values, "metrics": known, "stderr": errors}]
    for name in (*FITTED, *GUIDED, ENCODED):
        asked = asked_for(run, name, len(x))
        made = apps_generation.examples(run, latents(run, name, asked, len(x)))
        found = samples.scores(made, x, train, extractor, seed=0)
        row = apps_generation.row(name, name.replace("_", " "), found)
        if name == ENCODED:  # what a perfect density of each class would have
            asked = labels[training_latents.order(run, 0)[: len(x)]]
        if asked is not None:
            row["metrics"]["class_right"] = float((extractor.labels(made) == asked).mean())
        rows.append(row)
    return rows


def asked_for(run: Trained, name: str, num: int) -> np.ndarray | None:
    """The class of each draw [num], as often as in the training set; None of what has none."""
    labels = np.asarray(run.dataset.splits["train"].labels)
    return np.random.default_rng(0).choice(labels, num) if name in GUIDED else None


def latents(run: Trained, name: str, asked: np.ndarray | None, num: int) -> np.ndarray:
    """z [num, L] by a method's name."""
    if name not in GUIDED:
        return apps_generation.latents(run.workdir, name, num)
    density = apps_generation.density(run.workdir, "flow_matching")
    return density.sample(num, 0, labels=asked, guidance=GUIDED[name])


def picture(rows: Sequence[Trial], directory: Path) -> Figure:
    """Twenty samples of each method: the means of p(x|z), not selected; those by class in order."""
    (path,) = (directory / "trials").iterdir()
    run, made = load(path), []
    for row in rows:
        name = row["trial"]
        asked = np.arange(COLUMNS) % 10 if name in GUIDED else None
        made.append(run.decode(latents(run, name, asked, COLUMNS)))
    labels = [row["values"]["method"].replace(", ", ",\n") for row in rows]
    return picture_rows(np.stack(made), labels)

"""Generation: the best small generators of this codebase on MNIST, by the same measures.

Convolutional VAE, class-conditional VAE, top-down hierarchy, VQ-VAE with a learnt prior over its
codes, and the convolutional VAE with its latents drawn from a second VAE (Dai & Wipf 2019), a
Gaussian or a mixture of them (Ghosh et al. 2020), or q(z|x) of training images: what its decoder
would do with a perfect density of z. Bounds on the likelihood; and 10,000 draws beside the test set
over the features of a classifier that is trained here on the same images: precision, recall,
density, coverage, sharpness, copies of training images. These are not FID or its relatives, and are
comparable within this table alone.

At 10 epochs the prior and the second VAE miss the coverage of a half, and the density of z is the
reason: draws of q(z|x) cover as much as real images do. The second VAE, then still one of white
latents, was hardly better than one Gaussian. `apps_latents` has what more such densities do.

Full: as above, 40 epochs, four hours of 2 cores. cpu: 10 epochs, an hour. quick: 5,000 images,
two epochs, without the hierarchy, 4 minutes.

    ./launch.sh reproduce apps_generation --data_dir=DATA [--scale=cpu]
"""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from experiments.base_configs import changes
from experiments.protocol import OURS, Expected, Mean, Study, Trial
from vae.configs import conv_mnist, top_down_mnist, vq_mnist
from vae.evaluation import samplers
from vae.evaluation.trained import Trained, load
from vae.metrics import Metric
from vae.reports.mosaics import picture_rows
from vae.scores import samples
from vae.scores.samples.feature_cache import kept

ENCODED = "q(z|x) of training images"  # no density: nothing new is drawn
OTHER_SAMPLERS = ("aggregate", "mixture", "second_stage", ENCODED)
OF_SAMPLES = (
    "precision", "recall", "density", "coverage", "sharpness", "sharpness_data", "memorised",
)  # fmt: skip
CONV = "convolutional"
COLUMNS = 20  # of the picture
EPOCHS = {"full": 40, "cpu": 10, "quick": 2}


def study(scale: str) -> Study:
    """The convolutional model beside the other generators, on MNIST."""
    base = conv_mnist.get_config()
    files = [vq_mnist] if scale == "quick" else [vq_mnist, top_down_mnist]
    others = [_model(file.get_config()) for file in files]
    reduced = {"full": "", "cpu": "10 of 40 epochs", "quick": "5,000 images, two epochs"}[scale]
    return generators(base, others, EPOCHS[scale], scale == "quick", reduced)


def generators(
    base: ConfigDict, others: Sequence[dict[str, Any]], epochs: int, quick: bool, reduced: str
) -> Study:
    """The model of a config, the same given the class, and others, all judged by their samples."""
    base.data.size = 5_000 if quick else 0
    base.data.validation_size = -1 if quick else base.data.validation_size
    base.eval.metrics, base.eval.iwae_samples = ("samples",), (10,)
    base.eval.samples = 500 if quick else 10_000
    base.train.epochs, base.train.eval_epochs = epochs, 1.0
    conditional = {"data.context": "labels"}
    plain = {"data.context": "", "model.name": "vae"}

    def at_least(metric: str, of: dict[str, Any], what: str) -> Expected:
        return Expected(what, Mean(metric, of), 0.0 if quick else 0.5, 0.0, "above", "", OURS, "")

    expected = [
        at_least("precision", conditional, "precision, class-conditional"),
        at_least("coverage", plain, "coverage, convolutional"),
        at_least("coverage", {"method": f"{CONV}, second stage"},
                 "coverage, convolutional, second stage"),
    ]  # fmt: skip
    grid = [{}, *others, conditional]
    return Study(base, grid, expected, reduced, beside=beside, picture=picture)


def _model(config: ConfigDict) -> dict[str, Any]:
    """What a config sets otherwise than the convolutional one, but for length and evaluation."""
    return {
        key: value
        for key, value in changes(config, conv_mnist.get_config()).items()
        if not key.startswith(("eval.", "train.epochs", "train.eval_"))
    }


def method(trial: Trial) -> str:
    """What a trial's model is called in the table."""
    if trial["values"]["data.context"]:
        return "class-conditional"
    return {"vae": CONV, "top_down": "top-down hierarchy"}.get(
        trial["values"]["model.name"], "VQ-VAE and its prior"
    )


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """Every generator; and the convolutional one with its latents drawn from other densities."""
    shown = ("nll_iwae_10", *OF_SAMPLES)
    rows = [
        {
            "trial": trial["trial"],
            "values": {"method": method(trial), "seed": 0},
            "metrics": {name: trial["metrics"][name] for name in shown},
            "stderr": {n: trial["stderr"][n] for n in shown if trial["stderr"].get(n) is not None},
        }
        for trial in trials
    ]
    (trial,) = [trial for trial in trials if method(trial) == CONV]
    run = load(directory / "trials" / trial["trial"])
    x, train = run.examples("test")[: run.config.eval.samples], run.examples("train")
    extractor = kept(train, np.asarray(run.dataset.splits["train"].labels), run.dataset.name)
    for name in OTHER_SAMPLERS:
        made = examples(run, latents(run.workdir, name, len(x)))
        found = samples.scores(made, x, train, extractor, seed=0)
        rows.append(row(name, f"{CONV}, {name.replace('_', ' ')}", found))
    return rows


def examples(run: Trained, z: np.ndarray) -> np.ndarray:
    """What is judged of latents z [num, L]: draws of p(x|z) where x is discrete, else its means."""
    made = run.draw(z, seed=0) if run.model.likelihood.discrete else run.decode(z)
    return run.within(made)


def row(
    name: str, method: str, found: dict[str, Metric], kept: Iterable[str] = OF_SAMPLES
) -> Trial:
    """The numbers of one method, of those that were measured of its samples."""
    found = {key: found[key] for key in kept}
    return {
        "trial": name,
        "values": {"method": method, "seed": 0},
        "metrics": {key: m.value for key, m in found.items()},
        "stderr": {key: m.stderr for key, m in found.items() if m.stderr is not None},
    }


def latents(workdir: Path, name: str, num: int) -> np.ndarray:
    """What a run's latents are instead of draws from the prior: z [num, L]."""
    if name == ENCODED:
        return samplers.latents(load(workdir), num)
    return density(workdir, name).sample(num, 0)


@functools.cache  # its numbers and its picture ask for it
def density(workdir: Path, name: str) -> Any:
    """A sampler of a run's latents, fitted to it."""
    return samplers.fit(load(workdir), name)


def picture(rows: Sequence[Trial], directory: Path) -> Figure:
    """Twenty samples of each generator: the means of p(x|z), not selected."""
    (plain,) = [row["trial"] for row in rows if row["values"]["method"] == CONV]
    made = []
    for row in rows:
        name = row["trial"]
        run = load(directory / "trials" / (plain if name in OTHER_SAMPLERS else name))
        if name in OTHER_SAMPLERS:
            made.append(run.decode(latents(run.workdir, name, COLUMNS)))
        else:
            made.append(run.sample(COLUMNS, seed=0, context=run.contexts(COLUMNS)))
    labels = [row["values"]["method"].replace(", ", ",\n") for row in rows]
    return picture_rows(np.stack(made), labels)

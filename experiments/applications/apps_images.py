"""Images of colour and clothes: autoencoders with latents in space beside a diagonal VAE.

CIFAR-10 and Fashion-MNIST. A VAE whose prior N(0, I) is meant to be its generator; and spatial
autoencoders, f = 4, whose latents a sampler learns afterwards (Rombach et al. 2022): a Gaussian of
little rate, and codes of 10 bits a position by finite scalar quantisation (1,000), a codebook
(1,024) and two of them (32 each). All but the first are trained by the pixels' Gaussian likelihood
alone, with features of a classifier, with a critic of patches, or with both (Esser et al. 2021).

Reconstructions of the test set: PSNR, and the Frechet distance of features. Samples beside the test
set: Frechet distance, precision, recall, coverage, from the prior; of models with features and a
critic also from a density learnt of their latents: flow matching (Lipman et al. 2023) of Gaussian
ones, a masked transformer (Chang et al. 2022) of codes. The features are of a classifier with
another seed than the one that teaches, of the same layers and images; comparable within one data
set of this table alone.

Full: 20 epochs, for an accelerator. cpu: half the width, one epoch in steps of 32 images, and fewer
of the methods, two hours of 2 cores. quick: a look at the parts: 3,000 images of CIFAR-10, 10
minutes.

    ./launch.sh reproduce apps_images --data_dir=DATA [--scale=cpu]
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from experiments.applications import apps_generation
from experiments.base_configs import changes
from experiments.protocol import OURS, Expected, Study, Trial, Value, pick
from vae.configs import cifar10, cifar10_fsq, cifar10_kl, cifar10_vq
from vae.evaluation.trained import Trained, load
from vae.metrics import Metric
from vae.reports.mosaics import picture_rows
from vae.scores import likeness, samples
from vae.scores.samples.feature_cache import kept

EPOCHS = {"full": 20, "cpu": 1, "quick": 1}
DATA = {"cifar10": "CIFAR-10", "fashion_mnist": "Fashion-MNIST"}
TERMS = {
    "pixels": {"objective.feature": 0.0, "objective.adversarial": 0.0},
    "features": {"objective.feature": 0.2, "objective.adversarial": 0.0},
    "critic": {"objective.feature": 0.0, "objective.adversarial": 0.5},
    "both": {"objective.feature": 0.2, "objective.adversarial": 0.5},
}
DIAGONAL, BOTH = "diagonal VAE", "both"
LEARNT = {"KL": "flow matching"}  # a density of latents by model; of others:
OF_CODES = "masked"
ENDS = ("pixels", BOTH)
METHODS = {
    "full": {
        "cifar10": {"KL": tuple(TERMS), "FSQ": ENDS, "VQ": ENDS, "residual VQ": ENDS},
        "fashion_mnist": {"KL": ENDS, "FSQ": ENDS},
    },
    "cpu": {
        "cifar10": {"KL": tuple(TERMS), "FSQ": ENDS, "VQ": (BOTH,), "residual VQ": (BOTH,)},
        "fashion_mnist": {"KL": ENDS},
    },
    "quick": {"cifar10": {"KL": ENDS, "FSQ": ENDS}},
}
OF_SAMPLES = ("frechet_distance", "precision", "recall", "coverage")
JUDGE = 1  # the seed of the classifier that judges
COLUMNS = 10  # of the picture, of reconstructions and of samples
SIDE = 32  # pixels that a picture's images are framed to


def study(scale: str) -> Study:
    """The diagonal VAE and METHODS."""
    base, chosen = cifar10_kl.get_config(), METHODS[scale]
    base.objective.features, base.objective.critic_start = "classifier", 0.5
    base.train.epochs, base.train.eval_epochs = EPOCHS[scale], 1.0
    if scale != "full":  # too few steps for averages of weights
        base.model.filters, base.train.ema = (32, 64), 0.0
        base.train.batch_size, base.eval.samples = 32, 4_000
    if scale == "quick":
        base.data.size, base.data.validation_size, base.eval.samples = 3_000, -1, 400
        base.model.filters, base.train.batch_size = (8, 16), 20
    kinds, grid = bottlenecks(), []
    for data, of_data in chosen.items():
        points = [kinds[name] | TERMS[terms] for name, each in of_data.items() for terms in each]
        grid += [point | {"data.name": data} for point in (plain(base), *points)]
    reduced = {"full": "", "cpu": "1 of 20 epochs, half the width, 4,000 samples",
               "quick": "3,000 images, one epoch, an eighth of the width"}[scale]  # fmt: skip
    expected = expectations(chosen, scale == "quick")
    return Study(base, grid, expected, reduced, beside=beside, picture=picture)


def bottlenecks() -> dict[str, dict[str, Any]]:
    """What each sets otherwise than the Gaussian one: about 10 bits a position."""
    kl, found = cifar10_kl.get_config(), {"KL": {}}
    for name, file in (("FSQ", cifar10_fsq), ("VQ", cifar10_vq)):
        found[name] = changes(file.get_config(), kl)
    found["residual VQ"] = found["VQ"] | {
        "model.bottleneck": "residual", "model.codes": 32, "model.code_depth": 2
    }  # fmt: skip
    return found


def plain(base: ConfigDict) -> dict[str, Any]:
    """What the diagonal VAE of cifar10.py sets otherwise, at the base's width and length."""
    config = cifar10.get_config()
    config.model.filters = (*base.model.filters, 2 * base.model.filters[-1])
    apart = ("eval.", "train.", "data.", "objective.critic")
    return {k: v for k, v in changes(config, base).items() if not k.startswith(apart)}


def expectations(
    chosen: Mapping[str, Mapping[str, Iterable[str]]], quick: bool
) -> list[Expected]:
    """What features and a critic take off, and what a learnt density of latents covers."""

    def at_least(what: str, number: Any, value: float) -> Expected:
        return Expected(what, number, -1e6 if quick else value, 0.0, "above", "", OURS, "")

    lines = []
    for data, names in chosen.items():
        for name in (name for name, terms in names.items() if set(ENDS) <= set(terms)):
            number = Compared(
                "reconstructed", method(data, name, BOTH), method(data, name, "pixels"), lowered
            )
            what = f"{DATA[data]}, {name}: share of the reconstructions' Frechet distance that "
            lines.append(at_least(f"{what}features and a critic take off", number, 0.3))
        matched = f"{method(data, 'KL', BOTH)}, {LEARNT['KL']}"
        ratio = Compared("coverage", matched, method(data, DIAGONAL, ""), times)
        what = f"{DATA[data]}: coverage by {LEARNT['KL']} over that of the diagonal VAE"
        lines.append(at_least(what, ratio, 3.0))
    return lines


@dataclass(frozen=True)
class Compared:
    """A number of two methods' values of a metric, whose standard error is not known."""

    metric: str
    of: str
    against: str
    number: Callable[[float, float], float]

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """The number."""
        (ours,), (theirs,) = (pick(trials, {"method": n}) for n in (self.of, self.against))
        return self.number(ours["metrics"][self.metric], theirs["metrics"][self.metric]), None


def lowered(ours: float, theirs: float) -> float:
    """The share that ours is below theirs."""
    return 1.0 - ours / theirs


def times(ours: float, theirs: float) -> float:
    """Ours over theirs, which counts as one of a thousand where it is less."""
    return ours / max(theirs, 1e-3)


def model_of(values: Mapping[str, Any]) -> str:
    """What a trial's model is called."""
    if values.get("model.name") == "vae":
        return DIAGONAL
    return {"fsq": "FSQ", "vq": "VQ", "residual": "residual VQ"}.get(
        values.get("model.bottleneck") or "kl", "KL"
    )


def method(data: str, model: str, terms: str) -> str:
    """What a row of the table is called."""
    return f"{DATA[data]}, {model}" + (f", {terms}" if terms else "")


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """Every model, its reconstructions and samples of its prior; and those of learnt densities."""
    rows = []
    for trial in trials:
        values, run = trial["values"], load(directory / "trials" / trial["trial"])
        model = model_of(values)
        terms = {key: values[key] for key in TERMS["pixels"]} if model != DIAGONAL else {}
        name = next((name for name, each in TERMS.items() if each == terms), "")
        named = method(values["data.name"], model, name)
        metrics, errors = reconstructed(run)
        size = len(run.dataset.splits["train"].x)
        steps = run.config.train.epochs * (size // run.config.train.batch_size)
        first = apps_generation.row(
            trial["trial"], named, sampled(run, "prior"), OF_SAMPLES
        )
        first["metrics"] = metrics | first["metrics"] | {
            "seconds": trial["seconds"] or 0.0, "steps": steps
        }  # fmt: skip
        first["stderr"] |= errors
        rows.append(first)
        if name == BOTH:
            learnt = LEARNT.get(model, OF_CODES)
            found = sampled(run, sampler_of(learnt))
            named = f"{named}, {learnt}"
            rows.append(apps_generation.row(trial["trial"], named, found, OF_SAMPLES))
    return rows


def judge(run: Trained) -> tuple[np.ndarray, np.ndarray, Any]:
    """Test and training images, and the features that judge."""
    x, train = run.examples("test")[: run.config.eval.samples], run.examples("train")
    labels = np.asarray(run.dataset.splits["train"].labels)
    return x, train, kept(train, labels, run.dataset.name, seed=JUDGE)


def reconstructed(run: Trained) -> tuple[dict[str, float], dict[str, float]]:
    """Of reconstructions of the test set: metrics, and the standard errors that are known."""
    x, _, extractor = judge(run)
    made = run.within(run.reconstruct(x))
    each = likeness.psnr(made, x)
    apart = samples.scores(made, x, extractor=extractor, names=["frechet_distance"])
    metrics = {"psnr": float(each.mean()), "reconstructed": apart["frechet_distance"].value}
    return metrics, {"psnr": float(each.std(ddof=1) / len(x) ** 0.5)}


def sampled(run: Trained, name: str) -> dict[str, Metric]:
    """Of as many draws of x as there are test images, its latents by this sampler."""
    x, _, extractor = judge(run)
    made = apps_generation.examples(run, latents(run, name, len(x)))
    return samples.scores(made, x, extractor=extractor, names=OF_SAMPLES, seed=0)


def sampler_of(density: str) -> str:
    """The sampler's name of a learnt density."""
    return density.replace(" ", "_")


def latents(run: Trained, name: str, num: int) -> np.ndarray:
    """z [num, L] by a sampler's name."""
    return apps_generation.density(run.workdir, name).sample(num, 0)


def picture(rows: Sequence[Trial], directory: Path) -> Figure:
    """Ten reconstructions of test images beside ten samples of each method, not selected; of learnt
    densities the images themselves are at the left."""
    made, labels = [], []
    for each in rows:
        run, name = load(directory / "trials" / each["trial"]), each["values"]["method"]
        x, ending = run.examples("test")[:COLUMNS], name.split(", ")[-1]
        learnt = ending in (*LEARNT.values(), OF_CODES)
        z = latents(run, sampler_of(ending) if learnt else "prior", COLUMNS)
        left = x if learnt else run.within(run.reconstruct(x))
        made.append(np.concatenate([framed(left), framed(run.within(run.decode(z)))]))
        labels.append(name.replace(", ", ",\n", 1))
    return picture_rows(np.stack(made), labels, wide_after=(COLUMNS - 1,))


def framed(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, 1 or 3] in colours on a ground of SIDE pixels a side: [N, SIDE, SIDE, 3]."""
    over = SIDE - images.shape[1]
    around = over // 2, over - over // 2
    padded = np.pad(images, ((0, 0), around, around, (0, 0)))
    return np.broadcast_to(padded, (*padded.shape[:3], 3))

"""Bits per dimension that a file proves: what `compress` makes of test images, and what others do.

Four models on MNIST binarised once, MNIST and Fashion-MNIST in 256 levels (CIFAR-10: `bits_color`):
one layer of latents, a chain of two, a ladder of two, and maps of latents from coarse to fine. Each
writes test images as a file (`file_bits`: all of its bytes, with the first random bits), reads them
back, and is refused here if they differ. Beside it: the bits without those first ones (`net_bits`),
minus the ELBO (`elbo_bits`), images a second both ways and of the networks alone, and gzip, bz2, xz
of the same bytes in one file (binarised: eight pixels a byte), PNG (optimised) and lossless WebP
with a picture each.

Published, from memory: BB-ANS (Townsend et al. 2019) has 0.20 on MNIST binarised, at an ELBO of
0.19, and 1.41 in 256 levels.

Full: 100 epochs, files of all test images. cpu: five epochs, of top_down two; files of 2,000 test
images in 256 levels; an hour of 2 cores. quick: the digits of the package, three minutes.

    ./launch.sh reproduce bits --data_dir=DATA [--scale=cpu]
"""

import bz2
import dataclasses
import functools
import gzip
import lzma
import math
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from experiments.base_configs import changes
from experiments.protocol import OURS, Expected, Mean, Study, Trial, Value
from vae.coding.others import FORMATS, picture_bytes
from vae.configs import mnist, top_down_mnist
from vae.errors import RunError
from vae.evaluation import compress
from vae.evaluation.trained import Trained, load
from vae.probability import noise
from vae.reports.figures import styled
from vae.reports.sweep_figures import PALETTE, SOFT

MODELS = ("vae", "chain", "ladder", "top_down")
DATA = {  # name of a data set here: its name in a config, and whether it is binarised
    "MNIST binarised": ("mnist", "static"),
    "MNIST": ("mnist", "none"),
    "Fashion-MNIST": ("fashion_mnist", "none"),
    "CIFAR-10": ("cifar10", "none"),  # of `bits_color`
}
QUICK = {"digits binarised": ("digits", "static"), "digits": ("digits", "none")}
GREY = ("MNIST binarised", "MNIST", "Fashion-MNIST")
FEW = 2_000  # images in 256 levels that files are written of, at less than full scale
STREAMS = 16
LOSSLESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 9),
    "bz2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
}


def study(scale: str) -> Study:
    """Every model on every data set, and what is expected of the files."""
    data = QUICK if scale == "quick" else {name: DATA[name] for name in GREY}
    grid = [_config(source, model, scale) for source in data.values() for model in MODELS]
    # Of few small images, most of a file is the first random bits.
    beaten = ("PNG",) if scale == "quick" else ("xz", "PNG")
    reduced = {
        "full": "", "cpu": "2 to 5 of 100 epochs, files of 2,000 or 10,000 images",
        "quick": "the 8 x 8 digits",
    }[scale]  # fmt: skip
    return of_files(data, grid, beaten, reduced, 0 if scale == "full" else FEW)


def of_files(
    data: Iterable[str], configs: Sequence[ConfigDict], beaten: Sequence[str], reduced: str,
    few: int,
) -> Study:  # fmt: skip
    """What a study of files is.

    Args:
      data: names of the data sets.
      configs: of every model of each.
      beaten: the methods whose files are to be longer than top_down's.
      few: images in 256 levels that files are written of; 0: the whole test set.
    """
    base = mnist.get_config()
    expected = [
        Expected(f"net bits over minus the ELBO, {model}, {name}",
                 Ratio("net_bits", "elbo_bits", name, model), 1.0, 0.01, "within", "", OURS, "")
        for name in data for model in MODELS
    ]  # fmt: skip
    expected += [
        Expected(f"file of top_down less that of {other}, {name}",
                 Mean("file_bits", _row(name, "top_down"), _row(name, other)), 0.0, 0.0, "below",
                 "", OURS, "bits per dimension")
        for name in data for other in beaten
    ]  # fmt: skip
    return Study(
        base, [changes(config, base) for config in configs], expected, reduced,
        beside=functools.partial(beside, few=few), picture=picture,
    )  # fmt: skip


def _config(source: tuple[str, str], model: str, scale: str) -> ConfigDict:
    """A model of a data set."""
    name, binarization = source
    config = top_down_mnist.get_config() if model == "top_down" else layered(model)
    if model == "top_down":
        if binarization == "none":  # gradients of levels are longer than of zeros and ones
            config.optimizer.clip_norm, config.optimizer.skip_norm = 1e4, 1e6
        if name == "digits":
            config.model.filters, config.model.groups = (16, 16), (1, 1)
    config.data.name, config.data.binarization = name, binarization
    levels = "discretized_logistic_mixture"
    config.model.likelihood = "bernoulli" if binarization == "static" else levels
    config.train.epochs = {"full": 100, "cpu": 5, "quick": 30}[scale]
    if scale == "cpu" and model == "top_down":
        config.train.epochs = 2
    return evaluated(config)


def layered(model: str) -> ConfigDict:
    """The MLP of configs/mnist.py: one layer of latents, or two."""
    config = mnist.get_config()
    config.model.name, config.model.upper_sizes = model, (16,)
    return config


def evaluated(config: ConfigDict) -> ConfigDict:
    """As every model is: validated each epoch, the last checkpoint by ten draws."""
    config.data.validation_size = -1
    config.train.eval_epochs, config.train.parallel = 1.0, "jit"
    config.eval.iwae_samples, config.eval.checkpoint = (10,), "last"
    return config


def _row(data: str, method: str) -> dict[str, str]:
    return {"images": data, "method": method}


@dataclasses.dataclass(frozen=True)
class Ratio:
    """One metric of a method over another."""

    of: str
    over: str
    data: str
    method: str

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """Their ratio. No standard error is known: a file may be of fewer images than the ELBO."""
        where = _row(self.data, self.method)
        return Mean(self.of, where)(trials)[0] / Mean(self.over, where)(trials)[0], None


def beside(trials: Sequence[Trial], directory: Path, few: int) -> list[Trial]:
    """The files of each model, and of other programs on the same images."""
    names = {source: name for name, source in (DATA | QUICK).items()}
    rows, seen = [], set()
    for trial in trials:
        run = load(directory / "trials" / trial["trial"])
        data = run.config.data
        name = names[data.name, data.binarization]
        x = run.examples("test")[: (few or None) if data.binarization == "none" else None]
        images = compress.levels(x, run.dataset.levels - 1, "the test set")
        if name not in seen:
            seen.add(name)
            rows += [_as_row(name, method, found) for method, found in others(images).items()]
        elbo = trial["metrics"]["elbo"] / math.log(2.0) / math.prod(run.shape)
        found = {**written(run.workdir, images), "elbo_bits": -elbo}
        found["iwae_bits"] = trial["metrics"]["bpd"]
        rows.append(_as_row(name, run.config.model.name, found))
    return rows


def _as_row(data: str, method: str, metrics: dict[str, float]) -> dict[str, Any]:
    values = _row(data, method)
    return {"trial": f"{data} {method}", "values": values, "metrics": metrics, "stderr": {}}


def written(workdir: Path, images: np.ndarray) -> dict[str, float]:
    """What a run's file of images [N, H, W, C] takes, in bits per dimension, and its speed.

    Raises:
      RunError: they do not come back as they were.
    """
    source, file, back = (workdir / name for name in ("images.npy", "images.bits", "images.npz"))
    np.save(source, images.astype(np.uint8))
    begin = time.perf_counter()
    made = compress.compress(workdir, str(source), file, streams=STREAMS)
    middle = time.perf_counter()
    compress.decompress(workdir, file, back)
    end = time.perf_counter()
    with np.load(back) as found:
        if not np.array_equal(found["x"], images):
            raise RunError(f"{workdir}: the images that decompress gives are not those of the file")
    return {
        "file_bits": 8.0 * made.bytes / images.size,
        "net_bits": made.coded.net / images.size,
        "first_bits": made.coded.first / images.size,
        "packed_per_second": len(images) / (middle - begin),
        "unpacked_per_second": len(images) / (end - middle),
        "network_per_second": len(images) / network_seconds(load(workdir), images),
    }


def network_seconds(run: Trained, images: np.ndarray) -> float:
    """What the model alone takes: a draw of q(z|x) and the terms of the bound at it, of as many
    images at a time as the file's streams."""
    x = images.astype(np.float32) / max(1, run.dataset.levels - 1)
    keys = noise.example_keys(jax.random.key(0), np.arange(STREAMS))

    @jax.jit
    def terms(variables: Any, x: jax.Array) -> jax.Array:
        model = run.model.bind(variables)
        return model.joint(model.encode(x), x, keys).log_weight

    batches = [x[start : start + STREAMS] for start in range(0, len(x) - STREAMS + 1, STREAMS)]
    np.asarray(terms(run.variables, batches[0]))
    begin = time.perf_counter()
    for batch in batches:
        np.asarray(terms(run.variables, batch))
    return time.perf_counter() - begin


def others(images: np.ndarray) -> dict[str, dict[str, float]]:
    """Bits per dimension of other programs' files of images [N, H, W, C] of whole numbers."""
    two = images.max() == 1
    raw = (np.packbits(images.reshape(len(images), -1), axis=1) if two else images).astype(np.uint8)
    sizes = {name: len(made(raw.tobytes())) for name, made in LOSSLESS.items()}
    sizes |= {form: picture_bytes(images, form) for form in FORMATS}
    return {name: {"file_bits": 8.0 * size / images.size} for name, size in sizes.items()}


@styled
def picture(rows: Sequence[Trial], directory: Path) -> Figure:
    """Bits per dimension of every method's file, a panel a set of images."""
    names = list(dict.fromkeys(row["values"]["images"] for row in rows))
    figure = Figure(figsize=(max(4.0, 2.0 * len(names)), 2.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for place, (name, axes) in enumerate(zip(names, panels, strict=True)):
        mine = [row for row in rows if row["values"]["images"] == name]
        mine.sort(key=lambda row: -row["metrics"]["file_bits"])
        lengths = [row["metrics"]["file_bits"] for row in mine]
        ours = [PALETTE[0] if "net_bits" in row["metrics"] else SOFT for row in mine]
        axes.barh(range(len(mine)), lengths, color=ours)
        axes.set_yticks(range(len(mine)), [row["values"]["method"] for row in mine])
        axes.set_title(name)
        if place == 0:
            axes.set_xlabel("bits per dimension of the file")
    return figure

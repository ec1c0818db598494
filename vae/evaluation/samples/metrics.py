"""Groups of metrics: each function gives a few, named, with their units in words."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from vae.evaluation.samples import (
    distances,
    memorisation,
    neighbours,
    pictures,
    two_sample,
)
from vae.evaluation.samples.features import Extractor

CELLS = 10  # most parts of space in which data_copying looks

Metrics = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Sets:
    """What is compared; features are made when the first metric asks for them."""

    samples: np.ndarray
    data: np.ndarray
    train: np.ndarray | None
    extractor: Extractor
    k: int
    seed: int

    @functools.cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Of samples [M, D] and of data [N, D]."""
        return self.extractor.features(self.samples), self.extractor.features(self.data)

    @functools.cached_property
    def trained(self) -> np.ndarray:
        """Features of the training examples [T, D]."""
        return self.extractor.features(self.train)

    @functools.cached_property
    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """How far the nearest training example is from samples [M] and from data [N]."""
        ours, theirs = (neighbours.nearest(each, self.trained)[1] for each in self.features)
        return ours, theirs

    @property
    def of(self) -> str:
        ours, _ = self.features
        return f"features: {self.extractor.name} ({ours.shape[1]:,} numbers)"

    @property
    def counts(self) -> str:
        return f"{len(self.samples):,} samples and {len(self.data):,} of the data"

    @property
    def beside(self) -> str:
        return f"{self.of}; {self.counts}, {len(self.train):,} training examples"


def frechet(sets: Sets) -> Metrics:
    value = distances.frechet_distance(*sets.features)
    unit = f"squared distance between Gaussian fits; {sets.of}; {sets.counts}"
    return {"frechet_distance": _metric(value, None, unit)}


def kernel(sets: Sets) -> Metrics:
    value, stderr = distances.kernel_distance(*sets.features, seed=sets.seed)
    unit = f"unbiased squared MMD of a cubic kernel; {sets.of}; {sets.counts}, seed {sets.seed}"
    return {"kernel_distance": _metric(value, stderr, unit)}


def manifold(sets: Sets) -> Metrics:
    each = neighbours.manifold(*sets.features, k=sets.k)
    about = f"k={sets.k}; {sets.of}; {sets.counts}"
    counts = len(sets.samples), len(sets.data)
    expected = neighbours.expected_coverage(*counts, sets.k)
    units = {
        "precision": "share of samples among the data",
        "recall": "share of the data among samples",
        "density": "neighbourhoods of data that a sample is in, over k; 1 for one distribution",
        "coverage": f"share of the data beside a sample; {expected:.3f} for one distribution",
    }
    return {name: _mean(each[name], name, f"{unit}; {about}") for name, unit in units.items()}


def two_samples(sets: Sets) -> Metrics:
    told = two_sample.two_sample_test(*sets.features, seed=sets.seed)
    about = (
        f"{sets.of}; {told.trained:,} samples and as many of the data to learn from, "
        f"{told.tested:,} of each to tell apart, seed {sets.seed}"
    )
    told_apart = f"share that a classifier tells apart, 0.5 by chance; {about}"
    by_chance = f"probability of that accuracy for one distribution; {about}"
    return {
        "two_sample_accuracy": _metric(told.accuracy, told.stderr, told_apart),
        "two_sample_p_value": _metric(told.p_value, None, by_chance),
    }


def memory(sets: Sets) -> Metrics:
    ours, theirs = sets.nearest
    share = f"{memorisation.SHARE:.0%}"
    unit = (
        f"share of samples nearer to the training set than all but {share} of the data; {share} "
        "for one distribution"
    )
    each = {
        "nearest_training_distance": (ours, "from a sample to the training set"),
        "nearest_training_distance_data": (theirs, "from the data to the training set"),
        "memorised": (memorisation.memorised(ours, theirs), unit),
    }
    return {
        name: _mean(values, name, f"{unit}; {sets.beside}") for name, (values, unit) in each.items()
    }


def copying(sets: Sets) -> Metrics:
    least = min(len(sets.samples), len(sets.data))
    count = int(np.clip(least // (2 * memorisation.LEAST), 1, CELLS))
    places = memorisation.cells(sets.trained, *sets.features, count=count, seed=sets.seed)
    value, null = memorisation.data_copying(*sets.nearest, *places)
    unit = (
        "C_T: below 0 for copies, 0 within its stderr for one distribution; "
        f"{count} k-means cells, seed {sets.seed}; {sets.beside}"
    )
    return {"data_copying": _metric(value, null, unit)}


def sharpness(sets: Sets) -> Metrics:
    unit = "variance of the Laplacian of images in [0, 1]"
    both = {"sharpness": (sets.samples, "samples"), "sharpness_data": (sets.data, "of the data")}
    return {
        name: _mean(pictures.sharpness(images), name, f"{unit}; {len(images):,} {what}")
        for name, (images, what) in both.items()
    }


def diversity(sets: Sets) -> Metrics:
    ours, theirs = sets.features
    return {
        name: _metric(
            *pictures.diversity(features),
            f"mean distance between two; {sets.of}; {len(features):,} {what}",
        )
        for name, features, what in (
            ("diversity", ours, "samples"),
            ("diversity_data", theirs, "of the data"),
        )
    }


def classes(sets: Sets) -> Metrics:
    return {
        name: _metric(
            *pictures.class_entropy(sets.extractor.labels(x)),
            f"nats, of the classes that {sets.extractor.name} sees; {len(x):,} {what}",
        )
        for name, x, what in (
            ("class_entropy", sets.samples, "samples"),
            ("class_entropy_data", sets.data, "of the data"),
        )
    }


def _mean(values: np.ndarray, name: str, unit: str) -> dict[str, Any]:
    from vae.evaluation.batches import mean_and_stderr

    return _metric(*mean_and_stderr(values, name), unit)


def _metric(value: float, stderr: float | None, unit: str) -> dict[str, Any]:
    return {"value": value, "stderr": stderr, "unit": unit}


METRICS: dict[str, Callable[[Sets], Metrics]] = {
    "frechet_distance": frechet,
    "kernel_distance": kernel,
    "precision": manifold,
    "recall": manifold,
    "density": manifold,
    "coverage": manifold,
    "two_sample_accuracy": two_samples,
    "two_sample_p_value": two_samples,
    "nearest_training_distance": memory,
    "nearest_training_distance_data": memory,
    "memorised": memory,
    "data_copying": copying,
    "sharpness": sharpness,
    "sharpness_data": sharpness,
    "diversity": diversity,
    "diversity_data": diversity,
    "class_entropy": classes,
    "class_entropy_data": classes,
}

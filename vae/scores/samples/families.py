"""Groups of metrics: each function gives a few, named, with their units in words."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from vae.errors import needed
from vae.metrics import Kind, Metric, by_name
from vae.scores.samples import (
    distances,
    memorisation,
    neighbours,
    picture_scores,
    two_sample,
)
from vae.scores.samples.features import Extractor

CELLS = 10  # most parts of space in which data_copying looks

FRECHET = Kind("frechet_distance", "Fréchet distance", "down")
KERNEL = Kind("kernel_distance", "Kernel distance", "down")
PRECISION = Kind("precision", "Precision", "up")
RECALL = Kind("recall", "Recall", "up")
DENSITY = Kind("density", "Density", "up")
COVERAGE = Kind("coverage", "Coverage", "up")
# The best value of these is not an end: it is chance, 0, or the value of the data.
ACCURACY = Kind("two_sample_accuracy", "Two-sample accuracy", "none")
P_VALUE = Kind("two_sample_p_value", "Two-sample p-value", "none")
NEAREST = Kind("nearest_training_distance", "Nearest training distance", "none")
NEAREST_DATA = Kind("nearest_training_distance_data", "Nearest training distance, data", "none")
MEMORISED = Kind("memorised", "Memorised", "down")
COPYING = Kind("data_copying", "Data copying", "none")
SHARPNESS = Kind("sharpness", "Sharpness", "none")
SHARPNESS_DATA = Kind("sharpness_data", "Sharpness, data", "none")
DIVERSITY = Kind("diversity", "Diversity", "none")
DIVERSITY_DATA = Kind("diversity_data", "Diversity, data", "none")
ENTROPY = Kind("class_entropy", "Class entropy", "none", "nats")
ENTROPY_DATA = Kind("class_entropy_data", "Class entropy, data", "none", "nats")

Metrics = dict[str, Metric]


@dataclasses.dataclass(frozen=True)
class Sets:
    """What is compared; features are made when the first metric asks for them."""

    samples: np.ndarray
    data: np.ndarray
    train: np.ndarray | None
    extractor: Extractor
    k: int
    seed: int
    made: str = "samples"  # what units call them

    @functools.cached_property
    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Of samples [M, D] and of data [N, D]."""
        return self.extractor.features(self.samples), self.extractor.features(self.data)

    @functools.cached_property
    def trained(self) -> np.ndarray:
        """Features of the training examples [T, D]."""
        return self.extractor.features(needed(self.train, "train"))

    @functools.cached_property
    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """How far the nearest training example is from samples [M] and from data [N]."""
        ours, theirs = (neighbours.nearest(each, self.trained)[1] for each in self.features)
        return ours, theirs

    @property
    def of(self) -> str:
        """The features, in words, for a unit."""
        ours, _ = self.features
        return f"features: {self.extractor.name} ({ours.shape[1]:,} numbers)"

    @property
    def counts(self) -> str:
        """How many samples and examples are compared, in words."""
        return f"{len(self.samples):,} {self.made} and {len(self.data):,} of the data"

    @property
    def beside(self) -> str:
        """Both, and the number of training examples."""
        examples = len(needed(self.train, "train"))
        return f"{self.of}; {self.counts}, {examples:,} training examples"


def frechet(sets: Sets) -> Metrics:
    """The Fréchet distance between the features of samples and data."""
    value = distances.frechet_distance(*sets.features)
    unit = f"squared distance between Gaussian fits; {sets.of}; {sets.counts}"
    return by_name(FRECHET.of(value, unit=unit))


def kernel(sets: Sets) -> Metrics:
    """The kernel distance between the features of samples and data."""
    value, stderr = distances.kernel_distance(*sets.features, seed=sets.seed)
    unit = f"unbiased squared MMD of a cubic kernel; {sets.of}; {sets.counts}, seed {sets.seed}"
    return by_name(KERNEL.of(value, stderr, unit))


def manifold(sets: Sets) -> Metrics:
    """Precision, recall, density and coverage."""
    each = neighbours.manifold(*sets.features, k=sets.k)
    about = f"k={sets.k}; {sets.of}; {sets.counts}"
    counts = len(sets.samples), len(sets.data)
    expected = neighbours.expected_coverage(*counts, sets.k)
    units = {
        PRECISION: f"share of {sets.made} among the data",
        RECALL: f"share of the data among {sets.made}",
        DENSITY: f"neighbourhoods of data around {sets.made}, over k; 1 for one distribution",
        COVERAGE: f"share of the data beside {sets.made}; {expected:.3f} for one distribution",
    }
    return by_name(*(kind(each[kind.name], f"{unit}; {about}") for kind, unit in units.items()))


def two_samples(sets: Sets) -> Metrics:
    """How well a classifier tells samples from data, and the p-value of that."""
    told = two_sample.two_sample_test(*sets.features, seed=sets.seed)
    about = (
        f"{sets.of}; {told.trained:,} samples and as many of the data to learn from, "
        f"{told.tested:,} of each to tell apart, seed {sets.seed}"
    )
    told_apart = f"share that a classifier tells apart, 0.5 by chance; {about}"
    by_chance = f"probability of that accuracy for one distribution; {about}"
    return by_name(
        ACCURACY.of(told.accuracy, told.stderr, told_apart),
        P_VALUE.of(told.p_value, unit=by_chance),
    )


def memory(sets: Sets) -> Metrics:
    """Distances to the nearest training example, and the share of memorised samples."""
    ours, theirs = sets.nearest
    share = f"{memorisation.SHARE:.0%}"
    unit = (
        f"share of samples nearer to the training set than all but {share} of the data; {share} "
        "for one distribution"
    )
    return by_name(
        NEAREST(ours, f"from a sample to the training set; {sets.beside}"),
        NEAREST_DATA(theirs, f"from the data to the training set; {sets.beside}"),
        MEMORISED(memorisation.memorised(ours, theirs), f"{unit}; {sets.beside}"),
    )


def copying(sets: Sets) -> Metrics:
    """The test of Meehan et al. for data copying."""
    least = min(len(sets.samples), len(sets.data))
    count = int(np.clip(least // (2 * memorisation.LEAST), 1, CELLS))
    places = memorisation.cells(sets.trained, *sets.features, count=count, seed=sets.seed)
    value, null = memorisation.data_copying(*sets.nearest, *places)
    unit = (
        "C_T: below 0 for copies, 0 within its stderr for one distribution; "
        f"{count} k-means cells, seed {sets.seed}; {sets.beside}"
    )
    return by_name(COPYING.of(value, null, unit))


def sharpness(sets: Sets) -> Metrics:
    """The sharpness of samples and of data."""
    return by_name(*(
        kind(
            picture_scores.sharpness(images),
            f"variance of the Laplacian of images in [0, 1]; {len(images):,} {what}",
        )
        for kind, images, what in _both(SHARPNESS, SHARPNESS_DATA, sets.samples, sets.data)
    ))  # fmt: skip


def diversity(sets: Sets) -> Metrics:
    """The diversity of samples and of data."""
    return by_name(*(
        kind.of(
            *picture_scores.diversity(features),
            f"mean distance between two; {sets.of}; {len(features):,} {what}",
        )
        for kind, features, what in _both(DIVERSITY, DIVERSITY_DATA, *sets.features)
    ))  # fmt: skip


def classes(sets: Sets) -> Metrics:
    """The entropy of the classes seen in samples and in data, in nats."""
    return by_name(*(
        kind.of(
            *picture_scores.class_entropy(sets.extractor.labels(x)),
            f"nats, of the classes that {sets.extractor.name} sees; {len(x):,} {what}",
        )
        for kind, x, what in _both(ENTROPY, ENTROPY_DATA, sets.samples, sets.data)
    ))  # fmt: skip


def _both(
    kind: Kind, of_data: Kind, samples: np.ndarray, data: np.ndarray
) -> tuple[tuple[Kind, np.ndarray, str], ...]:
    """What is said of samples, and of the data to compare it with."""
    return (kind, samples, "samples"), (of_data, data, "of the data")


GROUPS: dict[Callable[[Sets], Metrics], tuple[Kind, ...]] = {
    frechet: (FRECHET,),
    kernel: (KERNEL,),
    manifold: (PRECISION, RECALL, DENSITY, COVERAGE),
    two_samples: (ACCURACY, P_VALUE),
    memory: (NEAREST, NEAREST_DATA, MEMORISED),
    copying: (COPYING,),
    sharpness: (SHARPNESS, SHARPNESS_DATA),
    diversity: (DIVERSITY, DIVERSITY_DATA),
    classes: (ENTROPY, ENTROPY_DATA),
}
METRICS = {kind.name: group for group, kinds in GROUPS.items() for kind in kinds}

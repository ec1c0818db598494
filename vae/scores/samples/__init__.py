"""Metrics of samples beside data, by name: of numpy arrays, whatever made the samples."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vae.choices import choose
from vae.errors import UserError
from vae.scores.samples import feature_choice
from vae.scores.samples.families import (
    METRICS,
    Metrics,
    Sets,
    classes,
    copying,
    memory,
    sharpness,
)
from vae.scores.samples.features import Extractor, load, train_classifier, train_extractor

__all__ = ["METRICS", "Extractor", "load", "scores", "train_classifier", "train_extractor"]


def scores(
    samples: np.ndarray,
    data: np.ndarray,
    train: np.ndarray | None = None,
    extractor: Extractor | Callable | str | None = None,
    names: Iterable[str] | None = None,
    k: int = 5,
    seed: int = 0,
) -> Metrics:
    """What samples are like, beside data that the model was not trained on.

    Args:
      samples: [M, *shape], from anywhere.
      data: held-out examples [N, *shape], on the same scale. For binary data give draws of 0 and 1:
        the model's means are grey, which alone would tell them from any data.
      train: what the model was trained on, [T, *shape]; None: nothing is said of memorisation.
      extractor: of the features that every metric but sharpness uses (`feature_choice.extractor`);
        None: pixels.
      names: of METRICS; None: all that apply, sharpness to images, classes to a classifier.
      k: neighbours, of precision, recall, density and coverage.
      seed: of blocks, halves, networks and clusters.

    Returns:
      Metrics by name, whose units name the features, the counts, k and the seed.
      Standard errors are over samples or over data, whichever the metric is a mean over, with the
      other set as it is; that of data_copying is what it would be if nothing were copied. Metrics
      that end in _data are of the data, to compare the samples' with.

    Raises:
      UserError: no such name, one that does not apply, or examples that are too few, of different
        shapes or not finite.
      RunError: features that are not finite.
    """
    names = [names] if isinstance(names, str) else names
    asked = None if names is None else list(names)
    for name in asked or ():
        choose(METRICS, name, "names")
    sets = Sets(
        _examples(samples, "samples"),
        _examples(data, "data"),
        None if train is None else _examples(train, "train"),
        feature_choice.extractor(extractor),
        k,
        seed,
    )
    for name, other in (("data", sets.data), ("train", sets.train)):
        if other is not None and other.shape[1:] != sets.samples.shape[1:]:
            raise UserError(
                f"samples have shape {sets.samples.shape[1:]} and {name} {other.shape[1:]}: give "
                "examples of one shape"
            )
    for name in asked or ():
        missing = _missing(sets, METRICS[name])
        if missing:
            raise UserError(f"{name} needs {missing}, or leave it out of names")
    if asked is None:
        asked = [name for name, group in METRICS.items() if not _missing(sets, group)]
    found: Metrics = {}
    for group in dict.fromkeys(METRICS[name] for name in asked):
        found |= group(sets)
    return {name: found[name] for name in asked}


def _missing(sets: Sets, group: Callable[[Sets], Metrics]) -> str:
    """What a group of metrics needs and is not there; "" where nothing is."""
    if group in (memory, copying) and sets.train is None:
        return "the training examples: give train"
    if group is sharpness and sets.samples.ndim != 4:
        return f"images [N, H, W, C], and samples have shape {sets.samples.shape}: give images"
    if group is sharpness and (sets.data.min() < 0.0 or sets.data.max() > 1.0):
        return "images in [0, 1], which the data are not: divide both by their highest level"
    if group is classes and sets.extractor.classify is None:
        return f"a classifier, which {sets.extractor.name} is not: give extractor one"
    return ""


def _examples(x: Any, name: str) -> np.ndarray:
    """x as an array of finite numbers [N, ...]."""
    x = np.asarray(x)
    if x.ndim < 2 or not len(x) or x.dtype.kind not in "fiub":
        raise UserError(
            f"{name} of type {x.dtype} and shape {x.shape} are no examples: give numbers [N, ...]"
        )
    wrong = np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(1))
    if len(wrong):
        raise UserError(
            f"{name}: {len(wrong)} of {len(x)} examples hold numbers that are not finite (first: "
            f"number {wrong[0]}); find out why, for none is left out here"
        )
    return x

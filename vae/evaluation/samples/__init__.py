"""Metrics of samples beside data: pure functions of numpy arrays, whatever made the samples."""

from vae.evaluation.samples.features import Extractor, load, train_classifier, train_extractor
from vae.evaluation.samples.measure import scores
from vae.evaluation.samples.scores import METRICS

__all__ = ["METRICS", "Extractor", "load", "scores", "train_classifier", "train_extractor"]

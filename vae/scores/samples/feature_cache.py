"""Extractors that are trained once for a training set, and kept in the user's cache."""

import hashlib

import numpy as np

from vae import runs
from vae.data import cache
from vae.errors import UserError
from vae.scores.samples.features import Extractor, load, train_extractor


def kept(x: np.ndarray, labels: np.ndarray | None, of: str, seed: int = 0) -> Extractor:
    """The extractor of training examples x [N, *shape]: a classifier where there are labels [N],
    principal components where there are none. Its folder is named by what the arrays hold, the
    seed and the code that learns, so other data, or another binarisation, get another folder."""
    x = np.ascontiguousarray(x)
    code = runs.source("scores/samples", "networks")
    digest = hashlib.sha256(f"{of} {x.dtype} {x.shape} {seed} {code}".encode())
    for array in (x, labels):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    folder = cache.root() / f"features-{digest.hexdigest()[:16]}"
    try:
        return load(folder)
    except UserError:  # not there, or damaged
        extractor = train_extractor(x, labels, seed, of=of)
        extractor.save(folder)
        return extractor

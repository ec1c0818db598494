"""Made tables to stand beside: each takes training rows [N, D], NaN where a cell is missing, which
columns are codes of levels, how many rows to make, and a seed; and gives rows [M, D]."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

Maker = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


def independent(train: np.ndarray, coded: np.ndarray, num: int, seed: int) -> np.ndarray:
    """Each cell one of its column's, whatever the others are."""
    rng = np.random.default_rng(seed)
    columns = [rng.choice(x[~np.isnan(x)], num) for x in train.T]
    return np.stack(columns, axis=1)


def copula(train: np.ndarray, coded: np.ndarray, num: int, seed: int) -> np.ndarray:
    """A Gaussian copula with the columns' own distributions (Nelsen 2006, section 2.3; Patki et al.
    2016): normal scores of ranks, those of equal values drawn anew among themselves, and one
    correlation matrix of what each pair of columns has."""
    rng = np.random.default_rng(seed)
    scores = np.stack([_normal_scores(x, rng) for x in train.T], axis=1)
    drawn = rng.standard_normal((num, len(coded))) @ _root(_correlations(scores)).T
    return np.stack([_quantiles(x, z) for x, z in zip(train.T, drawn.T, strict=True)], axis=1)


def _normal_scores(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy.special import ndtri

    there = ~np.isnan(x)
    found = np.full(len(x), np.nan)
    order = np.lexsort((rng.random(there.sum()), x[there]))
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order)) + 0.5
    found[there] = ndtri(ranks / len(order))
    return found


def _correlations(scores: np.ndarray) -> np.ndarray:
    there = (~np.isnan(scores)).astype(float)
    filled = np.nan_to_num(scores)
    counted = np.maximum(there.T @ there, 1.0)
    found = (filled.T @ filled) / counted
    scale = np.sqrt(np.maximum(np.diag(found), 1e-12))
    return found / scale / scale[:, None]


def _root(correlations: np.ndarray) -> np.ndarray:
    """A matrix whose product with its transpose is the nearest that is a covariance, by its
    eigenvalues, with ones on the diagonal."""
    values, vectors = np.linalg.eigh(correlations)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return root / np.sqrt(np.maximum(np.square(root).sum(1, keepdims=True), 1e-12))


def _quantiles(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Of the values that are there, the one at each place Phi(z)."""
    from scipy.special import ndtr

    known = np.sort(x[~np.isnan(x)])
    return known[np.minimum((ndtr(z) * len(known)).astype(int), len(known) - 1)]


def _deep(name: str) -> Maker:
    """A model of the package `ctgan` by its defaults (Xu et al. 2019). Missing cells are filled by
    the column's median, as it takes none."""

    def make(train: np.ndarray, coded: np.ndarray, num: int, seed: int) -> np.ndarray:
        import ctgan
        import pandas as pd

        filled = np.where(np.isnan(train), np.nanmedian(train, axis=0), train)
        frame = pd.DataFrame(filled, columns=[str(d) for d in range(len(coded))])
        model = getattr(ctgan, name)()
        model.set_random_state(seed)
        model.fit(frame, [str(d) for d in np.flatnonzero(coded)])
        return model.sample(num).to_numpy(np.float64)

    return make


def makers() -> dict[str, Maker]:
    """All of them; those of `ctgan` where it is installed (`pip install 'vae[bench]'`)."""
    found: dict[str, Maker] = {"independent columns": independent, "Gaussian copula": copula}
    if find_spec("ctgan"):
        found |= {name: _deep(name) for name in ("CTGAN", "TVAE")}
    return found

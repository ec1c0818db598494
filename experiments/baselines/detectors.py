"""Anomaly detectors to stand beside: each takes ordinary rows [N, D] and gives a function from rows
[M, D] to scores [M], higher for anomalies. Columns are standardised beforehand."""

from collections.abc import Callable

import numpy as np

Detector = Callable[[np.ndarray], np.ndarray]
NEIGHBOURS = 5  # as in ADBench
KEPT = 0.9  # share of the variance that PCA keeps


def no_model(train: np.ndarray, seed: int) -> Detector:
    """Squared length: what is left of a VAE that has collapsed."""
    return lambda x: np.square(x).sum(1)


def mahalanobis(train: np.ndarray, seed: int) -> Detector:
    """Squared distance by the covariance of the ordinary rows."""
    mean = train.mean(0)
    inverse = np.linalg.pinv(np.atleast_2d(np.cov(train, rowvar=False)), rcond=1e-10)
    return lambda x: np.einsum("nd,de,ne->n", x - mean, inverse, x - mean)


def pca(train: np.ndarray, seed: int) -> Detector:
    """Squared distance from the subspace of the most variance."""
    from sklearn.decomposition import PCA

    fitted = PCA(KEPT, svd_solver="full").fit(train)
    return lambda x: np.square(x - fitted.inverse_transform(fitted.transform(x))).sum(1)


def isolation_forest(train: np.ndarray, seed: int) -> Detector:
    """Liu et al. 2008."""
    from sklearn.ensemble import IsolationForest

    fitted = IsolationForest(random_state=seed).fit(train)
    return lambda x: -fitted.score_samples(x)


def nearest_neighbours(train: np.ndarray, seed: int) -> Detector:
    """Distance to the fifth nearest ordinary row (Ramaswamy et al. 2000)."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(train)), n_jobs=-1).fit(train)
    return lambda x: fitted.kneighbors(x)[0][:, -1]


DETECTORS = {
    "no model": no_model,
    "Mahalanobis": mahalanobis,
    "PCA": pca,
    "isolation forest": isolation_forest,
    "kNN": nearest_neighbours,
}

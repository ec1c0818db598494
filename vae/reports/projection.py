"""Posterior means of a run in a plane: two latents as they are, more by UMAP or principal
components."""

from contextlib import suppress
from typing import Any

import numpy as np

from vae.reports import latent_figures
from vae.reports.figures import Gallery
from vae.reports.view import View

MOST = 2000  # examples
MOST_NAMED = 20  # classes that have a colour each
NEIGHBOURS = 15  # of UMAP


def draw(view: View, gallery: Gallery) -> dict[str, Any] | None:
    """What the page says of the figure that is drawn; None of a run of fewer than two latents, or
    where the latent space is there to be moved over."""
    size = view.mean.shape[1]
    if size < 2 or (size == 2 and view.x.ndim == 4):
        return None
    means = view.means(MOST)
    points, names, how = project(means)
    labels = view.labels(len(means))
    if labels is not None and len(np.unique(labels)) > MOST_NAMED:
        figure = latent_figures.valued_points(points, labels.astype(float), names)
    else:
        classes = None if labels is None else _named(labels, view.run.dataset.classes)
        figure = latent_figures.class_points(points, classes, names)
    gallery.save(figure, "latents")
    return {"count": len(means), "how": how, "coloured": labels is not None}


def _named(labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Labels by their names, where they have names."""
    return np.array(names)[labels] if names else labels


def project(means: np.ndarray) -> tuple[np.ndarray, tuple[str, str], str]:
    """Of posterior means [N, L] points [N, 2], the names of the axes, and how they were found."""
    if means.shape[1] == 2:
        return means, ("$z_0$", "$z_1$"), "latents"
    with suppress(ImportError):  # an extra
        from umap import UMAP

        if len(means) > NEIGHBOURS:
            points = UMAP(NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(means)
            return points, ("UMAP 1", "UMAP 2"), "umap"
    points, shares = principal(means)
    first, second = (f"{100 * share:.0f} % of variance" for share in shares)
    return points, (f"component 1 ({first})", f"component 2 ({second})"), "pca"


def principal(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores [N, 2] of the first two principal components, and their shares of the variance [2].

    The score that is largest in size is positive. Of the two matrices that tell the components, the
    smaller one is taken.
    """
    centred = np.asarray(means, float) - means.mean(0)
    if centred.shape[1] <= len(centred):
        values, vectors = np.linalg.eigh(centred.T @ centred)
        points = centred @ vectors[:, :-3:-1]
    else:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        points = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0.0))
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))  # of a single example
    largest = points[np.abs(points).argmax(0), [0, 1]]
    total = np.maximum(values, 0.0).sum()
    found = np.pad(np.maximum(values[:-3:-1], 0.0), (0, max(0, 2 - len(values))))
    return points * np.where(largest < 0, -1.0, 1.0), found / total if total else np.zeros(2)

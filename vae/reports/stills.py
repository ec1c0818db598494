"""The still pictures of a run, for files and papers: what the parts to move on its page show."""

import numpy as np
from matplotlib.figure import Figure

from vae.reports import latent_figures, mosaics
from vae.reports.view import PLANE, REACH, View, class_heads, class_names, plane_axis, signed

COLUMNS = 10
NUM_TRAVERSED = 8  # latents
ROWS = 6  # examples of attribute arithmetic
STEPS = 11  # of a traversal or an interpolation


def stills(view: View) -> dict[str, Figure]:
    """Name to figure."""
    found = {
        "reconstructions": _reconstructions(view),
        "samples": _samples(view),
        "interpolations": _interpolations(view),
        "traversals": _traversals(view),
    }
    moved = view.arithmetic(ROWS)
    if moved is not None:
        found["arithmetic"] = _arithmetic(view, *moved)
    if view.mean.shape[1] == 2:
        found["latent_space"] = latent_figures.latent_plane(view.standardised, view.labels(), REACH)
        found["manifold"] = _manifold(view)
    return found


def num_reconstructed(view: View) -> int:
    """Whole rows, at most four, of as many as stand beside each other on a page."""
    columns = mosaics.columns_of_a_page(view.x[0])
    return min(4 * columns, len(view.x) // columns * columns or len(view.x))


def _reconstructions(view: View) -> Figure:
    count = num_reconstructed(view)
    decoded = view.decode(view.mean[:count], np.arange(count))
    columns = mosaics.columns_of_a_page(view.x[0])
    return mosaics.reconstructions(view.inputs(np.arange(count)), decoded, columns)


def _samples(view: View) -> Figure:
    heads = class_heads(view.run)
    return mosaics.grid(view.sample(COLUMNS * (len(heads) or COLUMNS)), heads)


def _interpolations(view: View) -> Figure:
    count = max(1, min(6, len(view.x) // 2))
    starts = np.arange(count)
    ends = np.minimum(starts + count, len(view.x) - 1)
    lines = view.lines(starts, ends, STEPS)
    decoded = view.decode(lines, starts)
    return mosaics.interpolations(view.inputs(starts), decoded, view.inputs(ends))


def _traversals(view: View) -> Figure:
    order, scores, _ = view.ranking()
    order, scores = order[:NUM_TRAVERSED], scores[:NUM_TRAVERSED]
    values = np.linspace(-REACH, REACH, STEPS)
    rows = view.decode(view.along(order, values), np.zeros(len(order), int))
    labels = [f"$z_{{{j}}}$\n{score:.2f}" for j, score in zip(order, scores, strict=True)]
    return mosaics.traversals(rows, labels, values)


def _arithmetic(view: View, classes: np.ndarray, z: np.ndarray) -> Figure:
    rows = np.arange(len(z))
    pictures = np.concatenate([view.inputs(rows)[:, None], view.decode(z, rows)], axis=1)
    headers = dict(enumerate(["x", *class_names(view.run, classes.tolist())]))
    return mosaics.picture_rows(pictures, headers=headers, wide_after=(0,))


def _manifold(view: View) -> Figure:
    rows = view.plane.reshape(PLANE, PLANE, *view.plane.shape[1:])[::2, ::2]
    headers = {i: signed(value) for i, value in enumerate(plane_axis()[::2])}
    labels = [signed(value) for value in plane_axis()[::-1][::2]]
    return mosaics.picture_rows(rows, labels, headers, cell=48)

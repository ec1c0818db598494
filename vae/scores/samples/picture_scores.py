"""What samples are like by themselves: how sharp, and how different from each other."""

import numpy as np

from vae.errors import UserError
from vae.scores.samples.neighbours import mean_distance


def sharpness(images: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian over the pixels of each image (Pech-Pacheco et al. 2000): [N].

    The Laplacian is the four neighbours' sum less four times the pixel, at pixels that have four
    neighbours. It is taken of brightness, the mean over channels.

    Args:
      images: [N, H, W, C], values in [0, 1].

    Raises:
      UserError: they are no images, of fewer than 3 x 3 pixels, or outside [0, 1].
    """
    if images.ndim != 4 or min(images.shape[1:3]) < 3:
        raise UserError(
            f"sharpness is of images [N, H, W, C] of 3x3 pixels or more, not {images.shape}: leave "
            "it out of names"
        )
    low, high = float(np.min(images)), float(np.max(images))
    if low < -1e-6 or high > 1.0 + 1e-6:
        raise UserError(
            f"sharpness is of images in [0, 1], and these reach from {low:g} to {high:g}: divide "
            "them by their highest level, or leave sharpness out of names"
        )
    x = images.mean(-1, dtype=np.float64)
    around = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    return (around - 4.0 * x[:, 1:-1, 1:-1]).var(axis=(1, 2))


def diversity(features: np.ndarray) -> tuple[float, float]:
    """Mean distance over all pairs of features [N, D], and its standard error.

    The error is that of a U-statistic to leading order (Hoeffding 1948, section 5): twice that of
    the mean over examples of their mean distance to the others.

    Raises:
      UserError: fewer than 2 examples.
    """
    if len(features) < 2:
        raise UserError(f"{len(features)} samples have no distance to each other: give 2 or more")
    each = mean_distance(features)
    return float(each.mean()), float(2.0 * each.std(ddof=1) / np.sqrt(len(each)))


def class_entropy(labels: np.ndarray) -> tuple[float, float]:
    """Entropy in nats of the classes' shares of labels [N], and its standard error.

    K classes of equal share have log K. The error is by the delta method, and 0 for equal shares.
    """
    if len(labels) < 2:
        raise UserError(f"{len(labels)} labels say nothing of their classes: give 2 or more")
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    surprise = -np.log(counts / len(labels))[inverse]  # [N]
    return float(surprise.mean()), float(surprise.std(ddof=1) / np.sqrt(len(labels)))

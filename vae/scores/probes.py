"""Probes: how well simple predictors tell labels from codes that they were not fitted to.

Codes are divided by the training codes' standard deviations, so no result depends on the scale of a
latent. Each function returns metrics by name; errors are of the test codes.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name

LINEAR = Kind("linear_probe_error", "Linear probe error", "down")
RIDGE = Kind("ridge_probe_error", "Ridge probe error", "down")
KNN = Kind("knn_probe_error", "kNN probe error", "down")
FEW_LABELS = Kind("probe_{:d}_labels_error", "Probe error, {} labels a class", "down")

CONSTANT = 1e-9  # spread of a latent, relative to its largest value, that is rounding alone


def linear_probe(
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
    *,
    strength: float = 1.0,
    steps: int = 500,
) -> dict[str, Metric]:
    """Share of labels that multinomial logistic regression gets wrong.

    Args:
      train_codes: [N, L]; train_labels: whole numbers, [N]; test_codes: [M, L]; test_labels: [M].
      strength: inverse of the L2 penalty, as scikit-learn's C.
      steps: most of the solver (L-BFGS).

    Returns:
      `linear_probe_error`; its stderr is over test examples.

    Raises:
      UserError: a shape is wrong, lengths differ, codes are not finite or labels not whole.
    """
    data = _labelled(train_codes, train_labels, test_codes, test_labels)
    wrong = _logistic(*data[:3], strength, steps) != data[3]
    unit = f"share wrong, logistic regression of inverse penalty {strength:g}, {_sizes(data)}"
    return by_name(_mean(LINEAR, wrong, unit))


def ridge_probe(
    train_codes: np.ndarray,
    train_targets: np.ndarray,
    test_codes: np.ndarray,
    test_targets: np.ndarray,
    *,
    penalty: float = 1.0,
) -> dict[str, Metric]:
    """Squared error of ridge regression over that of the training targets' mean.

    Args:
      train_codes: [N, L]; train_targets: quantities, [N] or [N, D]; test_codes: [M, L];
        test_targets: [M] or [M, D].
      penalty: on the squared weights, for a squared error summed over examples.

    Returns:
      `ridge_probe_error`: 0 where targets are linear in codes, 1 where codes tell nothing; the mean
      over the D targets that vary. Its stderr is over test examples, given the denominator.

    Raises:
      UserError: a shape is wrong, lengths differ, something is not finite, or all targets are
        constant.
    """
    from sklearn.linear_model import Ridge

    z, test_z = _codes(train_codes, test_codes)
    y, test_y = (_targets(each) for each in (train_targets, test_targets))
    _same_lengths(z, y, test_z, test_y)
    if y.shape[1] != test_y.shape[1]:
        raise UserError(f"{y.shape[1]} targets to train with and {test_y.shape[1]} to test")
    varies = np.square(test_y - y.mean(0)).mean(0)
    if not varies.any():
        raise UserError("every target has the same value in all examples: give others")
    squared = np.square(
        Ridge(alpha=penalty).fit(z, y).predict(test_z).reshape(test_y.shape) - test_y
    )
    each = (squared[:, varies > 0.0] / varies[varies > 0.0]).mean(1)
    unit = f"squared error over that of the mean, ridge regression of penalty {penalty:g}"
    return by_name(_mean(RIDGE, each, f"{unit}, {_sizes((z, y, test_z, test_y))}"))


def knn_probe(
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
    *,
    neighbours: int = 10,
) -> dict[str, Metric]:
    """Share of labels that a vote of the nearest training codes gets wrong.

    Args:
      train_codes: [N, L]; train_labels: whole numbers, [N]; test_codes: [M, L]; test_labels: [M].
      neighbours: that vote, in Euclidean distance; of equal counts the smaller label wins.

    Returns:
      `knn_probe_error`; its stderr is over test examples.

    Raises:
      UserError: as `linear_probe`, or there are fewer training examples than neighbours.
    """
    from sklearn.neighbors import KNeighborsClassifier

    data = _labelled(train_codes, train_labels, test_codes, test_labels)
    z, y, test_z, test_y = data
    if not 1 <= neighbours <= len(z):
        raise UserError(f"neighbours={neighbours} should be from 1 to {len(z)}, the training codes")
    wrong = KNeighborsClassifier(neighbours).fit(z, y).predict(test_z) != test_y
    return by_name(_mean(KNN, wrong, f"share wrong, {neighbours} nearest, {_sizes(data)}"))


def few_label_probe(
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
    *,
    labels: Sequence[int] = (1, 10, 100),
    draws: int = 10,
    strength: float = 1.0,
    steps: int = 500,
    seed: int = 0,
) -> dict[str, Metric]:
    """Share that `linear_probe` gets wrong with so many labels a class.

    Codes are standardised by all training codes, which need no labels.

    Args:
      train_codes: [N, L]; train_labels: whole numbers, [N]; test_codes: [M, L]; test_labels: [M].
      labels: a class, for one metric each.
      draws: of the labelled examples; the labels of a smaller number are among those of a larger.
      strength, steps: see `linear_probe`.

    Returns:
      `probe_10_labels_error` and so on: the mean over draws, with its stderr over draws.

    Raises:
      UserError: as `linear_probe`, or a class has fewer examples than labels are asked for.
    """
    data = _labelled(train_codes, train_labels, test_codes, test_labels)
    z, y, test_z, test_y = data
    classes, counts = np.unique(y, return_counts=True)
    if not labels or min(labels) < 1 or draws < 2:
        raise UserError(f"labels={labels} should be 1 or more each, and draws={draws} 2 or more")
    least = int(np.min(counts))
    if max(labels) > least:
        raise UserError(
            f"labels={max(labels)} a class: class {classes[np.argmin(counts)]} has {least} "
            "training examples; ask for fewer"
        )
    rng = np.random.default_rng(seed)
    errors = np.zeros((draws, len(labels)))
    for draw in range(draws):
        order = [rng.permutation(np.flatnonzero(y == label)) for label in classes]
        for place, num in enumerate(labels):
            rows = np.concatenate([each[:num] for each in order])
            answers = _logistic(z[rows], y[rows], test_z, strength, steps)
            errors[draw, place] = (answers != test_y).mean()
    unit = f"share wrong, logistic regression of inverse penalty {strength:g}, {draws} draws"
    drawn = f"of each of {len(classes)} classes, seed {seed}, {_sizes(data)}"
    return by_name(*(
        FEW_LABELS[num](error, f"{unit} of {num} {drawn}")
        for num, error in zip(labels, errors.T, strict=True)
    ))  # fmt: skip


def _logistic(
    z: np.ndarray, y: np.ndarray, test_z: np.ndarray, strength: float, steps: int
) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if (y == y[0]).all():
        return np.full(len(test_z), y[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the steps are a setting
        return LogisticRegression(C=strength, max_iter=steps).fit(z, y).predict(test_z)


def _labelled(
    train_codes: np.ndarray,
    train_labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    z, test_z = _codes(train_codes, test_codes)
    y, test_y = np.asarray(train_labels), np.asarray(test_labels)
    for each in (y, test_y):
        if each.ndim != 1 or each.dtype.kind not in "iub":
            raise UserError(f"labels should be whole numbers [N], not {each.dtype} {each.shape}")
    _same_lengths(z, y, test_z, test_y)
    return z, y, test_z, test_y


def _codes(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, test_z = np.asarray(train, np.float64), np.asarray(test, np.float64)
    if z.ndim != 2 or test_z.ndim != 2 or z.shape[1] != test_z.shape[1] or not z.shape[1]:
        raise UserError(f"codes should be [N, L] and [M, L], not {z.shape} and {test_z.shape}")
    if not len(z) or not len(test_z):
        raise UserError(
            f"{len(z)} codes to train with and {len(test_z)} to test: give some of both"
        )
    for name, each in (("training", z), ("test", test_z)):
        wrong = ~np.isfinite(each).all(1)
        if wrong.any():
            raise UserError(
                f"{name} codes are not finite in {wrong.sum()} of {len(each)} examples: leave "
                "those out, or find where the model has diverged"
            )
    std = z.std(0)
    std[std <= CONSTANT * np.abs(z).max(0)] = 1.0
    return (z - z.mean(0)) / std, (test_z - z.mean(0)) / std


def _targets(targets: np.ndarray) -> np.ndarray:
    y = np.asarray(targets, np.float64)
    if y.ndim not in (1, 2) or not np.isfinite(y).all():
        raise UserError(f"targets should be finite numbers [N] or [N, D], not {y.shape}")
    return y.reshape(len(y), -1)


def _same_lengths(z: np.ndarray, y: np.ndarray, test_z: np.ndarray, test_y: np.ndarray) -> None:
    for name, codes, labels in (("training", z, y), ("test", test_z, test_y)):
        if len(codes) != len(labels):
            raise UserError(
                f"{len(codes)} {name} codes and {len(labels)} labels: give one of each an example"
            )


def _sizes(data: tuple[np.ndarray, ...]) -> str:
    return f"{len(data[0]):,} to train, {len(data[2]):,} to test"


def _mean(kind: Kind, values: np.ndarray, unit: str) -> Metric:
    """Over test examples; of a single one there is no telling how far it is off."""
    found = kind(values, unit)
    return found if len(values) > 1 else dataclasses.replace(found, stderr=None)

"""Can a classifier tell samples from data it has not seen?"""

import dataclasses
import warnings

import numpy as np

from vae.errors import UserError

LEAST = 40  # examples of each set, half of which train


@dataclasses.dataclass(frozen=True)
class Told:
    """How many of held-out samples and data a classifier tells apart."""

    accuracy: float  # 0.5: no better than chance
    stderr: float
    p_value: float  # of accuracy as high, were both of one distribution
    trained: int  # samples, and as many data, that it learnt from
    tested: int  # and that it was asked about


def two_sample_test(
    samples: np.ndarray, data: np.ndarray, seed: int = 0, hidden: int = 20, epochs: int = 100
) -> Told:
    """A classifier two-sample test (Lopez-Paz & Oquab 2017, section 3; C2ST-NN).

    It takes as many of each set as the smaller has. A random half of both trains a network of one
    hidden layer of rectifiers, by Adam; the other half tests it.

    The p-value is of a binomial of probability 1/2: exact where the network calls half of all
    examples samples, and too large otherwise.

    Args:
      samples, data: features [M, D] and [N, D].
      seed: of the halves and of the network.
      hidden: units of the layer.
      epochs: at most; the training loss may settle earlier.

    Raises:
      UserError: a set has fewer than LEAST examples.
    """
    from scipy.stats import binom
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    count = min(len(samples), len(data))
    if count < LEAST:
        raise UserError(
            f"a two-sample test needs {LEAST} examples of either set, and one has {count}: give "
            "more"
        )
    rng, half = np.random.default_rng(seed % 2**32), count // 2
    seen, asked = [], []
    for features in (samples, data):
        rows = rng.permutation(len(features))
        seen.append(np.asarray(features[rows[:half]], np.float64))
        asked.append(np.asarray(features[rows[half:count]], np.float64))
    x, y = np.concatenate(seen), np.repeat((1, 0), half)
    mean, std = x.mean(0), x.std(0)
    std[std <= 1e-7 * np.abs(mean)] = 1.0  # features that never vary, but for rounding
    network = MLPClassifier(
        (hidden,),
        batch_size=min(200, max(10, half // 10)),
        learning_rate_init=3e-3,
        max_iter=epochs,
        random_state=seed % 2**32,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `epochs` may come first
        network.fit((x - mean) / std, y)
    ours, theirs = (network.predict((each - mean) / std) for each in asked)
    right = np.array([ours.mean(), 1.0 - theirs.mean()])
    tested = count - half
    correct = int((ours == 1).sum() + (theirs == 0).sum())
    return Told(
        accuracy=float(right.mean()),
        stderr=float(np.sqrt((right * (1.0 - right)).sum() / (4 * tested))),
        p_value=float(binom.sf(correct - 1, 2 * tested, 0.5)),
        trained=half,
        tested=tested,
    )

"""Classifiers of factors that answer where scikit-learn's refuse, and settings that all share."""

import warnings
from typing import Any

import numpy as np

STEPS = 200  # of a logistic regression


def fitted(model: Any, z: np.ndarray, v: np.ndarray) -> Any:
    """`model` fitted to z [N, L] and v [N]; where v has one value, a model that always answers
    it."""
    from sklearn.dummy import DummyClassifier
    from sklearn.exceptions import ConvergenceWarning

    if (v == v[0]).all():
        return DummyClassifier(strategy="prior").fit(z, v)
    with warnings.catch_warnings():
        # The number of steps is a setting: where classes are separable no number is enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(z, v)


def logistic(strength: float = 1.0, steps: int = STEPS) -> Any:
    """Multinomial logistic regression; `strength` is the inverse of the L2 penalty, inf none."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=steps)


def sparse_logistic(strength: float, steps: int, seed: int) -> Any:
    """Multinomial logistic regression with an L1 penalty of inverse `strength`."""
    from sklearn.linear_model import LogisticRegression

    settings: dict[str, Any] = {"l1_ratio": 1.0}
    # Before scikit-learn 1.8 the ratio counts only with this name; later the name is deprecated.
    if getattr(LogisticRegression(), "penalty", None) == "l2":
        settings["penalty"] = "elasticnet"
    return LogisticRegression(
        C=strength, max_iter=steps, solver="saga", random_state=seed, **settings
    )


def probabilities(model: Any, z: np.ndarray, size: int) -> np.ndarray:
    """Probabilities [N, size] of the values 0 to size - 1; 0 of those it was never shown."""
    p = np.zeros((len(z), size))
    p[:, model.classes_] = model.predict_proba(z)
    return p

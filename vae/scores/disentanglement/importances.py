"""DCI: disentanglement, completeness and informativeness of the importance of latents."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement import classifiers
from vae.scores.disentanglement.information import entropy
from vae.scores.disentanglement.inputs import read, split

PARTS = ("disentanglement", "completeness", "informativeness")
TREES = [Kind(f"dci_trees_{part}", f"DCI by trees, {part}", "up", shown=shown)
         for part, shown in zip(PARTS, ("sweep", "", ""), strict=True)]
LINEAR = [Kind(f"dci_linear_{part}", f"DCI, linear, {part}", "up") for part in PARTS]


def dci_trees(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    examples: int = 5_000,
    rounds: int = 10,
    leaf: int = 10,
    seed: int = 0,
) -> dict[str, Metric]:
    """DCI by boosted trees (Eastwood & Williams 2018, section 2; trees as Locatello et al. 2019).

    Gradient boosted trees of depth 3 classify each factor; a latent's importance for the factor is
    its importance in them. `dci` makes the scores of it. Informativeness is the share of the test
    examples that the trees get right, where the paper has an error. The time is in proportion to
    the number of values of all factors.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      examples: most to train (four of five) and test with, picked at random.
      rounds: of boosting at rate 0.1, with as many trees each as the factor has values. The papers'
        hundred take minutes a factor, and later trees add little to the mean over all.
      leaf: least examples of a leaf; smaller ones make latents of noise important.

    Returns:
      `dci_trees_disentanglement`, `dci_trees_completeness` and `dci_trees_informativeness`.

    Raises:
      UserError: as `inputs.read`.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    def model() -> Any:
        return GradientBoostingClassifier(
            n_estimators=rounds, min_samples_leaf=leaf, random_state=seed
        )

    unit = f"boosted trees of depth 3, {rounds} rounds, leaves of {leaf} examples or more"
    return _dci(TREES, model, codes, factors, examples, seed, unit)


def dci_linear(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    examples: int = 5_000,
    strength: float = 0.1,
    steps: int = 50,
    seed: int = 0,
) -> dict[str, Metric]:
    """DCI by logistic regression with an L1 penalty (Eastwood & Williams 2018, section 2).

    The importance of a latent for a factor is the mean over the factor's values of the size of its
    weight; the rest is as in `dci_trees`. The paper regresses on quantities with the lasso; values
    here are classes.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      examples: most to train (four of five) and test with, picked at random.
      strength: inverse of the penalty, as scikit-learn's C.
      steps: most passes of the solver (SAGA) over the training examples.

    Returns:
      `dci_linear_disentanglement`, `dci_linear_completeness` and `dci_linear_informativeness`.

    Raises:
      UserError: as `inputs.read`.
    """

    def model() -> Any:
        return classifiers.sparse_logistic(strength, steps, seed)

    unit = f"logistic regression, L1 penalty of inverse strength {strength:g}, {steps} passes"
    return _dci(LINEAR, model, codes, factors, examples, seed, unit)


def dci(R: np.ndarray) -> tuple[float, float]:
    """Disentanglement and completeness of importances R [L, F], none negative.

    D = sum_j rho_j (1 - H_F(R_j. / sum_k R_jk)), rho_j the share of all importance that latent j
    has, and C = mean_k (1 - H_L(R_.k / sum_j R_jk)), where H_F has base F. A factor that no latent
    matters for counts 0; D of one factor and C of one latent are 1.
    """
    if not R.sum():
        return 0.0, 0.0
    rho = R.sum(1) / R.sum()
    return float(rho @ _concentration(R)), float(_concentration(R.T).mean())


def _concentration(R: np.ndarray) -> np.ndarray:
    """1 - H of every row of R [A, B] over log B, [A]; 0 of a row of zeros."""
    totals, base = R.sum(1), np.log(R.shape[1])
    return np.array(
        [
            (1.0 - entropy(row / total) / base if base else 1.0) if total else 0.0
            for row, total in zip(R, totals, strict=True)
        ]
    )


def _dci(
    kinds: Sequence[Kind],
    model: Any,
    codes: np.ndarray,
    factors: np.ndarray,
    examples: int,
    seed: int,
    unit: str,
) -> dict[str, Metric]:
    table = read(codes, factors)
    train, test = split(len(table.z), seed, examples, 0.8)
    R, right = np.zeros((table.z.shape[1], len(table.sizes))), []
    for k, v in enumerate(table.v.T):
        found = classifiers.fitted(model(), table.z[train], v[train])
        R[:, k] = importance(found, table.z.shape[1])
        right.append((found.predict(table.z[test]) == v[test]).mean())
    disentanglement, completeness = dci(R)
    unit += f", {len(train):,} to train and {len(test):,} to test, seed {seed}, {table.over}"
    found = (
        (disentanglement, "1 - entropy over factors"),
        (completeness, "1 - entropy over latents"),
        (np.mean(right), "share right, mean of factors"),
    )
    return by_name(*(
        kind.of(value, unit=f"{what}, {unit}")
        for kind, (value, what) in zip(kinds, found, strict=True)
    ))  # fmt: skip


def importance(model: Any, latents: int) -> np.ndarray:
    """Of every latent, [latents], for a fitted model; zeros of one that looks at none."""
    if hasattr(model, "feature_importances_"):
        return model.feature_importances_
    if hasattr(model, "coef_"):
        return np.abs(model.coef_).mean(0)
    return np.zeros(latents)

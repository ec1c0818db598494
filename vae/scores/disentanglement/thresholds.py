"""How much better the best single latent predicts a factor than the second best."""

import numpy as np

from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement.information import gaps
from vae.scores.disentanglement.inputs import read, split

SAP = Kind("sap", "SAP", "up", shown="sweep")
SAP_R2 = Kind("sap_r2", "SAP of squared correlations", "up")


def sap(
    codes: np.ndarray, factors: np.ndarray, *, examples: int = 10_000, seed: int = 0
) -> dict[str, Metric]:
    """SAP: separated attribute predictability (Kumar et al. 2018, section 3), in both forms.

    - `sap`, of factors that are classes: the score of a latent is the balanced accuracy of K - 1
      thresholds on it, for K values, less chance, 1/K. Half of the examples fit the thresholds, the
      other half tests them. They are those of a decision tree, each the best by the Gini impurity
      given those before it. A perfect code scores mean_k (1 - 1/K).
    - `sap_r2`, of factors whose values are quantities: the score is the squared correlation of
      the latent and the factor's value, over all examples. A perfect linear code scores 1.

    Args:
      codes: [N, L]; factors: whole numbers, [N, F].
      examples: most to fit and test the thresholds with, picked at random.

    Raises:
      UserError: as `inputs.read`.
    """
    table = read(codes, factors)
    train, test = split(len(table.z), seed, examples)
    right = np.zeros((table.z.shape[1], len(table.sizes)))
    for k, (v, size) in enumerate(zip(table.v.T, table.sizes, strict=True)):
        for j, z in enumerate(table.z.T):
            found = _balanced(z[:, None], v, train, test, seed)
            right[j, k] = max(0.0, found - 1.0 / size)
    centred = table.values - table.values.mean(0)
    squared = np.square(table.z.T @ (centred / centred.std(0)) / len(table.z))
    unit = f"thresholds fitted to {len(train):,} examples and tested on {len(test):,}, seed {seed}"
    unit = f"gap of balanced accuracy above chance, {unit}, {table.over}"
    return by_name(
        SAP.of(gaps(right).mean(), unit=unit),
        SAP_R2.of(gaps(squared).mean(), unit=f"gap of squared correlation, {table.over}"),
    )


def _balanced(
    z: np.ndarray, v: np.ndarray, train: np.ndarray, test: np.ndarray, seed: int
) -> float:
    """Mean over the values in the test half of the share of their examples that is right."""
    from sklearn.tree import DecisionTreeClassifier

    leaves = max(2, len(np.unique(v[train])))
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=seed)
    right = tree.fit(z[train], v[train]).predict(z[test]) == v[test]
    counts = np.bincount(v[test])
    return float((np.bincount(v[test], right)[counts > 0] / counts[counts > 0]).mean())

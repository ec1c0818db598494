"""UDR: how many of a model's latents other models find too; it needs no factors."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import rankdata

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name
from vae.scores.disentanglement.inputs import kept, standardised

SPEARMAN = Kind("udr_spearman", "UDR by rank correlation", "up")
LASSO = Kind("udr_lasso", "UDR by lasso", "up", shown="sweep")
SPEARMAN_OF = Kind("udr_spearman_{:d}", "UDR by rank correlation, model {}", "up")
LASSO_OF = Kind("udr_lasso_{:d}", "UDR by lasso, model {}", "up")
OF_SEEDS = {SPEARMAN: SPEARMAN_OF, LASSO: LASSO_OF}  # the mean over models, and each one's


def udr(
    codes: Sequence[np.ndarray],
    stds: Sequence[np.ndarray] | None = None,
    *,
    penalty: float = 0.1,
) -> dict[str, Metric]:
    """UDR: unsupervised disentanglement ranking of models (Duan et al. 2020, section 4).

    R(a, b) is how alike an active latent of one model and one of another are. Two models are
    compared by (its largest R)^2 over the sum of its R for every latent, averaged over the latents
    of both. The score of a model is the median over the other models. R is the size of

    - `udr_spearman`: the rank correlation, 1 at best up to chance correlations;
    - `udr_lasso`: the weight of b in a lasso regression of a on the other model's latents, all of
      them with variance 1; at best 1 - penalty.

    Args:
      codes: of each of M >= 2 models for the same examples, [N, L] each; L may differ.
      stds: of each model's q(z|x), [N, L], to tell which latents are active; see `inputs.active`.
      penalty: of the lasso.

    Returns:
      For each kind the mean over the models, and one a model, `udr_lasso_0` and so on in the order
      of `codes`.

    Raises:
      UserError: there are fewer than two models, lengths differ, or as `inputs.read`.
    """
    if len(codes) < 2 or (stds is not None and len(stds) != len(codes)):
        counts = f"{len(codes)} models" + ("" if stds is None else f" and {len(stds)} stds")
        raise UserError(f"udr compares two models or more: {counts}")
    if len({len(each) for each in codes}) > 1:
        raise UserError(
            f"udr compares codes of the same examples: there are {[len(each) for each in codes]}"
        )
    z = [_active(each, None if stds is None else stds[m]) for m, each in enumerate(codes)]

    def lasso(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return lasso_weights(a, b, penalty)

    unit = f"median over {len(z) - 1} other models, {len(codes[0]):,} examples"
    result = []
    for kind, of_model, alike, how in (
        (SPEARMAN, SPEARMAN_OF, spearman, "rank correlation"),
        (LASSO, LASSO_OF, lasso, f"lasso of penalty {penalty:g}"),
    ):
        each = _medians(z, alike)
        described = f"relative strength, {how}, {unit}"
        result.append(kind.of(np.mean(each), unit=f"{described}, mean of {len(z)} models"))
        result += [of_model[m].of(value, unit=described) for m, value in enumerate(each)]
    return by_name(*result)


def _active(codes: np.ndarray, std: np.ndarray | None) -> np.ndarray:
    z, spread = standardised(codes, std)
    return z[:, kept(z, spread)]


def _medians(
    z: list[np.ndarray], alike: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> list[float]:
    others = [[m for m in range(len(z)) if m != own] for own in range(len(z))]
    return [
        float(np.median([relative_strength(alike(z[own], z[m])) for m in others[own]]))
        for own in range(len(z))
    ]


def relative_strength(R: np.ndarray) -> float:
    """Mean of max(R)^2 / sum(R) over the rows and the columns of R [A, B]; 0 of none."""
    if not R.size:
        return 0.0
    lines = [*R, *R.T]
    return float(np.mean([line.max() ** 2 / line.sum() if line.sum() else 0.0 for line in lines]))


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Size of the rank correlation of the columns of a [N, A] and b [N, B], [A, B]."""
    a, b = (rankdata(each, axis=0) for each in (a, b))
    a, b = ((each - each.mean(0)) / each.std(0) for each in (a, b))
    return np.abs(a.T @ b) / len(a)


def lasso_weights(a: np.ndarray, b: np.ndarray, penalty: float) -> np.ndarray:
    """Size of the weight of each column of b [N, B] in predicting each of a [N, A], [A, B]."""
    from sklearn.linear_model import Lasso

    if not a.shape[1] or not b.shape[1]:
        return np.zeros((a.shape[1], b.shape[1]))
    return np.abs(Lasso(alpha=penalty).fit(b, a).coef_).reshape(a.shape[1], b.shape[1])

"""The velocity of flow matching where the latents are a mixture of Gaussians, in closed form.

Of one component N(m, Q diag(l) Q^T), x_t = (1 - t) e + t u is N(t m, Q diag(d) Q^T), d = t^2 l +
(1 - t)^2, and E[u - e | x_t = x] = m + Q diag((t l - (1 - t)) / d) Q^T (x - t m), by the
conditional mean of two Gaussians. A mixture's is the mean of these, weighted by what the
components' probabilities are given x_t.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import jax

MOST_LATENTS = 256  # beyond, the axes take too much room: one standard Gaussian
MOST_DRAWS = 20_000  # that EM sees
LEAST = 5  # draws for each latent of a component
RIDGE = 1e-4  # added to the variances, of standardised latents


class Base(NamedTuple):
    """A mixture of K Gaussians, with the weights of each class and, last, of no class."""

    log_weights: np.ndarray  # [classes + 1, K]
    means: np.ndarray  # m [K, L]
    variances: np.ndarray  # l [K, L]
    axes: np.ndarray  # Q [K, L, L], or [1, 1, 1] for the identity


def standard(size: int, classes: int) -> Base:
    """One standard Gaussian, whatever the class."""
    weights, means = np.zeros((classes + 1, 1), np.float32), np.zeros((1, size), np.float32)
    return Base(weights, means, means + 1, np.ones((1, 1, 1), np.float32))


def fit(u: np.ndarray, label: np.ndarray, classes: int, components: int, seed: int) -> Base:
    """A mixture of at most `components` Gaussians of full covariance, by EM: as many of each class.

    Args:
      u: standardised latents [N, L].
      label: [N]; `classes` for no class.

    A class with too few draws has the weights of no class; too few in all give `standard`.
    """
    from sklearn.mixture import GaussianMixture

    u, label = u[:MOST_DRAWS], label[:MOST_DRAWS]
    size = u.shape[1]
    enough = LEAST * size
    groups = [np.flatnonzero(label == number) for number in range(classes)]
    whole = not classes or min(map(len, groups)) < enough
    groups = [np.arange(len(u))] if whole else groups
    if size > MOST_LATENTS or len(u) < enough:
        return standard(size, classes)
    weights, means, variances, axes = [], [], [], []
    for rows in groups:
        most = min(max(1, components // len(groups)), len(rows) // enough)
        mixture = GaussianMixture(most, reg_covar=RIDGE, random_state=seed % 2**32)
        mixture.fit(u[rows].astype(np.float64))
        weights.append(mixture.weights_ * len(rows) / sum(map(len, groups)))
        means.append(mixture.means_)
        found, turned = np.linalg.eigh(mixture.covariances_)
        variances.append(found)
        axes.append(turned)
    joined = np.concatenate(weights)
    of_class = np.tile(joined, (classes + 1, 1))
    if not whole:
        place = np.repeat(np.arange(classes), list(map(len, weights)))
        of_class[:classes] *= place == np.arange(classes)[:, None]
    of_class /= of_class.sum(1, keepdims=True)
    arrays = np.log(np.maximum(of_class, 1e-30)), *map(np.concatenate, (means, variances, axes))
    return Base(*(array.astype(np.float32) for array in arrays))


def velocity(base: Base, x: "jax.Array", t: "jax.Array", label: "jax.Array") -> "jax.Array":
    """v [B, L] at x [B, L], t [B] and label [B]."""
    import jax
    import jax.numpy as jnp

    whole = base.axes.shape[-1] == 1
    one, back = t[:, None, None], (1.0 - t)[:, None, None]
    away = x[:, None] - one * base.means  # [B, K, L]
    turned = away if whole else jnp.einsum("bki,kil->bkl", away, base.axes)
    d = one**2 * base.variances + back**2
    log_prob = -0.5 * (turned**2 / d + jnp.log(d)).sum(-1)
    share = jax.nn.softmax(log_prob + jnp.asarray(base.log_weights)[label], axis=-1)[..., None]
    moved = share * (one * base.variances - back) / d * turned
    moved = moved.sum(1) if whole else jnp.einsum("bkl,kil->bi", moved, base.axes)
    return moved + (share * base.means).sum(1)

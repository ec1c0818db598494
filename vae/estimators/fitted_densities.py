"""Densities of latents z in closed form, fitted to draws of them: mixtures of Gaussians."""

import dataclasses
from collections.abc import Callable

import numpy as np

from vae.errors import UserError

RIDGE = 1e-6  # added to every correlation matrix, so that none is singular
LOG_2PI = 1.8378770664093453


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A density of z: `sample(num, seed, first)` gives z [num, L], each a function of the seed and
    its number, from `first` on; `log_prob(z)` gives the log density [N] in nats of z [N, L].
    `log_prob` is None for `prior`, whose codes may have no density, and for `second_stage`, whose
    density has no closed form; of a run with codes it is of them, as whole numbers. Where
    there are `classes`, both take `labels` [N] too, from 0 to `classes` - 1, and `sample` takes
    `guidance`, by which the class is exaggerated."""

    sample: Callable[..., np.ndarray]
    log_prob: Callable[..., np.ndarray] | None = None
    classes: int = 0

    def draws(
        self, num: int, seed: int, first: int, labels: np.ndarray | None, guidance: float
    ) -> np.ndarray:
        """z [num, L], of classes where `labels` are given.

        Raises:
          UserError: there are no classes.
        """
        if labels is None and guidance == 1.0:
            return self.sample(num, seed, first)
        if not self.classes:
            raise UserError(
                "this density of z knows no classes: use sampler='flow_matching', or 'causal' of "
                "codes, with labelled data"
            )
        return self.sample(num, seed, first, labels=labels, guidance=guidance)


def normal(latent_size: int) -> Sampler:
    """N(0, I) of so many latents."""
    return gaussians(np.ones(1), [Gaussian(np.zeros(latent_size), np.eye(latent_size))])


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """N(mean, C C^T), and the map z = mean + C u that makes it of N(0, I). In float64."""

    mean: np.ndarray  # [L]
    factor: np.ndarray  # C [L, L], lower-triangular

    def whiten(self, z: np.ndarray) -> np.ndarray:
        """u [N, L] of z [N, L]."""
        return np.linalg.solve(self.factor, (z - self.mean).T).T

    def colour(self, u: np.ndarray) -> np.ndarray:
        """z [..., L] of u [..., L]."""
        return self.mean + u @ self.factor.T

    @property
    def log_det(self) -> float:
        """log |det C|, of the map from u to z."""
        return float(np.log(np.diag(self.factor)).sum())

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """[N] nats."""
        return -0.5 * (np.square(self.whiten(z)) + LOG_2PI).sum(-1) - self.log_det


def scales(z: np.ndarray) -> Gaussian:
    """The diagonal Gaussian of z's means and standard deviations, none of them zero."""
    z = np.asarray(z, np.float64)
    if len(z) < 2:
        raise UserError(f"{len(z)} latents are too few to fit a density to")
    std = z.std(0)
    return Gaussian(z.mean(0), np.diag(np.maximum(std, RIDGE * np.max(std) + 1e-12)))


def moments(z: np.ndarray) -> Gaussian:
    """The Gaussian of z's mean and covariance, the maximum-likelihood one up to the ridge."""
    each = scales(z)
    u = each.whiten(z)
    correlation = u.T @ u / len(u) + RIDGE * np.eye(u.shape[1])
    return Gaussian(each.mean, each.factor @ np.linalg.cholesky(correlation))


def gaussians(weights: np.ndarray, parts: list[Gaussian]) -> Sampler:
    """sum_c w_c N(mu_c, C_c C_c^T), of weights [C] that sum to 1."""

    def sample(num: int, seed: int = 0, first: int = 0) -> np.ndarray:
        import jax

        from vae.probability import noise

        keys = noise.example_keys(noise.key_for(seed, "sample"), np.arange(first, first + num))
        uniform = jax.vmap(jax.random.uniform)(noise.fold(keys, 1))
        chosen = np.searchsorted(np.cumsum(weights), uniform, side="right")
        chosen = np.minimum(chosen, len(parts) - 1)  # where the weights sum to less by rounding
        z = np.asarray(noise.normal(keys, parts[0].mean.shape), np.float64)
        for number, part in enumerate(parts):
            z[chosen == number] = part.colour(z[chosen == number])
        return z.astype(np.float32)

    def log_prob(z: np.ndarray) -> np.ndarray:
        each = [np.log(w) + part.log_prob(z) for w, part in zip(weights, parts, strict=True)]
        return np.logaddexp.reduce(each, axis=0)  # type: ignore[call-overload]  # of NumPy 2.5

    return Sampler(sample, log_prob)


def fit_aggregate(z: np.ndarray, seed: int = 0) -> Sampler:
    """One Gaussian with the mean and covariance of z [N, L]; nothing in it is random."""
    return gaussians(np.ones(1), [moments(z)])


def fit_mixture(z: np.ndarray, seed: int = 0, components: int = 10) -> Sampler:
    """A mixture of Gaussians of full covariance, by EM from k-means, to z [N, L]."""
    from sklearn.mixture import GaussianMixture

    if not 1 <= components <= len(z):
        raise UserError(f"components={components} should be from 1 to {len(z)}, one a draw of z")
    each = scales(z)
    found = GaussianMixture(components, reg_covar=RIDGE, max_iter=300, random_state=seed % 2**32)
    found.fit(each.whiten(z))
    factors = np.linalg.cholesky(found.covariances_)
    parts = [
        Gaussian(each.colour(mean), each.factor @ factor)
        for mean, factor in zip(found.means_, factors, strict=True)
    ]
    return gaussians(found.weights_, parts)

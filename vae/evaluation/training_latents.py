"""Latents, codes and classes of a run's training examples, for densities to be fitted to."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vae.errors import RunError
from vae.estimators.learned_densities import BATCH

if TYPE_CHECKING:
    import jax

    from vae.data.dataset import Lazy

MOST_CLASSES = 1000  # that densities tell from each other


class Run(Protocol):
    """What a density is fitted to: a trained run, as `vae.load` gives it."""

    config: Any
    described: dict[str, Any]
    facts: Any
    latent_size: int

    compiled: Any

    @property
    def model(self) -> Any:
        """The model itself."""

    @property
    def variables(self) -> Any:
        """Its weights."""

    @property
    def dataset(self) -> Any:
        """The data that it was trained on."""

    def seen(self, split: str) -> Any:
        """All examples of a split, as the model sees them."""

    def context(self, split: str = "test") -> np.ndarray | None:
        """Their contexts."""

    def _prior_draws(
        self, num: int, seed: int, temperature: float, context: Any, first: int
    ) -> np.ndarray:
        """Draws of its prior."""


def latents(run: Run, num: int = 10_000, seed: int = 0) -> np.ndarray:
    """Draws of q(z|x) for training examples in a random order, z [n, L], n <= num.

    Examples that are binarised at every step of training are binarised once, by a fixed seed. Where
    there are fewer than `num`, each has the same number of draws, next to each other. Runs of
    deterministic objectives give one per example, the posterior's mean, because their variance is
    not learnt.
    """
    from vae.probability import noise

    rows = order(run, seed)[:num]
    count = 1 if points(run) else num // len(rows)
    return encoded(run, rows, count, noise.key_for(seed, "evaluate")).reshape(-1, run.latent_size)


def order(run: Run, seed: int) -> np.ndarray:
    """Numbers of all training examples, in a random order."""
    return np.random.default_rng(seed % 2**32).permutation(len(run.seen("train")))


def points(run: Run) -> bool:
    """Whether only the posterior's mean is learnt."""
    from vae import objectives
    from vae.objectives import facts

    return facts.of(getattr(objectives, run.config.objective.name, None)).points


def encoded(run: Run, rows: np.ndarray, count: int, key: "jax.Array") -> np.ndarray:
    """`count` draws of q(z|x) for each of the training examples of these numbers: [n, count, L]."""
    from vae.estimators.batches import PerExample

    mean_alone = points(run)

    def draws(weights: Any, x: "jax.Array", keys: "jax.Array") -> "jax.Array":  # [b, count, L]
        q = run.model.bind(weights).encode(x)
        return q.mean[:, None] if mean_alone else q.sample(keys, 0, count).swapaxes(0, 1)

    context = run.context("train")
    context = None if context is None else context[rows]
    z = PerExample(draws)(run.variables, _seen(run, rows), key, BATCH, context)
    z = z[..., : run.latent_size]
    if not np.isfinite(z).all():
        raise RunError("latents of the training set are not finite: the model has diverged")
    return z


def codes(run: Run, rows: np.ndarray, key: "jax.Array") -> np.ndarray:
    """Codes of the training examples of these numbers: [n, positions x streams]."""
    return np.asarray(run.compiled.codes(run.variables, _seen(run, rows), key, BATCH))


def classes(run: Run, rows: np.ndarray) -> np.ndarray | None:
    """Classes of the training examples of these numbers [n]; None where there are none, or too
    many to tell from each other."""
    labels = run.dataset.splits["train"].labels
    labels = None if labels is None else np.asarray(labels[:])[rows]
    return None if labels is None or labels.max() >= MOST_CLASSES else labels


def _seen(run: Run, rows: np.ndarray) -> "Lazy":
    from vae.data.dataset import Lazy

    seen = run.seen("train")
    return Lazy(lambda some: seen[rows[some]], (len(rows), *seen.shape[1:]), np.float32)

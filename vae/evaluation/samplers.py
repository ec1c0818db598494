"""Densities of z to draw new examples from, fitted to the latents of a trained run, by name.

- `prior`: the model's own p(z), which is not fitted;
- `normal`: N(0, I), whatever the prior;
- `aggregate`: one Gaussian of full covariance (Ghosh et al. 2020, section 4);
- `mixture`: a mixture of them, by EM (the same section: ex-post density estimation);
- `flow`: a spline coupling flow, by maximum likelihood (Durkan et al. 2019);
- `second_stage`: a second VAE, of z (Dai & Wipf 2019, section 3);
- `flow_matching`: noise that a learnt velocity carries (Lipman et al. 2023); also of one class.

A fit sees draws of the aggregate posterior q(z) = 1/N sum_n q(z|x_n) over the training set, and
never the decoder. The functions import JAX and scikit-learn when they are called, so that a name is
checked at once.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from vae.choices import choose
from vae.errors import RunError, UserError
from vae.estimators.fitted_densities import Sampler, fit_aggregate, fit_mixture, normal
from vae.estimators.flow_matching import fit_flow_matching, matched
from vae.estimators.learned_densities import BATCH, CHECKS, fit_flow, fit_second_stage

if TYPE_CHECKING:
    import jax

MOST_DRAWS, MOST_VALUES = 16, 2**26  # of each example, and of all, that flow matching holds at once
PASSES = 2  # of the encoder, in a fit by flow matching
MOST_CLASSES = 1000  # that flow matching tells from each other

class Run(Protocol):
    """What a density is fitted to: a trained run, as `vae.load` gives it."""

    config: Any
    described: dict[str, Any]
    facts: Any
    latent_size: int

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


def fit(
    run: Run, name: str, seed: int = 0, num: int = 10_000, **settings: Any
) -> Sampler:
    """Fits the density `name` to a run's training set.

    Args:
      seed: of the latents' draws and of the fit.
      num: most draws of q(z) to fit to (see `latents`); flow matching sees those of all examples.
      settings: keyword arguments of the function that fits, `fit_mixture` and so on.

    Raises:
      UserError: no such name, or a run for which only `prior` makes sense: with a codebook, or
        conditional, unless on labels, which `flow_matching` knows.
    """
    chosen = choose(SAMPLERS, name, "sampler")
    if chosen is prior:
        return prior(run)
    if run.facts.codes:
        raise UserError(f"sampler={name!r} is no density of a codebook's codes: use prior")
    if chosen is fit_flow_matching:
        return _matched(run, seed, **settings)
    if run.facts.conditional:
        raise UserError(f"sampler={name!r} ignores the context that the model takes: use prior")
    if chosen is normal:
        return normal(run.latent_size)
    return chosen(latents(run, num, seed), seed=seed, **settings)


def latents(run: Run, num: int = 10_000, seed: int = 0) -> np.ndarray:
    """Draws of q(z|x) for training examples in a random order, z [n, L], n <= num.

    Examples that are binarised at every step of training are binarised once, by a fixed seed. Where
    there are fewer than `num`, each has the same number of draws, next to each other. Runs of
    deterministic objectives give one per example, the posterior's mean, because their variance is
    not learnt.
    """
    from vae.probability import noise

    rows = _order(run, seed)[:num]
    count = 1 if _points(run) else num // len(rows)
    return _encoded(run, rows, count, noise.key_for(seed, "evaluate")).reshape(-1, run.latent_size)


def _order(run: Run, seed: int) -> np.ndarray:
    """Numbers of all training examples, in a random order."""
    return np.random.default_rng(seed % 2**32).permutation(len(run.seen("train")))


def _points(run: Run) -> bool:
    """Whether only the posterior's mean is learnt."""
    from vae import objectives
    from vae.objectives import facts

    return facts.of(getattr(objectives, run.config.objective.name, None)).points


def _encoded(run: Run, rows: np.ndarray, count: int, key: "jax.Array") -> np.ndarray:
    """`count` draws of q(z|x) for each of the training examples of these numbers: [n, count, L]."""
    from vae.data.dataset import Lazy
    from vae.estimators.batches import PerExample

    seen, points = run.seen("train"), _points(run)

    def draws(weights: Any, x: "jax.Array", keys: "jax.Array") -> "jax.Array":  # [b, count, L]
        q = run.model.bind(weights).encode(x)
        return q.mean[:, None] if points else q.sample(keys, 0, count).swapaxes(0, 1)

    x = Lazy(lambda some: seen[rows[some]], (len(rows), *seen.shape[1:]), np.float32)
    context = run.context("train")
    context = None if context is None else context[rows]
    z = PerExample(draws)(run.variables, x, key, BATCH, context)[..., : run.latent_size]
    if not np.isfinite(z).all():
        raise RunError("latents of the training set are not finite: the model has diverged")
    return z


def _matched(run: Run, seed: int, **settings: Any) -> Sampler:
    """Flow matching of all training examples' latents, with fresh draws of q(z|x) as it goes on;
    of their classes where they have labels. It is kept in the user's cache, by all it depends on.
    """
    import jax

    from vae.data import cache
    from vae.estimators.velocity_density import VelocityDensity
    from vae.probability import noise

    if run.facts.conditional and (run.config.data.context != "labels" or run.config.data.labelled):
        raise UserError(
            "sampler='flow_matching' knows no context but the labels of all examples: use prior"
        )
    rows, key = _order(run, seed), noise.key_for(seed, "evaluate")
    count = MOST_VALUES // (len(rows) * run.latent_size)
    count = 1 if _points(run) else min(max(count, 1), MOST_DRAWS)
    labels = run.dataset.splits["train"].labels
    labels = None if labels is None else np.asarray(labels[:])[rows]
    if labels is not None and labels.max() >= MOST_CLASSES:
        labels = None

    def fresh(number: int) -> np.ndarray | None:
        if _points(run) or number % (CHECKS // PASSES):
            return None
        return _encoded(run, rows, count, jax.random.fold_in(key, number))

    def build(folder: Path) -> None:
        z = _encoded(run, rows, count, key)
        matched(z, seed, labels, run.model.latent_shape, fresh, **settings).save(folder)

    about = [run.described, seed, settings, run.config.data.to_dict(), run.config.model.to_dict()]
    digest = hashlib.sha256(json.dumps(about, default=str, sort_keys=True).encode())
    for leaf in jax.tree.leaves(run.variables):
        digest.update(np.asarray(leaf).tobytes())
    folder = cache.root() / f"flow_matching-{digest.hexdigest()[:16]}"
    return VelocityDensity.of_arrays(cache.arrays(folder, build)).sampler()


def prior(run: Run) -> Sampler:
    """The run's own p(z); a conditional model's `sample` takes a context too, [num, C]."""

    def sample(
        num: int, seed: int = 0, first: int = 0, context: np.ndarray | None = None
    ) -> np.ndarray:
        return run._prior_draws(num, seed, 1.0, context, first)[:, : run.latent_size]

    return Sampler(sample)


SAMPLERS = {
    "prior": prior,
    "normal": normal,
    "aggregate": fit_aggregate,
    "mixture": fit_mixture,
    "flow": fit_flow,
    "second_stage": fit_second_stage,
    "flow_matching": fit_flow_matching,
}

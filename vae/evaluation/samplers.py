"""Densities of z to draw new examples from, fitted to the latents of a trained run, by name.

- `prior`: the model's own p(z), which is not fitted;
- `normal`: N(0, I), whatever the prior;
- `aggregate`: one Gaussian of full covariance (Ghosh et al. 2020, section 4);
- `mixture`: a mixture of them, by EM (the same section: ex-post density estimation);
- `flow`: a spline coupling flow, by maximum likelihood (Durkan et al. 2019);
- `second_stage`: a second VAE, of z (Dai & Wipf 2019, section 3).

A fit sees draws of the aggregate posterior q(z) = 1/N sum_n q(z|x_n) over the training set, and
never the decoder. The functions import JAX and scikit-learn when they are called, so that a name is
checked at once.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from vae.choices import choose
from vae.errors import RunError, UserError
from vae.estimators.fitted_densities import Sampler, fit_aggregate, fit_mixture, normal
from vae.estimators.learned_densities import BATCH, fit_flow, fit_second_stage

if TYPE_CHECKING:
    import jax

    from vae.evaluation.trained import Trained


def fit(
    run: "Trained", name: str, seed: int = 0, num: int = 10_000, **settings: Any
) -> Sampler:
    """Fits the density `name` to a run's training set.

    Args:
      seed: of the latents' draws and of the fit.
      num: most draws of q(z) to fit to (see `latents`).
      settings: keyword arguments of the function that fits, `fit_mixture` and so on.

    Raises:
      UserError: no such name, or a run for which only `prior` makes sense: conditional, or with a
        codebook.
    """
    chosen = choose(SAMPLERS, name, "sampler")
    if chosen is prior:
        return prior(run)
    if run.facts.conditional:
        raise UserError(f"sampler={name!r} ignores the context that the model takes: use prior")
    if run.facts.codes:
        raise UserError(f"sampler={name!r} is no density of a codebook's codes: use prior")
    if chosen is normal:
        return normal(run.latent_size)
    return chosen(latents(run, num, seed), seed=seed, **settings)


def latents(run: "Trained", num: int = 10_000, seed: int = 0) -> np.ndarray:
    """Draws of q(z|x) for training examples in a random order, z [n, L], n <= num.

    Examples that are binarised at every step of training are binarised once, by a fixed seed. Where
    there are fewer than `num`, each has the same number of draws, next to each other. Runs of
    deterministic objectives give one per example, the posterior's mean, because their variance is
    not learnt.
    """
    from vae import objectives
    from vae.data.dataset import Lazy
    from vae.estimators.batches import PerExample
    from vae.objectives import facts
    from vae.probability import noise

    seen = run.seen("train")
    rows = np.random.default_rng(seed % 2**32).permutation(len(seen))[:num]
    points = facts.of(getattr(objectives, run.config.objective.name, None)).points
    count = 1 if points else num // len(rows)

    def draws(weights: Any, x: "jax.Array", keys: "jax.Array") -> "jax.Array":  # [b, count, L]
        q = run.model.bind(weights).encode(x)
        return q.mean[:, None] if points else q.sample(keys, 0, count).swapaxes(0, 1)

    x = Lazy(lambda some: seen[rows[some]], (len(rows), *seen.shape[1:]), np.float32)
    key = noise.key_for(seed, "evaluate")
    z = PerExample(draws)(run.variables, x, key, BATCH)[..., : run.latent_size]
    if not np.isfinite(z).all():
        raise RunError("latents of the training set are not finite: the model has diverged")
    return z.reshape(-1, run.latent_size)


def prior(run: "Trained") -> Sampler:
    """The run's own p(z); a conditional model's `sample` takes a context too, [num, C]."""

    def sample(num: int, seed: int = 0, context: np.ndarray | None = None) -> np.ndarray:
        return run._prior_draws(num, seed, context=context)[:, : run.latent_size]

    return Sampler(sample)


SAMPLERS = {
    "prior": prior,
    "normal": normal,
    "aggregate": fit_aggregate,
    "mixture": fit_mixture,
    "flow": fit_flow,
    "second_stage": fit_second_stage,
}

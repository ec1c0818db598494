"""Densities of z to draw new examples from, fitted to the latents of a trained run, by name.

- `prior`: the model's own p(z), which is not fitted;
- `normal`: N(0, I), whatever the prior;
- `aggregate`: one Gaussian of full covariance (Ghosh et al. 2020, section 4);
- `mixture`: a mixture of them, by EM (the same section: ex-post density estimation);
- `flow`: a spline coupling flow, by maximum likelihood (Durkan et al. 2019);
- `second_stage`: a second VAE, of z (Dai & Wipf 2019, section 3);
- `flow_matching`: noise that a learnt velocity carries (Lipman et al. 2023); also of one class;
- `causal`, of codes: one after the other (van den Oord et al. 2017); also of one class;
- `masked`, of codes: many at a time (Chang et al. 2022); also of one class.

A fit sees draws of the aggregate posterior q(z) = 1/N sum_n q(z|x_n) over the training set, and
never the decoder. The functions import JAX and scikit-learn when they are called, so that a name is
checked at once.
"""

from typing import Any

import numpy as np

from vae.choices import choose
from vae.errors import UserError
from vae.estimators.code_density import fit_causal, fit_masked
from vae.estimators.fitted_densities import Sampler, fit_aggregate, fit_mixture, normal
from vae.estimators.flow_matching import fit_flow_matching
from vae.estimators.learned_densities import fit_flow, fit_second_stage
from vae.evaluation import kept_densities
from vae.evaluation.training_latents import Run, latents


def fit(
    run: Run, name: str, seed: int = 0, num: int = 10_000, **settings: Any
) -> Sampler:
    """Fits the density `name` to a run's training set.

    Args:
      seed: of the latents' draws and of the fit.
      num: most draws of q(z) to fit to (see `latents`); flow matching sees those of all examples.
      settings: keyword arguments of the function that fits, `fit_mixture` and so on.

    Raises:
      UserError: no such name, or none for this run: codes have `prior` and densities of their own,
        a conditional model has `prior` alone, unless it is on labels, which `flow_matching` knows.
    """
    chosen = choose(SAMPLERS, name, "sampler")
    if chosen is prior:
        return prior(run)
    if run.facts.codes:
        if name not in OF_CODES:
            known = ", ".join(OF_CODES)
            raise UserError(
                f"sampler={name!r} is no density of a codebook's codes: use prior, {known}"
            )
        return kept_densities.of_codes(run, chosen, name, seed, **settings)
    if name in OF_CODES:
        raise UserError(f"sampler={name!r} is of codes, and this run has none: use flow_matching")
    if chosen is fit_flow_matching:
        return kept_densities.by_flow_matching(run, seed, **settings)
    if run.facts.conditional:
        raise UserError(f"sampler={name!r} ignores the context that the model takes: use prior")
    if chosen is normal:
        return normal(run.latent_size)
    return chosen(latents(run, num, seed), seed=seed, **settings)


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
    "causal": fit_causal,
    "masked": fit_masked,
}
OF_CODES = ("causal", "masked")
OF_CLASSES = ("flow_matching", *OF_CODES)


def of_classes(codes: int) -> str:
    """The sampler to name where classes are asked for, of a run with so many codes."""
    return "causal" if codes else "flow_matching"

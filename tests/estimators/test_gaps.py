"""The gaps of the linear-Gaussian model, whose best diagonal and full posteriors are known."""

import numpy as np
import pytest

from tests.estimators import linear_gaussian
from tests.estimators.linear_gaussian import SIGMA, L
from tests.margins import above, near
from tests.probability.latents import bound
from vae.errors import UserError
from vae.estimators import gaps
from vae.probability import noise

KEY = noise.key_for(0, "evaluate")


def log_p_minus_best_diagonal(params):
    """KL(q || p(z|x)) of the best diagonal q: its precisions are the posterior's diagonal's.

    KL = 1/2 (sum_l log P_ll - log |P|), for the posterior's precision P (Turner & Sahani 2011).
    """
    w = np.asarray(params["decoder"]["Dense_0"]["kernel"], np.float64)
    precision = np.eye(L) + w @ w.T / SIGMA**2
    return 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


def test_local_optimum_leaves_the_approximation_gap_alone():
    model, params, x, log_p = linear_gaussian.linear()
    x, log_p = x[:50], log_p[:50]
    found = gaps.local_elbo(model, 800, 10)({"params": params}, x, KEY, 50)
    approximation = log_p_minus_best_diagonal(params)
    assert approximation > 0.01
    # The ELBO's own noise: distortion's variance over 1,000 draws.
    near((log_p - found["local"]).mean(), approximation, 0.02)
    above((found["local"] - found["amortised"]).min(), -0.01)
    above((found["local"] - found["amortised"]).mean(), 0.5)  # random encoders are far off


def test_no_gap_at_the_exact_posterior():
    model, params, x, log_p = linear_gaussian.linear()
    exact = {"params": linear_gaussian.with_exact_posterior(params)}
    found = gaps.local_elbo(model, 200, 10)(exact, x[:50], KEY, 50)
    for name in ("amortised", "local"):
        near(found[name].mean(), log_p[:50].mean(), 0.03)


@pytest.mark.slow
def test_a_full_covariance_has_no_approximation_gap():
    model, params, x, log_p = linear_gaussian.linear("full_covariance")
    # The random encoder starts some examples so far off that Adam needs the steps to get there.
    found = gaps.local_elbo(model, 3000, 10)({"params": params}, x[:50], KEY, 50)
    near(found["local"].mean(), log_p[:50].mean(), 0.02)


def test_draws_of_the_fit_and_of_the_judgement_differ():
    """The ELBO at the encoder's q does not depend on how long the other one was fitted."""
    model, params, x, _ = linear_gaussian.linear()
    first, second = (
        gaps.local_elbo(model, steps, 2, 100)({"params": params}, x[:8], KEY, 8)
        for steps in (1, 3)
    )
    np.testing.assert_allclose(first["amortised"], second["amortised"], rtol=1e-6)
    assert not np.allclose(first["local"], second["local"])


@pytest.mark.parametrize("posterior", ["iaf", "planar"])
def test_families_without_parameters_of_one_example_are_refused(posterior):
    with pytest.raises(UserError, match="diagonal, full_covariance"):
        gaps.local_elbo(bound(posterior), 1, 1)


def test_hierarchies_are_refused():
    with pytest.raises(UserError, match="diagonal, full_covariance"):
        gaps.local_elbo(bound("chain"), 1, 1)

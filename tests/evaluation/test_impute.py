"""Missing cells of a linear Gaussian model against its conditional distribution in closed form, and
what imputation leaves alone."""

import itertools
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy import stats

from tests.helpers import small_config
from vae import models
from vae.columns import Column
from vae.errors import UserError
from vae.estimators import bounds
from vae.estimators.conditional import conditional
from vae.evaluation import missing_cells
from vae.probability import noise

D, N = 4, 30
COLUMNS = (Column(holes=True),) * D


@pytest.fixture(scope="module")
def linear():
    """A linear model of two latents with random weights, rows with holes, mean and covariance."""
    config = small_config(model__hidden=(), model__latent_size=2, model__likelihood="columns")
    model = models.from_config(config.model, (D,), columns=COLUMNS)
    shapes = jax.eval_shape(lambda: models.initialise(model, (D,)))
    rng = np.random.default_rng(3)
    params = jax.tree.map(lambda p: np.float32(0.3 * rng.normal(size=p.shape)), shapes)
    params["decoder"]["Dense_0"]["kernel"] *= 3.0
    params["posterior"] = jax.tree.map(lambda p: 0.3 * p, params["posterior"])  # near the prior
    w, b = (np.asarray(params["decoder"]["Dense_0"][k], np.float64) for k in ("kernel", "bias"))
    noise_variance = np.exp(15 * np.tanh(params["likelihood"] / 15))
    covariance = w.T @ w + np.diag(noise_variance)
    x = rng.multivariate_normal(b, covariance, size=N)
    x[rng.random(x.shape) < 0.4] = np.nan
    x[0] = np.nan
    return model, models.variables(model, params), x.astype(np.float32), b, covariance


def closed(x, mean, covariance):
    """Mean and covariance of a row's missing cells given the others."""
    there, gone = ~np.isnan(x), np.isnan(x)
    gain = covariance[np.ix_(gone, there)] @ np.linalg.inv(covariance[np.ix_(there, there)])
    expected = mean[gone] + gain @ (x[there] - mean[there])
    rest = covariance[np.ix_(gone, gone)] - gain @ covariance[np.ix_(there, gone)]
    return expected, rest


def test_the_bound_is_log_p_of_what_is_observed_at_every_pattern(linear):
    model, variables, _, mean, covariance = linear
    draws, rng = 20_000, np.random.default_rng(1)
    there = np.array([*itertools.product([True, False], repeat=D)])
    x = np.where(there, rng.multivariate_normal(mean, covariance, size=2**D), np.nan)
    key = noise.key_for(0, "sample")
    got = bounds.iwae(model, draws)(variables, np.float32(x), key, 2**D)
    effective = conditional(model, draws)(variables, np.float32(x), key, 2**D)["effective"]
    closed = np.zeros(2**D)
    for n, seen in enumerate(there[:-1]):  # the last row has nothing
        of_seen = stats.multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
        closed[n] = of_seen.logpdf(x[n, seen])
    assert (np.abs(got - closed) < 5 / np.sqrt(effective) + 1e-4).all()
    # The bound by one draw, on average, is below it by KL(q(z|x) || p(z|x observed)).
    elbo = bounds.elbo(model, draws)(variables, np.float32(x), key, 2**D)["elbo"]
    assert (elbo < closed + 1e-4 * (1 + np.abs(closed))).all()


def test_means_are_the_conditional_means_in_closed_form(linear):
    model, variables, x, mean, covariance = linear
    found = conditional(model, 20_000)(variables, x, noise.key_for(0, "sample"), 10)
    assert found["x"].shape == (N, 1, D) and (found["effective"] > 100).all()
    for row, got, effective in zip(x, found["x"][:, 0], found["effective"], strict=True):
        expected, rest = closed(row, mean, covariance)
        error = np.sqrt(np.diag(rest) / effective)
        assert (np.abs(got[np.isnan(row)] - expected) < 5 * error + 1e-4).all()


def test_draws_have_the_conditional_mean_and_spread(linear):
    model, variables, x, mean, covariance = linear
    draws = 2000
    found = conditional(model, 4000, draws)(variables, x[:6], noise.key_for(0, "sample"), 6)
    assert found["x"].shape == (6, draws, D)
    for row, got, effective in zip(x, found["x"], found["effective"], strict=False):
        gone = np.isnan(row)
        if not gone.any():
            continue
        expected, rest = closed(row, mean, covariance)
        count = 1 / (1 / draws + 1 / effective)
        spread = np.sqrt(np.diag(rest))
        assert (np.abs(got[:, gone].mean(0) - expected) < 5 * spread / np.sqrt(count)).all()
        np.testing.assert_allclose(got[:, gone].std(0), spread, rtol=5 / np.sqrt(count))


def test_chunks_of_draws_leave_none_out_and_count_none_twice(linear):
    model, variables, x, *_ = linear
    found = conditional(model, 130)(variables, x, noise.key_for(0, "sample"), N)
    assert (found["effective"] <= 130 * (1 + 1e-5)).all() and np.isfinite(found["x"]).all()
    fewer = conditional(model, 130)(variables, x, noise.key_for(0, "sample"), 7)
    np.testing.assert_allclose(fewer["x"], found["x"], rtol=1e-4, atol=1e-5)


def run_of(linear):
    model, variables, *_ = linear
    return SimpleNamespace(
        compiled=lambda build, *settings: build(model, *settings), variables=variables,
        column_kinds=COLUMNS, column_names=list("abcd"),
    )  # fmt: skip


def test_observed_cells_stay_as_they_are_and_few_draws_are_said(linear):
    x = linear[2]
    with pytest.warns(UserWarning, match="rows rest on fewer than 10 effective draws of 12: give"):
        made, effective = missing_cells.filled(run_of(linear), x, 12, 3, 0)
    assert made.shape == (3, N, D) and effective.shape == (N,) and not np.isnan(made).any()
    for each in made:
        np.testing.assert_array_equal(each[~np.isnan(x)], x[~np.isnan(x)])
    assert np.any(made[0] != made[1])
    for samples, draws in ((0, 0), (5, 6)):
        with pytest.raises(UserError, match="give a number from"):
            missing_cells.filled(run_of(linear), x, samples, draws, 0)


def test_a_row_without_a_cell_gets_the_models_means(linear):
    model, variables, x, mean, _ = linear
    found = conditional(model, 20_000)(variables, x[:1], noise.key_for(1, "sample"), 1)
    np.testing.assert_allclose(found["x"][0, 0], mean, atol=0.05)

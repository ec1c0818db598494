"""Every prior's density and sampler, in two dimensions, through the model."""

import functools

import jax
import numpy as np
import pytest

from tests.margins import mean_is, near, within
from tests.probability.latents import (
    MODELS,
    OTHER,
    PIXELS,
    bound,
    grid,
    keys_for,
    settings,
    together,
)
from vae import models
from vae.errors import UserError
from vae.probability import priors

DRAWS = 20_000
CASES = [
    ("diagonal", "normal"),
    *(("diagonal", name) for name in priors.__all__ if name not in OTHER),
    ("full_covariance", "vamp"),
    *((name, "normal") for name in MODELS),
]


@functools.cache
def found():
    """log p on the grid, and draws."""
    points, _ = grid()

    def of(model):
        return model.log_prior(points), model.sample_prior(keys_for(DRAWS))

    scale = {"autoregressive": 0.25}  # with larger weights it has mass far away
    return together({
        case: functools.partial(of, bound(*case, scale=scale.get(case[1], 0.5))) for case in CASES
    })  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_prior_integrates_to_one_and_its_samples_have_its_moments(case):
    points, area = grid()
    log_p, z = found()[case]
    mass = np.exp(log_p) * area
    np.testing.assert_allclose(mass.sum(), 1.0, rtol=5e-3)
    mean = mass @ points
    covariance = (points - mean).T @ ((points - mean) * mass[:, None])
    scale = np.sqrt(np.diag(covariance))
    within(z.mean(0), mean, scale / np.sqrt(DRAWS) + 0.002 * scale)  # the grid's own error
    squares = (z - mean)[:, :, None] * (z - mean)[:, None]
    mean_is(squares, covariance, 0.01 * scale.max() ** 2)


def test_a_vamp_prior_is_the_mixture_of_its_inputs_posteriors():
    model = bound("diagonal", "vamp")
    z = np.random.default_rng(3).normal(size=(50, 2)).astype(np.float32)

    @jax.jit
    def parts():
        inputs = model.prior.inputs()
        q = model.encode(inputs)
        return inputs, q.mu, q.std, model.log_prior(z), q.sample(keys_for(3), 0, 4000)

    inputs, mu, std, log_prior, of_each = map(np.asarray, parts())
    assert inputs.shape == (3, PIXELS) and (inputs > 0).all() and (inputs < 1).all()
    each = np.exp(-0.5 * ((z[:, None] - mu) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    expected = np.log(np.asarray(each, np.float64).prod(-1).mean(1))
    np.testing.assert_allclose(log_prior, expected, rtol=1e-4)
    draws = found()["diagonal", "vamp"][1]
    nearest = np.square((draws[:, None] - mu) / std).sum(-1).argmin(1)
    expected_nearest = np.square((of_each[:, :, None] - mu) / std).sum(-1).argmin(-1)
    share = np.bincount(expected_nearest.ravel(), minlength=3) / expected_nearest.size
    error = np.sqrt(share * (1 - share) * (1 / DRAWS + 1 / expected_nearest.size))
    within(np.bincount(nearest, minlength=3) / DRAWS, share, error)


@pytest.mark.parametrize("kind", ["binary", "counts", "real"])
def test_pseudo_inputs_start_about_the_data_s_mean(kind):
    config = settings("diagonal", "vamp", model__prior_components=500)
    config.model.likelihood = {"counts": "multinomial", "real": "laplace"}.get(kind, "bernoulli")
    mean = np.array([0.0, 0.3, 0.5, 0.8, 1.0, 0.6]) * {"counts": 7.0, "real": -3.0}.get(kind, 1.0)
    model = models.from_config(config.model, (PIXELS,), mean, kind=kind)
    start = jax.jit(lambda: models.initialise(model, (PIXELS,)))()
    inputs = np.asarray(model.bind({"params": start}).prior.inputs())
    least, most = {"binary": (0.01, 0.99), "counts": (0.01, np.inf)}.get(kind, (-np.inf, np.inf))
    near(inputs.mean(0), np.clip(mean, least, most), 6e-3)
    inner = (mean > least + 0.1) & (mean < most - 0.1)
    near(inputs.std(0)[inner], 0.01, rel=0.25)


def test_what_goes_with_no_vamp_prior_is_refused():
    with pytest.raises(UserError, match="densities .* model.posterior='iaf'"):
        models.from_config(settings("iaf", "vamp").model, (PIXELS,))
    config = settings("diagonal", "vamp")
    config.model.likelihood = "categorical_tokens"
    with pytest.raises(UserError, match="tokens have none"):
        models.from_config(config.model, (PIXELS,))

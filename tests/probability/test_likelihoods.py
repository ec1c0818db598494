"""What every likelihood has to do, whatever it is of; and Bernoulli and Gaussians themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from tests.helpers import small_config
from tests.probability.shared import (
    SETTINGS,
    draws,
    example,
    log_probs,
    mean,
    same_moments,
    values_and_slopes,
    with_scalars,
)
from vae import models
from vae.estimators import bounds
from vae.objectives import elbo
from vae.probability import likelihoods, noise

X = (np.random.default_rng(0).random((4, 3, 2, 1)) < 0.5).astype(np.float32)
DATA = {  # kinds and their levels
    "binary": 2, "grey": 9, "real": 0, "counts": 0, "tokens": 9, "columns": 0
}  # fmt: skip


def data_for(likelihood, num=4):
    """Examples of the kind that it is for, as the model sees them, [B, ...] with channels."""
    rng, kind = np.random.default_rng(0), likelihood.kinds[0]
    if kind == "columns":
        return rng.integers(0, 2, (num, 6, 1)).astype(np.float32)
    if kind in ("counts", "tokens"):
        return rng.integers(0, 9, (num, 6, 1)).astype(np.float32)
    levels = {"binary": 2, "grey": SETTINGS["levels"]}[kind]
    return (rng.integers(0, levels, (num, 3, 2, 1)) / (levels - 1)).astype(np.float32)


@pytest.mark.parametrize("name", likelihoods.__all__)
def test_every_likelihood_keeps_the_contract(name):
    """Shapes, float32, one number an example that depends on it alone, finite at extremes."""
    likelihood = example(name)
    assert set(likelihood.kinds) <= set(DATA) and isinstance(likelihood.discrete, bool)
    x = data_for(likelihood)
    event = x.shape[1:]
    decoded = np.zeros((*likelihood.decoded(event[:-1]), likelihood.channels(1)))
    outputs = with_scalars(likelihood, decoded).shape
    theta = np.random.default_rng(1).normal(size=(5, 4, *outputs)).astype(np.float32)
    if not name.startswith(("gaussian", "laplace")):  # whose scale at a log of -200 is 0
        theta[3], theta[4] = -200.0, 200.0

    @jax.jit
    def everything(theta, x):
        total, back = jax.vjp(lambda theta: likelihood.log_prob(theta, x), theta)
        return total, back(jnp.ones_like(total))[0], likelihood.mean(theta)

    got, slope, mean = everything(theta, x)
    sample = jax.eval_shape(likelihood.sample, jax.random.key(0), theta[0, 0])
    assert got.shape == (5, 4) and got.dtype == jnp.float32
    assert np.isfinite(got).all() and np.isfinite(slope).all()
    assert mean.shape == (5, 4, *event) and sample.shape == event
    assert np.isfinite(mean).all() and mean.dtype == sample.dtype == jnp.float32
    moved = everything(np.roll(theta, 1, 1), np.roll(x, 1, 0))[0]
    np.testing.assert_allclose(moved, np.roll(got, 1, 1), rtol=1e-5)


OF_MEANS = sorted(set(likelihoods.__all__) - {"categorical_tokens", "columns"})


@pytest.mark.parametrize("name", OF_MEANS)
def test_output_bias_starts_the_mean_at_the_data_mean(name):
    likelihood = example(name)
    data_mean = np.array([0.02, 0.1, 0.35, 0.5, 0.8, 0.98])[:, None]
    theta = likelihood.output_bias(data_mean)
    assert theta.shape == (6, likelihood.channels(1))
    expected = data_mean / data_mean.sum() if name == "multinomial" else data_mean
    near = 0.01 if name.startswith("discretized") else 1e-5  # a formula for levels without number
    np.testing.assert_allclose(mean(likelihood, with_scalars(likelihood, theta)), expected,
                               atol=near)  # fmt: skip


def test_encoders_see_what_the_likelihood_makes_of_x():
    x = np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]], np.float32)
    got = example("multinomial").encoder_input(x)
    np.testing.assert_allclose(got, [[0.6, 0.0, 0.8], [0.0, 0.0, 0.0]], rtol=1e-6)
    for name in ("negative_binomial", "zero_inflated_negative_binomial"):
        np.testing.assert_allclose(example(name).encoder_input(x), np.log1p(x), rtol=1e-6)
    got = example("categorical_tokens").encoder_input(x)
    np.testing.assert_array_equal(got, np.eye(9)[x.astype(int)])
    assert example("bernoulli").encoder_input(x) is x


def test_a_model_encodes_through_its_likelihood_in_either_precision():
    """float32 likelihood parameters and density whatever the networks compute in."""
    x = np.array([[3.0, 0.0, 4.0], [1.0, 2.0, 8.0]], np.float32)
    totals = []
    for dtype in ("float32", "bfloat16"):
        config = small_config(
            model__likelihood="categorical_tokens", model__hidden=(4,), model__dtype=dtype
        )
        model = models.from_config(config.model, (3,), levels=9)
        shapes = jax.eval_shape(lambda model=model: models.initialise(model, (3,)))
        assert shapes["encoder"]["Dense_0"]["kernel"].shape == (27, 4)
        rng = np.random.default_rng(0)
        params = jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), shapes)  # noqa: B023

        def both(params, model=model):
            bound = model.bind({"params": params})
            theta = bound.decode(bound.encode(x).mean)
            return theta, bound.log_likelihood(theta, x)

        theta, total = jax.jit(both)(params)
        assert theta.dtype == total.dtype == jnp.float32 and theta.shape == (2, 3, 9)
        totals.append(total)
    np.testing.assert_allclose(totals[1], totals[0], rtol=0.1)


def test_bernoulli_is_numpyros():
    logits = np.random.default_rng(0).normal(size=(6, 4, 3, 2, 1)).astype(np.float32) * 3

    @jax.jit
    def both(logits):
        expected = dist.Bernoulli(logits=logits).log_prob(X).sum((-1, -2, -3))
        return likelihoods.bernoulli().log_prob(logits, X), expected

    got, expected = both(logits)
    assert got.shape == (6, 4)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_bce_is_finite_at_extreme_logits():
    """Logits to +-200 and both labels: value and gradient in float32 against float64."""
    logits = np.array([-200.0, -88.0, -20.0, 0.0, 0.3, 88.0, 200.0])
    labels = np.array([0.0, 1.0])[:, None]
    got, slope = values_and_slopes(likelihoods.bernoulli(), logits[:, None], labels[:, 0])
    sigmoid = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(slope[..., 0], labels - sigmoid, atol=1e-6)
    expected = labels * logits - np.logaddexp(0, logits)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(np.exp(got).sum(0), 1.0, rtol=1e-6)


def test_bernoulli_output_bias_is_the_clipped_logit_of_the_mean():
    bias = likelihoods.bernoulli().output_bias(np.array([0.0, 0.25, 1.0]))
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), [0.001, 0.25, 0.999], rtol=1e-9)


@pytest.mark.parametrize("name", ["gaussian_fixed", "gaussian_learned", "gaussian_per_pixel"])
def test_gaussians_are_numpyros_with_their_constant(name):
    likelihood = example(name, sigma=0.3)
    theta = np.random.default_rng(2).normal(size=(5, 4, 3, 2, likelihood.channels(1)))
    theta = with_scalars(likelihood, theta.astype(np.float32))

    @jax.jit
    def both(theta):
        sigma = jnp.exp(0.5 * theta[..., 1:]) if name == "gaussian_per_pixel" else 0.3
        expected = dist.Normal(theta[..., :1], sigma).log_prob(X)
        return likelihood.log_prob(theta, X), expected.sum((-1, -2, -3))

    np.testing.assert_allclose(*both(theta), rtol=1e-5)


def test_a_fixed_variance_gaussian_has_its_constant_in_training_and_in_evaluation():
    """A decoder that knows one mean only: both distortions are that density, whatever z is."""
    config = small_config(model__likelihood="gaussian_fixed", model__sigma=0.1, model__hidden=())
    model = models.from_config(config.model, (6,))
    shapes = jax.eval_shape(lambda: models.initialise(model, (6,)))
    params = jax.tree.map(lambda p: np.full(p.shape, 0.25 * (p.ndim == 1), np.float32), shapes)
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    key = jax.random.key(3)
    keys = noise.example_keys(key, jnp.arange(4))

    @jax.jit
    def training(params):
        bound = model.bind(models.variables(model, params))
        return elbo(bound, x, keys, {"beta": 1.0})["distortion"]

    evaluated = bounds.elbo(model)(models.variables(model, params), x, key, 4)["distortion"]
    error = ((x - 0.25) ** 2).sum(-1) / 0.02
    expected = error + 6 * np.log(0.1 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(training(params), expected, rtol=1e-5)
    np.testing.assert_allclose(evaluated, expected, rtol=1e-5)


def test_sigma_vae_optimal_variance_is_the_mse():
    """Minimising the learned-sigma Gaussian over its log variance gives the mean squared error."""
    mu = np.random.default_rng(3).normal(size=(4, 3, 2, 1)).astype(np.float32)
    best = np.log(np.square(mu - X).mean())

    @jax.jit
    @jax.vmap
    def total(logvar):
        theta = jnp.concatenate([mu, jnp.full_like(mu, logvar)], -1)
        return likelihoods.gaussian_learned().log_prob(theta, X).sum()

    step = 0.05
    left, middle, right = total(jnp.array([best - step, best, best + step]))
    assert middle > max(left, right)
    np.testing.assert_allclose((right - left) / (2 * step), 0.0, atol=0.02)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian_fixed", "gaussian_per_pixel"])
def test_the_samplers_moments_are_the_densitys(name):
    likelihood = example(name)
    theta = np.linspace(-1, 1, likelihood.channels(1) * 2).reshape(1, 2, -1).astype(np.float32)
    expected = mean(likelihood, theta)
    variance = {
        "bernoulli": expected * (1 - expected),
        "gaussian_fixed": np.full_like(expected, SETTINGS["sigma"] ** 2),
        "gaussian_per_pixel": np.exp(theta[..., 1:]),
    }[name]
    same_moments(draws(likelihood, theta, 40_000), expected, variance)


@pytest.mark.parametrize("name", ["gaussian_fixed", "gaussian_learned", "laplace"])
@pytest.mark.parametrize("sigma", [1e-3, 30.0])
def test_densities_integrate_to_one(name, sigma):
    likelihood = example(name, sigma=sigma)
    theta = with_scalars(likelihood, likelihood.output_bias(np.zeros((1, 1, 1))))[0]
    x = np.linspace(-20 * sigma, 20 * sigma, 4001)
    density = np.exp(log_probs(likelihood, theta, x))
    np.testing.assert_allclose(np.trapezoid(density, x, axis=0), 1.0, rtol=1e-4)

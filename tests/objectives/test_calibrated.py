import jax
import numpy as np
import pytest

from tests.objectives.shared import (
    bits,
    chosen,
    evaluate,
    hyper,
    keys_for,
    model_and_params,
)
from vae.errors import UserError
from vae.objectives.elbo import draw
from vae.probability import noise


def squared_errors(model, x, keys):
    theta = draw(model, x, keys).theta[0]
    mu = np.asarray(model.likelihood.mean(theta), np.float64).reshape(len(x), -1)
    return np.square(x - mu)


def test_optimal_sigma_squared_equals_the_mse():
    terms, (model, x, keys) = evaluate("sigma_vae", hyper(beta=1.0))
    np.testing.assert_allclose(
        terms["optimal_sigma"] ** 2, squared_errors(model, x, keys).mean(), rtol=1e-5
    )


def test_sigma_vae_s_loss_is_the_gaussian_at_the_optimal_sigma_summed_over_pixels():
    terms, (model, x, keys) = evaluate("sigma_vae", hyper(beta=3.0))
    errors = squared_errors(model, x, keys)
    mse = errors.mean()
    expected = 0.5 * (np.log(2 * np.pi * mse) + errors / mse).sum(1)
    np.testing.assert_allclose(terms["loss"], expected + 3.0 * terms["rate"], rtol=1e-5)
    best = 0.5 * x.shape[1] * (np.log(2 * np.pi * mse) + 1)
    np.testing.assert_allclose((terms["loss"] - 3.0 * terms["rate"]).mean(), best, rtol=1e-5)


def test_its_elbo_is_that_of_the_learned_sigma():
    terms, (model, x, keys) = evaluate("sigma_vae", hyper(beta=3.0))
    theta = draw(model, x, keys).theta[0]
    np.testing.assert_allclose(terms["distortion"], -model.log_likelihood(theta, x), rtol=1e-5)
    np.testing.assert_allclose(terms["elbo"], -(terms["distortion"] + terms["rate"]), rtol=1e-6)


def test_the_gradient_is_that_of_the_loss_and_the_learned_sigma_gets_its_own():
    """In float64: of the loss without the learned sigma by finite differences, and of the
    Gaussian's log density by the log variance in closed form."""
    objective, beta = chosen("sigma_vae"), np.float64(2.0)
    with jax.enable_x64(True):
        model, params = model_and_params(name="sigma_vae", dtype="float64")
        x, keys = bits(5).astype(np.float64), keys_for(5)
        params = jax.tree.map(np.float64, params)

        def loss(params):
            terms = objective(model.bind({"params": params}), x, keys, {"beta": beta})
            return terms["loss"].mean()

        value_and_grad = jax.jit(jax.value_and_grad(loss))
        gradient = value_and_grad(params)[1]
        rng = np.random.default_rng(1)
        direction = jax.tree.map(lambda p: rng.normal(size=p.shape), params)
        direction["likelihood"] *= 0  # the value does not depend on it

        def shifted(step):
            return value_and_grad(jax.tree.map(lambda p, d: p + step * d, params, direction))[0]

        along = sum(jax.tree.leaves(jax.tree.map(np.vdot, gradient, direction)))
        np.testing.assert_allclose((shifted(1e-5) - shifted(-1e-5)) / 2e-5, along, rtol=1e-5)
        mse = squared_errors(model.bind({"params": params}), x, keys).mean()
        own = 0.5 * x.shape[1] * (1.0 - mse / np.exp(params["likelihood"]))
        np.testing.assert_allclose(gradient["likelihood"], own, rtol=1e-6)


def test_a_likelihood_without_a_learned_sigma_is_refused():
    model, params = model_and_params()
    keys = noise.example_keys(jax.random.key(0), np.arange(2))
    with pytest.raises(UserError, match="gaussian_learned"):
        chosen("sigma_vae")(model.bind({"params": params}), bits(2), keys, hyper(beta=1.0))

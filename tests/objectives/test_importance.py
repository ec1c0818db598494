"""Importance-weighted bounds: their values, their gradients by formula, what is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from tests.objectives.weights import (
    HYPER,
    STATIC,
    K,
    M,
    assert_close,
    compiled,
    elbo,
    generative,
    gradient,
    inference,
    log_mean_exp,
    log_weights,
    terms,
)
from vae import objectives
from vae.objectives.importance import renyi_bound
from vae.probability import noise


@pytest.mark.parametrize("name", ["iwae", "stl", "dreg"])
def test_value_is_the_log_mean_exp_of_log_w(parts, name):
    log_w = log_weights(*parts, K)
    got = terms(name, *parts)
    np.testing.assert_allclose(got["loss"], -log_mean_exp(log_w), rtol=1e-5)


@pytest.mark.slow
def test_values_of_several_batches_are_those_of_their_draws(parts):
    log_w = log_weights(*parts, M * K)
    got = terms("piwae", *parts)
    np.testing.assert_allclose(got["loss"], -log_mean_exp(log_w), rtol=1e-5)
    got = terms("miwae", *parts)
    expected = -log_mean_exp(log_w.reshape(M, K, -1), 1).mean(0)
    np.testing.assert_allclose(got["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("name", STATIC)
def test_logged_terms_are_means_over_the_draws_at_beta_1(parts, name):
    samples = K * M if "batches" in STATIC[name] else K
    got = terms(name, *parts, hyper=HYPER | {"beta": jnp.float32(7.0)})
    assert all(term.shape == (6,) for term in got.values())
    np.testing.assert_allclose(got["elbo"], log_weights(*parts, samples).mean(0), rtol=1e-5)
    np.testing.assert_allclose(got["elbo"], -got["distortion"] - got["rate"], rtol=1e-5)


@pytest.mark.parametrize("name", STATIC)
def test_k_1_equals_the_one_sample_elbo_estimate(parts, name):
    one = {"samples": 1} | ({"batches": 1} if "batches" in STATIC[name] else {})
    got = terms(name, *parts, **one)
    np.testing.assert_allclose(got["loss"], -got["elbo"], rtol=1e-6)
    np.testing.assert_allclose(got["distortion"], elbo(*parts)["distortion"], rtol=1e-5)


def test_special_cases_of_miwae_and_ciwae(parts):
    """MIWAE: M = 1 is IWAE, K = 1 the ELBO. CIWAE: mix = 0 is IWAE, 1 the ELBO."""
    one = ("miwae", {"batches": K, "samples": 1})
    pairs = [
        (("miwae", {"batches": 1}), ("iwae", {})),
        (one, ("renyi", {"hyper": HYPER | {"alpha": jnp.float32(1.0)}})),
        (("ciwae", {"hyper": HYPER | {"mix": jnp.float32(0.0)}}), ("iwae", {})),
        (("ciwae", {"hyper": HYPER | {"mix": jnp.float32(1.0)}}), one),
    ]
    for (left, left_options), (right, right_options) in pairs:
        a, b = terms(left, *parts, **left_options), terms(right, *parts, **right_options)
        np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-5)


def test_piwae_is_iwae_for_the_decoder_and_miwae_for_the_encoder(parts):
    partly = gradient("piwae", *parts)
    assert_close(generative(partly), generative(gradient("iwae", *parts, samples=M * K)))
    assert_close(inference(partly), inference(gradient("miwae", *parts)))


@pytest.mark.parametrize("name", ["stl", "dreg"])
def test_the_decoder_gets_the_plain_iwae_gradient(parts, name):
    got, expected = gradient(name, *parts), gradient("iwae", *parts)
    assert_close(generative(got), generative(expected))
    head = jax.tree.leaves(jax.tree.map(np.subtract, got["posterior"], expected["posterior"]))
    assert max(np.abs(leaf).max() for leaf in head) > 1e-2  # and the encoder another one


def test_dreg_is_its_formula(parts):
    """sum_k v_k^2 dlog w_k/dz_k dz_k/dphi, by the posterior's own parameters."""
    model, params, x, keys = parts

    @jax.jit
    def slopes(params):
        bound = model.bind({"params": params})
        q = bound.encode(x)

        def total(z):
            log_p = bound.log_likelihood(bound.decode(z), x) + model.prior.log_prob(z)
            return (log_p - q.log_prob(z)).sum()

        z = q.sample(noise.fold(keys, 1), 0, K)
        return q.mu, z, jax.grad(total)(z)

    mu, z, by_z = map(np.asarray, slopes(params))
    log_w = log_weights(model, params, x, keys, K)
    v = np.exp(log_w - logsumexp(log_w, axis=0))
    by_z = -(v**2)[..., None] * by_z
    by_mu, by_logvar = by_z.sum(0), (by_z * 0.5 * (z - mu)).sum(0)
    expected = np.stack([by_mu, by_logvar], -1).mean(0).ravel()  # the head's bias: by turns
    got = gradient("dreg", *parts)["posterior"]["bias"]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


def test_what_the_source_computes_twice_is_compiled_once(parts):
    """DReG takes the products of IWAE. PIWAE weighs the draws in two ways, and so goes back through
    the decoder twice: one product more, as it has one hidden layer."""
    model, params, x, keys = parts

    def products(name):
        static = tuple(STATIC[name].items())
        lowered = compiled.lower(name, static, model, params, x, keys, HYPER, None)
        return lowered.compile().as_text().count(" dot(")

    assert products("dreg") == products("iwae")
    assert products("piwae") == products("iwae") + 1


@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_renyi_bound_is_its_formula_at_every_order(scale):
    """Against float64, at orders near 1 by the expansion to second order in 1 - alpha."""
    log_w = np.random.default_rng(0).normal(size=(7, 5)) * scale - 50.0
    bound = jax.jit(renyi_bound)
    for order in (-3.0, 0.0, 0.5, 0.9, 1.1, 2.0, 30.0):
        power = 1.0 - np.float64(np.float32(order))
        expected = log_mean_exp(power * log_w) / power
        got = bound(jnp.float32(log_w), jnp.float32(order))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    for order in np.float32([1.0, 1.0 - 6e-8, 1.0 + 1.2e-7, 1.0 - 1e-5, 1.0 + 1e-5]):
        expected = log_w.mean(0) + 0.5 * (1.0 - np.float64(order)) * log_w.var(0)
        got = bound(jnp.float32(log_w), order)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_renyi_is_iwae_at_0_the_elbo_at_1_and_falls_between(parts):
    def at(alpha, of=terms):
        return of("renyi", *parts, hyper=HYPER | {"alpha": jnp.float32(alpha)})

    np.testing.assert_allclose(at(0.0)["loss"], terms("iwae", *parts)["loss"], rtol=1e-5)
    np.testing.assert_allclose(at(1.0)["loss"], -at(1.0)["elbo"], rtol=1e-6)
    losses = np.stack([at(alpha)["loss"] for alpha in (-2, 0, 0.5, 0.999, 1, 1.001, 2, 5)])
    assert (np.diff(losses, axis=0) > 0).all()
    assert_close(at(0.0, gradient), gradient("iwae", *parts), 1e-4, 1e-5)
    one = gradient("miwae", *parts, samples=1, batches=K)
    for alpha in (1.0, 1.0 - 1e-7, 1.0 + 1e-7, 1.0 + 1e-4):
        assert_close(at(alpha, gradient), one, 1e-2, 2e-3)


@pytest.mark.parametrize("name", ["piwae", "dreg"])
def test_a_second_pass_for_another_gradient_is_compiled_once(parts, name):
    """The decoder's two matrix products forward, and what their gradients take."""
    model, params, x, keys = parts

    def products(name):
        def loss(params):
            bound = model.bind({"params": params})
            static = STATIC[name]
            return getattr(objectives, name)(bound, x, keys, HYPER, **static)["loss"].mean()

        return jax.jit(loss).lower(params).compile().as_text().count(" dot(")

    assert products(name) == products("iwae")

"""Every posterior's draws and densities, in two dimensions, through the model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from tests.margins import below, mean_is, near, within
from tests.probability.latents import MODELS, PAIRS, bits, bound, grid, keys_for, together
from vae.estimators import bounds
from vae.probability import noise, posteriors

DRAWS, EXAMPLES = 20_000, 2
PLAIN = [pair for pair in PAIRS if pair[1] in ("normal", "realnvp", "mixture", "vamp")]
LAYERED = [(name, "normal") for name in MODELS]
CASES = PLAIN + LAYERED
DENSITY = [case for case in CASES if case[0] in ("diagonal", "full_covariance")]


@functools.cache
def found():
    """Draws of each posterior with their densities, what the model says of them, and the same
    draws in part."""

    def of(case, model):
        x = bits(EXAMPLES, case[0])
        q = model.encode(x)
        joint = model.joint(q, x, keys_for(EXAMPLES), 0, DRAWS)
        z, log_q = joint.z, joint.log_q
        part, _ = model.encode(x[1:]).sample_and_log_prob(keys_for(EXAMPLES)[1:], 5, 3)
        return {
            "z": z, "log_q": log_q, "mean": q.mean, "std": q.std, "part": part,
            "log_w": joint.log_weight,
            "log_ratio": log_q - model.log_prior(z),
            "kl": joint.kl,
            "density": q.log_prob(z[:100]) if q.has_density else log_q[:100],
        }  # fmt: skip

    return together({case: functools.partial(of, case, bound(*case)) for case in CASES})


@functools.cache
def log_joint():
    """Points of a grid [G, 2], and log p(x, z) of their areas [G, EXAMPLES], for each case."""
    points, area = grid(8.0, 161)

    def of(case, model):
        x = bits(EXAMPLES, case[0])
        theta = model.decode(points)
        repeated = jnp.broadcast_to(theta[:, None], (len(points), EXAMPLES, *theta.shape[1:]))
        return model.log_likelihood(repeated, x) + model.log_prior(points)[:, None]

    joint = together({case: functools.partial(of, case, bound(*case)) for case in CASES})
    return {case: (points, values + np.log(area)) for case, values in joint.items()}


def mean_and_error(values):
    return values.mean(0), values.std(0) / np.sqrt(len(values))


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_draws_have_the_density_that_they_come_with(case):
    """E_q[g(z) / q(z)] = 1 and E_q[z g(z) / q(z)] = E_g[z] for a Gaussian g inside q."""
    result = found()[case]
    for example in range(EXAMPLES):
        z = result["z"][:, example]
        g = multivariate_normal(z.mean(0), 0.36 * np.cov(z.T))
        ratio = np.exp(g.logpdf(z) - result["log_q"][:, example])
        mean_is(ratio, 1.0)
        below(mean_and_error(ratio)[1], 0.05)
        mean_is(ratio[:, None] * (z - g.mean), 0.0)
    np.testing.assert_allclose(result["density"], result["log_q"][:100], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", PLAIN, ids="-".join)
def test_mean_and_std_are_those_of_draws(case):
    result = found()[case]
    scale = result["z"].std(0)
    # Of a flow they are those of 256 draws: to a standard error of 1 in 16 and of 1 in 23.
    near((result["z"].mean(0) - result["mean"]) / scale, 0.0, 0.2)
    near(result["std"] / scale, 1.0, 0.35)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_kl_is_the_mean_log_ratio_and_says_which_it_is(case):
    result, model = found()[case], bound(*case)
    value, error = mean_and_error(result["log_ratio"])
    closed = case in [("diagonal", "normal"), ("full_covariance", "normal")]
    given = case[0] in ("ladder", "top_down")
    expected = "analytic given the layers above" if given else "monte carlo"
    assert model.kl_estimate == ("analytic" if closed else expected)
    assert result["kl"].shape == (EXAMPLES, 2 if closed or case in LAYERED else 1)
    if closed or given:
        within(value, result["kl"].sum(-1), error)
    else:
        np.testing.assert_allclose(result["kl"].sum(-1), value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_draw_is_a_function_of_its_key_and_its_number(case):
    result = found()[case]
    np.testing.assert_allclose(result["part"][:, 0], result["z"][5:8, 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_iwae_rises_with_k_to_the_log_likelihood(case):
    log_w, (points, joint) = found()[case]["log_w"], log_joint()[case]
    log_p = logsumexp(joint, axis=0)

    def iwae(k):
        groups = log_w.reshape(-1, k, EXAMPLES)
        return mean_and_error(logsumexp(groups, axis=1) - np.log(k))

    values = [iwae(k) for k in (1, 10, 100)]
    for low, high in zip(values, values[1:], strict=False):
        assert (low[0] < high[0]).all()  # of the same draws: so it is for any
    for value, error in values:
        below((value - log_p) / error, 8.0)
    # Where q has its mass, the weights have the mean of p(x, z): their own mean, p(x), may come
    # from draws that are never seen.
    for example in range(EXAMPLES):
        z = found()[case]["z"][:, example]
        bump = multivariate_normal(z.mean(0), 0.36 * np.cov(z.T)).logpdf
        expected = logsumexp(bump(points) + joint[:, example])
        ratio = np.exp(log_w[:, example] + bump(z) - expected)
        mean_is(ratio, 1.0)
        below(mean_and_error(ratio)[1], 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("case", [("iaf", "realnvp"), ("full_covariance", "vamp")], ids="-".join)
def test_evaluation_s_iwae_is_that_of_the_same_draws_whatever_the_chunk(case):
    model, variables = bound(*case).unbind()
    x, key = bits(4), noise.key_for(0, "evaluate")
    got = [bounds.iwae(model, 7, chunk)(variables, x, key, 1) for chunk in (3, 7)]
    np.testing.assert_allclose(got[0], got[1], rtol=1e-5)
    given = model.bind(variables)
    keys = noise.example_keys(key, jnp.arange(4))

    def log_w():
        z, log_q = given.encode(x).sample_and_log_prob(keys, 0, 7)
        return given.log_likelihood(given.decode(z), x) + given.log_prior(z) - log_q

    expected = logsumexp(together({"log_w": log_w})["log_w"], axis=0) - np.log(7)
    np.testing.assert_allclose(got[0], expected, rtol=1e-4)


def test_full_covariance_s_kl_is_the_closed_form_of_the_whole():
    @jax.jit
    def parts():
        q = bound("full_covariance").encode(bits(4))
        return q.mu, q.std, q.factor, q.kl_standard_normal()

    mu, std, factor, kl = (np.asarray(part, np.float64) for part in parts())
    covariance = factor @ factor.swapaxes(1, 2)
    trace = np.trace(covariance, axis1=1, axis2=2)
    expected = 0.5 * (
        trace + np.square(mu).sum(-1) - 2 - np.log(np.linalg.det(covariance))
    )
    np.testing.assert_allclose(kl.sum(-1), expected, rtol=1e-4)
    assert (kl >= 0).all()
    np.testing.assert_allclose(np.square(std), np.diagonal(covariance, 0, 1, 2), rtol=1e-4)


def test_only_what_has_independent_latents_can_be_masked():
    assert [n for n in posteriors.__all__ if getattr(posteriors, n).maskable] == ["diagonal"]


@pytest.mark.slow
def test_gradients_are_finite_where_features_are_nothing():
    """Zero weights but the decoder's: the least that an encoder can say."""
    models_ = {name: bound(name, prior, scale=0.0) for name, prior in PAIRS if prior == "normal"}

    def of(model):
        module, weights = model.unbind()

        def loss(weights):
            given = module.bind(weights)
            z, log_q = given.encode(bits(2) * 0.0).sample_and_log_prob(keys_for(2), 0, 2)
            return (log_q - given.log_prior(z)).mean()

        return jax.grad(loss)(weights)

    for name, gradient in together(
        {name: functools.partial(of, model) for name, model in models_.items()}
    ).items():
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)), name


def test_a_full_covariance_starts_near_a_diagonal_whatever_the_size():
    features = np.random.default_rng(0).standard_normal((8, 40), np.float32)

    def first(size):
        module = posteriors.full_covariance(latent_size=size)
        q, _ = module.init_with_output(jax.random.key(1), features)
        return q.below, q.std, q.log_diagonal

    sizes = {size: functools.partial(first, size) for size in (1, 3, 50)}
    for lower, std, log_diagonal in together(sizes).values():
        assert np.abs(lower).max(initial=0.0) < 0.05
        np.testing.assert_allclose(std, np.exp(log_diagonal), atol=0.05)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.margins import near
from tests.objectives.shared import Given, evaluate, hyper, keys_for
from vae import objectives
from vae.objectives import disentangling
from vae.objectives.elbo import infer

ESTIMATORS = list(disentangling.ESTIMATORS)
tcvae = jax.jit(objectives.beta_tcvae, static_argnames=("model", "axis", "estimator"))


def posterior_draw(model, x, keys):
    return jax.jit(lambda x, keys: infer(model, x, keys)[:2])(x, keys)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mutual_information_tc_and_dimension_kl_are_the_kl_of_the_same_draw(estimator):
    values = hyper(beta=3.0, num_examples=120)
    terms, (model, x, keys) = evaluate("beta_tcvae", values, objective__estimator=estimator)
    q, z = posterior_draw(model, x, keys)
    kl = q.log_prob(z) - model.prior.log_prob(z)
    total = terms["mi"] + terms["tc"] + terms["dimension_kl"]
    np.testing.assert_allclose(total, kl, rtol=1e-4, atol=2e-5)
    if estimator != "weighted":  # which is not what is logged
        loss = terms["distortion"] + total + 2.0 * terms["tc"]
        np.testing.assert_allclose(terms["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(terms["elbo"], -(terms["distortion"] + terms["rate"]), rtol=1e-6)
    assert all(term.shape == (20,) for term in terms.values())


@pytest.mark.parametrize("estimator", ["exact", "stratified"])
def test_a_batch_that_is_the_data_set_gives_the_exact_tc(estimator):
    mu = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    model, keys = Given(3, 0.5), keys_for(6)
    z = np.asarray(posterior_draw(model, mu, keys)[1], np.float64)
    terms = tcvae(model, mu, keys, hyper(beta=1, num_examples=6), estimator=estimator)
    for i in range(6):
        p = np.exp(-0.5 * ((z[i] - mu) / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))  # [N, L]
        joint, marginals = np.log(p.prod(1).mean()), np.log(p.mean(0)).sum()
        np.testing.assert_allclose(terms["tc"][i], joint - marginals, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(terms["mi"][i], np.log(p[i]).sum() - joint, rtol=1e-4, atol=1e-5)


def test_stratified_weights_are_the_paper_s_averaged_over_which_example_is_last():
    size, total = 5, 30  # the example itself and M = 4 others
    others = size - 1
    matrices = []
    for shift in range(1, size):
        paper = np.full((size, size), 1 / others)
        np.fill_diagonal(paper, 1 / total)
        rows = np.arange(size)
        paper[rows, (rows + shift) % size] = (total - others) / (total * others)
        np.testing.assert_allclose(paper.sum(1), 1.0)
        matrices.append(paper)
    ours = np.exp(disentangling.stratified(jnp.eye(size), jnp.float32(total)))
    np.testing.assert_allclose(ours, np.mean(matrices, 0), rtol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_tc_of_a_correlated_gaussian_is_its_closed_form(estimator):
    """Means from N(0, R - s^2 I) and posteriors of variance s^2: the aggregate is N(0, R)."""
    corr, std, size = np.array([[1.0, 0.8], [0.8, 1.0]]), 0.2, 2000
    rng = np.random.default_rng(0)
    mu = rng.multivariate_normal(np.zeros(2), corr - std**2 * np.eye(2), size).astype(np.float32)
    total = size if estimator == "exact" else 50 * size
    values = hyper(beta=1, num_examples=total)
    terms = tcvae(Given(2, std), mu, keys_for(size), values, estimator=estimator)
    tc = float(terms["tc"].mean())
    near(tc, -0.5 * np.log(np.linalg.det(corr)), 0.15)


def test_the_weighted_loss_has_the_paper_s_constants():
    """log q(z_i) = log sum_j q(z_i|x_j) / (N M), for the joint and for every latent."""
    mu, total = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32), 40
    model, keys = Given(3, 0.5), keys_for(6)
    z = np.asarray(posterior_draw(model, mu, keys)[1], np.float64)
    values = hyper(beta=3, num_examples=total)
    terms = tcvae(model, mu, keys, values, estimator="weighted")
    p = np.exp(-0.5 * ((z[:, None] - mu) / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))  # [B, B, L]
    joint = np.log(p.prod(2).sum(1) / (total * 6))
    marginals = np.log(p.sum(1) / (total * 6)).sum(1)
    own = np.log(p[np.arange(6), np.arange(6)]).sum(1)
    prior = -0.5 * (z**2 + np.log(2 * np.pi)).sum(1)
    loss = own - joint + 3 * (joint - marginals) + marginals - prior
    np.testing.assert_allclose(terms["loss"], loss, rtol=1e-4)


@pytest.mark.parametrize("name", ["dip_i", "dip_ii"])
def test_dip_penalises_the_covariance_of_numpy(name):
    rng = np.random.default_rng(0)
    mu = (rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)) + 3.0).astype(np.float32)
    expected = np.cov(mu.T, bias=True)
    np.testing.assert_allclose(disentangling.covariance(mu, None), expected, rtol=1e-4, atol=1e-5)
    if name == "dip_ii":
        expected = expected + 0.3**2 * np.eye(4)
    values = hyper(off_diagonal=2.0, diagonal=5.0)
    objective = jax.jit(getattr(objectives, name), static_argnames=("model", "axis"))
    terms = objective(Given(4, 0.3), mu, keys_for(50), values)
    diagonal = np.square(np.diag(expected) - 1).sum()
    off_diagonal = np.square(expected).sum() - np.square(np.diag(expected)).sum()
    np.testing.assert_allclose(terms["diagonal"], diagonal, rtol=1e-4)
    np.testing.assert_allclose(terms["off_diagonal"], off_diagonal, rtol=1e-4)
    bound = terms["distortion"] + terms["rate"]
    loss = bound + 2.0 * terms["off_diagonal"] + 5.0 * terms["diagonal"]
    np.testing.assert_allclose(terms["loss"], loss, rtol=1e-5)
    assert all(term.shape == (50,) for term in terms.values())

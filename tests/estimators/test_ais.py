"""AIS and its reverse against closed forms: the linear-Gaussian model, and densities for HMC."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.estimators import linear_gaussian
from tests.estimators.linear_gaussian import SIGMA, D, L
from tests.margins import above, below, mean_is, near, within
from tests.probability.latents import bound
from vae.errors import UserError
from vae.estimators import ais, hmc
from vae.probability import noise

KEY = noise.key_for(0, "evaluate")
ANNEALING = ais.Annealing(300, 16, 5)


@pytest.fixture(scope="module")
def linear():
    model, params, x, log_p = linear_gaussian.linear()
    return model, {"params": params}, x[:60], log_p[:60]


@pytest.fixture(scope="module")
def found(linear):
    model, variables, x, _ = linear
    return ais.ais(model, ANNEALING)(variables, x, KEY, 30)


def test_log_p_is_that_of_the_closed_form(linear, found):
    error = found["log_p"] - linear[-1]
    below(np.square(error).mean() ** 0.5, 0.15)
    mean_is(error, 0.0, 0.02)


def test_bounds_from_both_sides_meet(linear):
    """Within 0.2 nat of each other, on examples that the model draws: 0.09, where a schedule of
    the tenth as many temperatures leaves 0.4."""
    model, variables, x, _ = linear
    both = ais.bidirectional(model, ANNEALING)(variables, np.zeros((60, D), np.float32), KEY, 30)
    gap = both["upper"] - both["lower"]
    below(np.abs(gap).mean(), 0.2)
    expected, variance = entropy(variables)
    for name in ("lower", "upper"):
        within(-both[name].mean(), expected, np.sqrt(variance / 60))


def entropy(variables):
    """-E[log p(x)] in nats, and the variance of log p(x)."""
    w = np.asarray(variables["params"]["decoder"]["Dense_0"]["kernel"], np.float64)
    covariance = w.T @ w + SIGMA**2 * np.eye(D)
    return 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1], 0.5 * D


def test_few_temperatures_bound_from_below_and_above(linear):
    """With two temperatures the bounds are loose, and on their own sides."""
    model, variables, _, _ = linear
    rough = ais.bidirectional(model, ais.Annealing(2, 1, 1))
    both = rough(variables, np.zeros((1000, D), np.float32), KEY, 1000)
    expected, variance = entropy(variables)
    below(both["lower"].mean(), -expected - 5 * np.sqrt(variance / 1000))
    above(both["upper"].mean(), -expected + 5 * np.sqrt(variance / 1000))


def test_weights_are_unbiased_whatever_the_temperatures(linear):
    """E[exp(log w)] = p(x) with few temperatures too, given enough chains."""
    model, variables, x, log_p = linear
    rough = ais.ais(model, ais.Annealing(10, 2000, 2))
    ratio = np.exp(rough(variables, x, KEY, 30)["log_p"].astype(np.float64) - log_p)
    mean_is(ratio, 1.0)
    below(ratio.std(), 0.2)


def test_rate_and_distortion_along_the_path_are_the_closed_forms(linear, found):
    """At every b the density p_b is Gaussian: its distortion, and log Z_b, are known."""
    _, variables, x, _ = linear
    w, b = (
        np.asarray(variables["params"]["decoder"]["Dense_0"][k], np.float64)
        for k in ("kernel", "bias")
    )
    for number in (0, 150, 300):
        beta = float(ANNEALING.betas[number])
        precision = np.eye(L) + beta * w @ w.T / SIGMA**2
        mean = np.linalg.solve(precision, beta * w @ (x - b).T / SIGMA**2).T
        residual = np.square(x - b - mean @ w).sum(1) + np.trace(w.T @ np.linalg.inv(precision) @ w)
        distortion = 0.5 * D * np.log(2 * np.pi * SIGMA**2) + 0.5 * residual / SIGMA**2
        log_z = (
            -0.5 * beta * D * np.log(2 * np.pi * SIGMA**2)
            - 0.5 * np.linalg.slogdet(precision)[1]
            - 0.5 * beta * np.square(x - b).sum(1) / SIGMA**2
            + 0.5 * np.einsum("nl,lm,nm->n", mean, precision, mean)
        )
        mean_is(found["distortion"][:, number] - distortion, 0.0, 0.05)
        mean_is(found["log_z"][:, number] - log_z, 0.0, 0.02)
    rate = -ANNEALING.betas * found["distortion"].mean(0) - found["log_z"].mean(0)
    assert abs(rate[0]) < 1e-6
    above(np.diff(rate[[0, 50, 150, 300]]), 0.0)


def test_hmc_leaves_its_density_and_accepts_more_of_shorter_steps():
    """Chains that start as draws of N(m, diag(s^2)) stay draws of it."""
    m, s = jnp.array([1.0, -2.0]), jnp.array([0.1, 3.0])

    def log_density(z):
        return -0.5 * jnp.square((z - m) / s).sum(-1)

    keys = noise.example_keys(KEY, jnp.arange(4))
    z = m + s * noise.normals(noise.fold(keys, 1), 0, 5000, 2)
    accepted = []
    for step in (0.3, 0.9, 1.5):
        moved, acceptance = jax.jit(hmc.transition, static_argnums=(0, 5))(
            log_density, z, noise.fold(keys, 2), jnp.full(4, step), jnp.broadcast_to(s, (4, 2)), 3
        )
        accepted.append(float(acceptance.mean()))
        u = np.asarray((moved - m) / s).reshape(-1, 2)
        within(u.mean(0), 0.0, 1 / np.sqrt(len(u)))
        within(u.var(0), 1.0, np.sqrt(2 / len(u)))
        near((np.asarray(moved) != np.asarray(z)).any(-1).mean(), accepted[-1], 0.02)
    above(-np.diff([*accepted, 0.2]), 0.0)


def test_schedules_rise_from_0_to_1():
    for name in ais.SCHEDULES:
        betas = ais.Annealing(10, 1, 1, name).betas
        assert betas[0] == 0 and betas[-1] == 1 and (np.diff(betas) > 0).all() and len(betas) == 11
    with pytest.raises(UserError, match="sigmoid"):
        ais.Annealing(10, 1, 1, "sigmoidal").betas  # noqa: B018


def test_codes_and_points_of_a_sphere_are_refused():
    model = bound("von_mises_fisher", "sphere")
    with pytest.raises(UserError, match="R\\^L"):
        ais.ais(model, ANNEALING)

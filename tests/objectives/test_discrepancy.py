import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.margins import above, below, mean_is
from tests.objectives.shared import evaluate, hyper
from vae.objectives import discrepancy

KERNELS = list(discrepancy.KERNELS)
mmd = jax.jit(discrepancy.mmd, static_argnames="kernel")


def naive(z, prior, kernel):
    """The U-statistic by a double loop."""
    size, latents = z.shape

    def k(a, b):
        square = float(((a - b) ** 2).sum())
        if kernel == "rbf":
            return np.exp(-square / (2 * latents))
        scales = (0.1, 0.2, 0.5, 1, 2, 5, 10)
        return sum(2 * latents * s / (2 * latents * s + square) for s in scales)

    total = 0.0
    for i in range(size):
        for j in range(size):
            if i != j:
                total += (k(z[i], z[j]) + k(prior[i], prior[j])) / (size * (size - 1))
            total -= 2 * k(z[i], prior[j]) / size**2
    return total


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_the_double_loop(kernel):
    rng = np.random.default_rng(0)
    z, prior = rng.normal(1.0, 2.0, (9, 4)), rng.normal(size=(9, 4))
    ours = mmd(z.astype(np.float32), prior.astype(np.float32), 4, kernel).mean()
    np.testing.assert_allclose(ours, naive(z, prior, kernel), rtol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_has_mean_zero_for_equal_distributions_and_is_positive_for_others(kernel):
    rng = np.random.default_rng(1)
    z, prior = (jnp.asarray(rng.normal(size=(400, 50, 3)), jnp.float32) for _ in range(2))
    each = jax.jit(jax.vmap(lambda a, b: mmd(a, b, 3, kernel).mean()))
    values = np.asarray(each(z, prior))
    mean_is(values, 0.0)
    below(values.min(), 0.0)  # unbiased, so not bounded by 0
    for other in (z + 0.7, 2.0 * z):
        moved = np.asarray(each(other, prior))
        above(moved.mean() * np.sqrt(len(moved)) / moved.std(), 10.0)


def test_loss_is_the_sum_of_its_named_parts():
    terms, _ = evaluate("info_vae", hyper(alpha=0.3, mmd=5.0))
    loss = terms["distortion"] + 0.7 * terms["rate"] + 4.3 * terms["mmd"]
    np.testing.assert_allclose(terms["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(terms["elbo"], -(terms["distortion"] + terms["rate"]), rtol=1e-6)
    assert all(term.shape == (20,) for term in terms.values())

    terms, _ = evaluate("wae", hyper(mmd=5.0))
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + 5.0 * terms["mmd"], rtol=1e-5)
    assert all(term.shape == (20,) for term in terms.values())


def test_info_vae_of_alpha_0_and_lambda_1_is_the_elbo():
    terms, _ = evaluate("info_vae", hyper(alpha=0.0, mmd=1.0))
    np.testing.assert_allclose(terms["loss"], -terms["elbo"], rtol=1e-6)

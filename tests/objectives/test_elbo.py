import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import build, grey_dataset, small_config
from vae import objectives
from vae.data import binarization
from vae.objectives.elbo import bound_terms
from vae.probability import noise


@pytest.fixture(scope="module")
def parts():
    program, _, first = build(small_config(), grey_dataset())
    raw = jnp.asarray(grey_dataset().splits["train"].x[:20])
    keys = noise.example_keys(jax.random.key(0), jnp.arange(20))
    x = binarization.dynamic(noise.fold(keys, 0), raw, 17)
    return program.model.bind({"params": first.params}), x, noise.fold(keys, 1)


def hyper(**values):
    return {name: jnp.float32(value) for name, value in values.items()}


def test_loss_is_the_sum_of_its_named_parts(parts):
    terms = objectives.elbo(*parts, hyper(beta=2.5))
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + 2.5 * terms["rate"], rtol=1e-6)
    np.testing.assert_allclose(terms["elbo"], -(terms["distortion"] + terms["rate"]), rtol=1e-6)
    assert all(term.shape == (20,) for term in terms.values())


def test_kl_is_summed_over_latents_and_bce_over_pixels(parts):
    model, x, keys = parts
    terms = bound_terms(model, x, keys)
    q = model.encode(x)
    kl = 0.5 * (q.mu**2 + q.std**2 - 1 - 2 * jnp.log(q.std))
    np.testing.assert_allclose(terms["rate"], kl.sum(1), rtol=1e-4)
    z = q.sample(noise.fold(keys, 1))[0]
    p = jax.nn.sigmoid(model.decode(z))
    bce = -(x * jnp.log(p) + (1 - x) * jnp.log1p(-p))
    np.testing.assert_allclose(terms["distortion"], bce.sum((1, 2, 3)), rtol=1e-4)


def test_capacity_is_on_the_batch_kl_in_nats(parts):
    terms = objectives.capacity(*parts, hyper(gamma=10.0, capacity=0.5))
    excess = abs(float(terms["rate"].mean()) - 0.5)
    np.testing.assert_allclose(terms["loss"], terms["distortion"] + 10 * excess, rtol=1e-5)

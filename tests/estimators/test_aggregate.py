"""The aggregate posterior's terms against closed forms and the identity that joins them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.estimators import linear_gaussian
from tests.margins import above, below, mean_is, near, within
from tests.probability.latents import bound
from vae.estimators import bounds
from vae.estimators.aggregate import Aggregate, measure
from vae.probability import noise

KEY = noise.key_for(0, "evaluate")


@pytest.fixture(scope="module")
def linear():
    model, params, x, _ = linear_gaussian.linear()
    return model, params, x


def with_posterior(params, kernel, bias):
    """The same weights with the encoder's outputs, mu and logvar by turns, set by hand."""
    posterior = {"kernel": jnp.float32(kernel), "bias": jnp.float32(bias)}
    return {**params, "posterior": posterior}


def test_mutual_information_and_aggregate_kl_add_up_to_the_rate(linear):
    model, params, x = linear
    found = measure(Aggregate(model), {"params": params}, x, KEY, 50, 2)
    rate = bounds.elbo(model)({"params": params}, x, KEY, 50)["rate"]
    both = found["mutual_information"] + found["aggregate_kl"]
    within(both.mean(), rate.mean(), (both.std() + rate.std()) / np.sqrt(len(x)))
    above(found["mutual_information"].mean(), 0.0)
    below(found["mutual_information"].mean(), np.log(len(x)))


def test_an_encoder_that_ignores_x_carries_nothing(linear):
    model, params, x = linear
    blind = with_posterior(params, np.zeros((6, 4)), np.array([0.5, -1.0, 0.5, -1.0]))
    found = measure(Aggregate(model), {"params": blind}, x, KEY, 64, 2)
    np.testing.assert_allclose(found["mutual_information"], 0.0, atol=1e-4)
    rate = 2 * 0.5 * (0.25 + np.exp(-1.0) + 1.0 - 1.0)
    mean_is(found["aggregate_kl"], rate)


def test_narrow_posteriors_tell_every_example(linear):
    """log N nats: all that a number from 1 to N has."""
    model, params, x = linear
    kernel = np.zeros((6, 4))
    kernel[0, 0] = kernel[1, 2] = 1.0  # mu is the first two numbers of x
    narrow = with_posterior(params, kernel, np.array([0.0, -16.0, 0.0, -16.0]))
    found = measure(Aggregate(model), {"params": narrow}, x, KEY, 64, 2)
    near(found["mutual_information"].mean(), np.log(len(x)), 0.02)


def test_the_discrepancy_is_zero_where_the_aggregate_is_the_prior(linear):
    model, params, x = linear
    prior = with_posterior(params, np.zeros((6, 4)), np.zeros(4))
    far = with_posterior(params, np.zeros((6, 4)), np.array([3.0, 0.0, 0.0, 0.0]))
    same, other = (
        measure(Aggregate(model), {"params": p}, np.tile(x, (5, 1)), KEY, 203, 2)["aggregate_mmd"]
        for p in (prior, far)
    )
    near(same.mean(), 0.0, 0.05)
    above(other.mean(), 1.0)


def test_the_density_does_not_depend_on_the_batch(linear):
    model, params, x = linear
    aggregate, z = Aggregate(model), np.ones((3, 2), np.float32)
    q = model.bind({"params": params}).encode(x)
    expected = jax.nn.logsumexp(q.log_prob(jnp.asarray(z)[:, None]), axis=1) - np.log(len(x))
    for batch in (7, 203):
        found = aggregate.log_density({"params": params}, x, z, batch)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["iaf", "chain"])
def test_where_the_density_is_not_known_the_discrepancy_is_all(name):
    model = bound(name)
    x = np.ones((20, 6), np.float32)
    found = measure(Aggregate(model.unbind()[0]), model.variables, x, KEY, 20, 2)
    assert set(found) == {"aggregate_mmd"} and np.isfinite(found["aggregate_mmd"]).all()

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae import models, objectives
from vae.configs import base
from vae.objectives.free_bits import grouped
from vae.probability import noise

SHAPE = (4, 4, 1)


def build(latent_size=4):
    config = base.get_config().model
    config.hidden, config.latent_size = (8,), latent_size
    config.likelihood = "bernoulli"
    model = models.from_config(config, SHAPE)
    params = jax.eval_shape(lambda: models.initialise(model, SHAPE))
    rng = np.random.default_rng(0)
    return model, jax.tree.map(lambda p: jnp.float32(rng.normal(size=p.shape) * 0.5), params)


@pytest.fixture(scope="module")
def batch():
    x = np.random.default_rng(1).integers(0, 2, (6, *SHAPE)).astype(np.float32)
    return jnp.asarray(x), noise.example_keys(jax.random.key(0), jnp.arange(6))


def terms(name, model, params, batch, floor, group_size, latents=None):
    bound = model.bind(models.variables(model, params, latents))
    hyper = {"free_bits": jnp.asarray(floor)}
    return getattr(objectives, name)(bound, *batch, hyper, group_size=group_size)


def kl_of(model, params, x):
    return np.asarray(model.prior.kl(model.bind({"params": params}).encode(x)))


def test_groups_are_consecutive_latents_and_the_last_may_be_smaller():
    np.testing.assert_array_equal(grouped(jnp.arange(5.0)[None], 2), [[1.0, 5.0, 4.0]])
    np.testing.assert_array_equal(grouped(jnp.arange(3.0), 1), [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(grouped(jnp.arange(3.0), 7), [3.0])


@pytest.mark.parametrize("group_size", [1, 2, 3])
def test_free_bits_are_per_group_on_the_batch_mean(batch, group_size):
    """And per example in the variant that says so; latents of one group share one floor."""
    model, params = build()
    kl = kl_of(model, params, batch[0])
    groups = [kl[:, at : at + group_size].sum(1) for at in range(0, 4, group_size)]
    floor = float(np.median([group.mean() for group in groups]))  # some above, some below
    got = terms("free_bits", model, params, batch, floor, group_size)
    expected = sum(max(floor, float(group.mean())) for group in groups)
    np.testing.assert_allclose(got["loss"] - got["distortion"], expected, rtol=1e-4)
    each = terms("free_bits_per_example", model, params, batch, floor, group_size)
    expected = sum(np.maximum(floor, group) for group in groups)
    np.testing.assert_allclose(each["loss"] - each["distortion"], expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["free_bits", "free_bits_per_example"])
def test_without_a_floor_it_is_the_elbo(batch, name):
    model, params = build()
    got = terms(name, model, params, batch, 0.0, 1)
    expected = objectives.elbo(model.bind({"params": params}), *batch, {"beta": 1.0})
    for key in ("elbo", "distortion", "rate"):  # those of beta = 1, whatever the floor
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-6)
        raised = terms(name, model, params, batch, 9.0, 1)
        np.testing.assert_array_equal(raised[key], got[key])
    np.testing.assert_allclose(got["loss"].mean(), expected["loss"].mean(), rtol=1e-6)


@pytest.mark.parametrize("name", ["free_bits", "free_bits_per_example"])
def test_a_group_under_the_floor_has_no_gradient(batch, name):
    """Of the KL; the floor is between the two groups' KL, for each example."""
    model, params = build()
    kernel = params["posterior"]["kernel"].reshape(8, 4, 2) * jnp.array([0.01, 0.01, 3, 3])[:, None]
    params["posterior"] = {"kernel": kernel.reshape(8, 8), "bias": jnp.tile(jnp.ones(2), 4) * 0.01}
    kl = np.asarray(grouped(kl_of(model, params, batch[0]), 2))
    floor = 0.1
    assert kl[:, 0].max() < floor < kl[:, 1].min()

    def got(head):
        return terms(name, model, params | {"posterior": head}, batch, floor, 2)

    def penalty(head):
        return (got(head)["loss"] - got(head)["distortion"]).mean()

    head = params["posterior"]
    def rate_of(head):
        return got(head)["rate"].mean()

    gradients = jax.jit(lambda head: [jax.grad(f)(head)["bias"] for f in (penalty, rate_of)])
    gradient, rate = (bias.reshape(2, -1) for bias in gradients(head))
    np.testing.assert_array_equal(gradient[0], 0.0)
    np.testing.assert_allclose(gradient[1], rate[1], rtol=1e-3, atol=1e-4)
    assert np.abs(rate).min() > 0


@pytest.mark.parametrize("name", ["free_bits", "free_bits_per_example"])
@pytest.mark.parametrize("group_size", [1, 2])
def test_masked_latents_count_for_nothing(batch, name, group_size):
    """Of 3 latents in a model of 8, a group of 2 is whole, one half masked, two masked."""
    small, params = build(3)
    large, shapes = build(8)
    few = terms(name, small, params, batch, 0.8, group_size)
    many = terms(name, large, models.fit(params, shapes), batch, 0.8, group_size, 3)
    for key, value in few.items():
        np.testing.assert_allclose(many[key], value, rtol=1e-5)

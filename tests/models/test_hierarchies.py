"""Models of several layers: one walk says what the parts say, whatever it is asked for."""

import functools

import jax
import numpy as np
import pytest

from tests.helpers import small_config
from tests.probability.latents import bits, bound, keys_for, together
from vae import models
from vae.errors import UserError
from vae.estimators import bounds
from vae.models.layered import merged
from vae.probability import noise
from vae.probability.distributions import Diagonal

SHAPE = (5, 7, 1)
MODELS = {
    "chain": {"model__upper_sizes": (3, 2)},
    "ladder": {"model__upper_sizes": (3, 2)},
    "top_down": {"model__filters": (4, 6, 6), "model__groups": (1, 2, 1)},
}
LATENTS = {"chain": [2, 3, 2], "ladder": [2, 3, 2], "top_down": [24, 8, 8, 2]}


@functools.cache
def model_of(name):
    config = small_config(
        model__name=name, model__latent_size=2, model__layer_hidden=(5,), model__hidden=(6,),
        **MODELS[name],
    )  # fmt: skip
    model = models.from_config(config.model, SHAPE)
    shapes = jax.eval_shape(lambda: models.initialise(model, SHAPE))
    rng = np.random.default_rng(1)
    return model, jax.tree.map(lambda p: 0.3 * rng.standard_normal(p.shape, np.float32), shapes)


def images(count):
    return np.random.default_rng(0).integers(0, 2, (count, *SHAPE)).astype(np.float32)


@functools.cache
def found():
    def of(name):
        model, params = model_of(name)
        x, keys = images(4), keys_for(4)

        def loss(params):
            given = model.bind({"params": params})
            return given.joint(given.encode(x), x, keys).log_weight.mean()

        given = model.bind({"params": params})
        q = given.encode(x)
        joint = given.joint(q, x, keys, 0, 3)
        z, log_q = q.sample_and_log_prob(keys, 0, 3)
        return {
            "joint": joint._replace(q=None), "z": z, "log_q": log_q,
            "log_prior": given.log_prior(joint.z),
            "log_likelihood": given.log_likelihood(given.decode(joint.z), x),
            "mean": q.mean, "std": q.std,
            "gradient": jax.grad(loss)(params),
        }  # fmt: skip

    return together({name: functools.partial(of, name) for name in MODELS})


@pytest.mark.parametrize("name", MODELS)
def test_one_walk_says_what_the_parts_say(name):
    result = found()[name]
    joint = result["joint"]
    for part in ("z", "log_q", "log_prior", "log_likelihood"):
        np.testing.assert_allclose(getattr(joint, part), result[part], rtol=1e-4, atol=1e-4)
    assert joint.kl.shape == (4, len(LATENTS[name]))
    assert list(model_of(name)[0].sizes) == LATENTS[name]
    assert result["mean"].shape == (4, sum(LATENTS[name])) and (result["std"] > 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_learns(name):
    for path, leaf in jax.tree_util.tree_leaves_with_path(found()[name]["gradient"]):
        assert np.isfinite(leaf).all() and np.any(leaf), jax.tree_util.keystr(path)


@pytest.mark.parametrize("name", MODELS)
def test_a_temperature_of_zero_is_the_mean_of_every_layer(name):
    model, params = model_of(name)
    given = model.bind({"params": params})

    def draws():
        return given.sample_prior(keys_for(3), 0.0), given.sample_prior(keys_for(3), 1.0)

    cold, warm = together({name: draws})[name]
    np.testing.assert_allclose(cold, cold[:1].repeat(3, 0), atol=1e-6)
    assert np.ptp(warm, axis=0).min() > 0


@pytest.mark.parametrize("name", ["chain", "ladder", "top_down"])
def test_iwae_of_a_chunk_is_that_of_the_whole(name):
    model, variables = bound(name).unbind()
    x, key = bits(4, name), noise.key_for(0, "evaluate")
    got = [bounds.iwae(model, 7, chunk)(variables, x, key, 4) for chunk in (3, 7)]
    np.testing.assert_allclose(got[0], got[1], rtol=1e-5)


def test_a_ladder_weighs_by_precision():
    """The product of two Gaussians, up to its norm."""
    evidence = Diagonal(np.float32([[1.0]]), np.log(np.float32([[0.5]])))
    prior = Diagonal(np.float32([[-2.0]]), np.log(np.float32([[2.0]])))
    q = merged(evidence, prior)
    np.testing.assert_allclose(np.exp(q.logvar), 1 / (1 / 0.5 + 1 / 2.0), rtol=1e-6)
    np.testing.assert_allclose(q.mu, (1.0 / 0.5 - 2.0 / 2.0) / (1 / 0.5 + 1 / 2.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__prior": "vamp"}, "has a prior of its own"),
        ({"model__posterior": "iaf"}, "has a posterior of its own"),
        ({"model__name": "top_down", "model__groups": (1,)}, "an entry for each level"),
        ({"model__name": "top_down", "model__dropout": 0.1}, "no dropout"),
        ({"model__name": "laddr"}, "did you mean 'ladder'"),
    ],
)
def test_what_a_hierarchy_has_no_place_for_is_refused(changes, message):
    config = small_config(**{"model__name": "ladder"} | changes)
    with pytest.raises(UserError, match=message):
        models.from_config(config.model, (8, 8, 1))


def test_maps_need_images():
    config = small_config(model__name="top_down", model__groups=(1, 1))
    with pytest.raises(UserError, match="needs images"):
        models.from_config(config.model, (16,))

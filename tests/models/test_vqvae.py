"""The VQ-VAE: nearest codes, straight-through gradients, codebooks, the prior over codes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import small_config
from tests.margins import fixed_rng, within
from tests.objectives.shared import hyper, keys_for, traced
from tests.probability.latents import together
from vae import models, objectives
from vae.errors import UserError
from vae.scores.latents import codebook
from vae.training import optimizers

SHAPE = (4, 4, 1)
KINDS = {
    "dense": {"model__latent_size": 3},
    "maps": {
        "model__encoder": "conv", "model__decoder": "conv", "model__dense": 0,
        "model__filters": (3,), "model__latent_size": 1,
    },
}  # fmt: skip
POSITIONS = {"dense": 3, "maps": 4}
CODES, SIZE = 5, 2


@functools.cache
def model_of(kind="dense", update="ema"):
    config = small_config(
        model__name="vqvae", model__codes=CODES, model__code_size=SIZE, model__hidden=(6,),
        model__codebook_update=update, model__prior_width=8, objective__name="vq", **KINDS[kind],
    )  # fmt: skip
    model = models.from_config(config.model, SHAPE)
    shapes = jax.eval_shape(lambda: models.initialise(model, SHAPE))
    rng = fixed_rng(3)
    params = jax.tree.map(lambda p: 0.7 * rng.standard_normal(p.shape, np.float32), shapes)
    if update == "ema":
        params["averages"]["counts"] = np.linspace(1.0, 3.0, CODES, dtype=np.float32)
    return model, params


def images(count=6):
    return np.random.default_rng(0).integers(0, 2, (count, *SHAPE)).astype(np.float32)


@functools.cache
def found(kind, update, decay=0.9, revive=0.0):
    model, params = model_of(kind, update)
    values = traced() | hyper(commitment=0.3, codebook_decay=decay, revive=revive)
    x, keys = images(), keys_for(6)

    def of():
        def loss(params):
            terms = objectives.vq(model.bind({"params": params}), x, keys, values)
            return terms["loss"].mean(), terms

        gradient, terms = jax.grad(loss, has_aux=True)(params)
        given = model.bind({"params": params})
        q = given.encode(x)
        joint = given.joint(q, x, keys, 0, 2)
        return {
            "terms": terms, "gradient": gradient, "raw": q.raw, "indices": q.indices,
            "quantised": q.quantised, "table": given.table(), "joint": joint._replace(q=None),
            "log_prior": given.log_prior(joint.z), "std": q.std,
        }  # fmt: skip

    return together({"found": of})["found"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("update", ["ema", pytest.param("gradient", marks=pytest.mark.slow)])
def test_codes_are_the_nearest_and_the_loss_is_the_sum_of_its_parts(kind, update):
    result = found(kind, update)
    table, raw, indices = result["table"], result["raw"], result["indices"].astype(int)
    assert raw.shape == (6, POSITIONS[kind], SIZE)
    distance = np.square(raw[..., None, :] - table).sum(-1)
    np.testing.assert_array_equal(indices, distance.argmin(-1))
    np.testing.assert_allclose(result["quantised"], table[indices], rtol=1e-5)
    terms, nearest = result["terms"], distance.min(-1).sum(-1)
    np.testing.assert_allclose(terms["commitment"], nearest, rtol=1e-3, atol=1e-4)
    expected = terms["distortion"] + terms["rate"] + 0.3 * nearest
    expected = expected + (nearest if update == "gradient" else 0.0)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -terms["distortion"] - terms["rate"], rtol=1e-5)
    share = np.bincount(indices.ravel(), minlength=CODES) / indices.size
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    np.testing.assert_allclose(terms["perplexity"], np.exp(entropy), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_posterior_is_a_point_whose_rate_is_the_prior_s(kind):
    result = found(kind, "ema")
    joint = result["joint"]
    assert joint.z.shape == (2, 6, POSITIONS[kind] * SIZE)
    np.testing.assert_array_equal(joint.z[0], joint.z[1])
    np.testing.assert_allclose(joint.z[0], result["quantised"].reshape(6, -1), rtol=1e-5)
    assert not joint.log_q.any() and not result["std"].any()
    np.testing.assert_allclose(joint.log_prior, result["log_prior"], rtol=1e-4)
    np.testing.assert_allclose(joint.kl[:, 0], -joint.log_prior[0], rtol=1e-5)


def test_the_encoder_learns_through_the_codes_as_if_they_were_its_own():
    """The gradient by the encoder's head is the decoder's by z, and the commitment's."""
    model, params = model_of("dense", "gradient")
    x, keys = images(), keys_for(6)
    values = traced() | hyper(commitment=0.3, codebook_decay=0.9, revive=0.0)

    def of():
        given = model.bind({"params": params})
        q = given.encode(x)

        def distortion(z):
            return -given.log_likelihood(given.decode(z), x).mean()

        def loss(bias):
            head = params["head"] | {"bias": bias}
            moved = model.bind({"params": params | {"head": head}})
            return objectives.vq(moved, x, keys, values)["loss"].mean()

        by_z = jax.grad(distortion)(q.quantised.reshape(6, -1)).reshape(q.raw.shape)
        expected = by_z + 0.3 * 2.0 * (q.raw - q.quantised) / 6
        return expected.sum(0).reshape(-1), jax.grad(loss)(params["head"]["bias"])

    expected, got = together({"found": of})["found"]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


def test_averages_go_to_the_running_means_of_what_was_quantised():
    """One update of their own optimiser; the rest of the model's gradient does not reach them."""
    decay = 0.9
    result, (_, params) = found("dense", "ema", decay), model_of("dense", "ema")
    gradient = jax.tree.map(np.float32, result["gradient"])
    zeros = jax.tree.map(np.zeros_like, params)
    changes = hyper(learning_rate=1e-3, weight_decay=0.1, b1=0.9, b2=0.999, eps=1e-8, clip_norm=0.0)
    first = optimizers.init(optimizers.adam, changes, params)
    moved, _ = optimizers.update(
        optimizers.adam, changes, gradient, optimizers.norm(zeros), first, params
    )
    indices, raw = result["indices"].astype(int).ravel(), result["raw"].reshape(-1, SIZE)
    one_hot = np.eye(CODES)[indices]
    old = params["averages"]
    np.testing.assert_allclose(
        moved["averages"]["counts"], decay * old["counts"] + (1 - decay) * one_hot.sum(0), rtol=1e-5
    )
    np.testing.assert_allclose(
        moved["averages"]["sums"], decay * old["sums"] + (1 - decay) * one_hot.T @ raw,
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_a_dead_code_is_put_on_a_vector_of_the_batch():
    result, (_, params) = found("dense", "ema", 0.5, 2.0), model_of("dense", "ema")
    indices, raw = result["indices"].astype(int).ravel(), result["raw"].reshape(-1, SIZE)
    counts = 0.5 * params["averages"]["counts"] + 0.5 * np.bincount(indices, minlength=CODES)
    dead = counts < 2.0
    assert dead.any() and not dead.all()
    gradient = result["gradient"]["averages"]
    after = jax.tree.map(np.subtract, params["averages"], gradient)
    np.testing.assert_allclose(after["counts"], np.where(dead, 1.0, counts), rtol=1e-4)
    for code in np.flatnonzero(dead):
        assert np.isclose(raw, after["sums"][code], atol=1e-4).all(1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_prior_sums_to_one_over_all_codes_and_its_samples_have_its_shares(kind):
    model, params = model_of(kind)
    positions, draws = POSITIONS[kind], 4000
    every = np.stack(np.meshgrid(*[np.arange(CODES)] * positions, indexing="ij"), -1)
    every = every.reshape(-1, positions).astype(np.int32)

    def of():
        given = model.bind({"params": params})
        z = given.sample_prior(keys_for(draws))
        indices = given.nearest(z.reshape(draws, positions, SIZE))
        return given.log_prob(jnp.asarray(every)), indices

    log_p, indices = together({"found": of})["found"]
    p = np.exp(log_p)
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-4)
    for position in range(positions):
        got = np.bincount(indices[:, position].astype(int), minlength=CODES) / draws
        share = np.bincount(every[:, position], weights=p, minlength=CODES)
        within(got, share, np.sqrt(share * (1 - share) / draws) + 2e-4)


def test_usage_counts_codes_and_their_perplexity():
    indices = np.array([[0, 1], [1, 1], [0, 3]])
    result, arrays = codebook(indices, 8)
    assert result["codes_used"].value == 3
    share = np.array([2, 3, 1]) / 6
    expected = np.exp(-(share * np.log(share)).sum())
    np.testing.assert_allclose(result["codebook_perplexity"].value, expected)
    assert "of 8, over 3 examples" in result["codes_used"].unit
    np.testing.assert_allclose(arrays["code_share"], np.array([2, 3, 0, 1, 0, 0, 0, 0]) / 6)


def test_vq_needs_a_codebook():
    model = models.from_config(small_config().model, SHAPE)
    params = jax.eval_shape(lambda: models.initialise(model, SHAPE))
    with pytest.raises(UserError, match="model.name=vqvae"):
        jax.eval_shape(
            lambda p: objectives.vq(model.bind({"params": p}), images(), keys_for(6), {}), params
        )

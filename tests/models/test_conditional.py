"""Conditional models: what sees the context, their densities, and few labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from tests.helpers import small_config
from tests.margins import above, below, fixed_rng, mean_is, near, within
from tests.objectives.shared import CLASSES, bits, chosen, hyper, keys_for, traced
from tests.probability.latents import grid, together
from vae import models
from vae.errors import UserError
from vae.estimators import bounds
from vae.objectives.semi_supervised import m2
from vae.probability import noise

PIXELS = 6


def model_of(prior="conditional", classifier="", encoder="mlp", shape=(PIXELS,)):
    config = small_config(
        model__hidden=(4,), model__latent_size=2, model__prior=prior, model__flow_hidden=(5,),
        model__classifier=classifier, model__encoder=encoder, model__decoder=encoder,
        model__filters=(3,), model__dense=4,
    )  # fmt: skip
    model = models.from_config(config.model, shape, context_size=CLASSES)
    shapes = jax.eval_shape(lambda: models.initialise(model, shape))
    rng = fixed_rng(1)
    return model, jax.tree.map(lambda p: 0.5 * rng.standard_normal(p.shape, np.float32), shapes)


def classes(*values):
    return np.eye(CLASSES, dtype=np.float32)[list(values)]


@pytest.mark.parametrize("encoder", ["mlp", "conv"])
def test_encoder_prior_and_decoder_see_the_context(encoder):
    shape = (4, 4, 1)
    model, params = model_of(encoder=encoder, shape=shape)
    x = np.random.default_rng(0).integers(0, 2, (1, *shape)).astype(np.float32)
    x = np.repeat(x, CLASSES, 0)

    def of(context):
        given = model.bind(models.variables(model, params, context=context))
        z = jnp.ones((CLASSES, 2))
        q = given.encode(x)
        return q.mu, q.logvar, given.decode(z), given.log_prior(z), given.decode(jnp.stack([z, z]))

    one = together({"same": lambda: of(classes(1, 1, 1)), "other": lambda: of(classes(0, 1, 2))})
    for same, other in zip(one["same"][:4], one["other"][:4], strict=True):
        np.testing.assert_allclose(same - same[:1], 0.0, atol=1e-5)
        assert np.abs(other[0] - other[1]).max() > 1e-3 < np.abs(other[1] - other[2]).max()
        np.testing.assert_allclose(other[1], same[1], rtol=1e-4, atol=1e-5)
    draws = one["other"][4]  # of several draws each example keeps its own
    np.testing.assert_allclose(draws, np.broadcast_to(one["other"][2], draws.shape), rtol=1e-4)


def test_a_conditional_prior_is_a_density_and_its_kl_is_closed():
    model, params = model_of()
    points, area = grid(12.0, 161)
    draws = 20_000

    def of():
        given = model.bind(models.variables(model, params, context=classes(*[2] * len(points))))
        log_p = given.log_prior(points)
        given = model.bind(models.variables(model, params, context=classes(*[2] * draws)))
        z = given.sample_prior(keys_for(draws))
        x = jnp.asarray(bits(1))
        given = model.bind(models.variables(model, params, context=classes(2)))
        joint = given.joint(given.encode(x), x, keys_for(1), 0, draws)
        return log_p, z, joint.kl, joint.log_q - joint.log_prior

    log_p, z, kl, ratio = together({"found": of})["found"]
    mass = np.exp(log_p) * area
    np.testing.assert_allclose(mass.sum(), 1.0, rtol=5e-3)
    mean = mass @ points
    scale = np.sqrt(mass @ (points - mean) ** 2)
    within(z.mean(0), mean, scale / np.sqrt(draws) + 0.002 * scale)  # the grid's own error
    assert kl.shape == (1, 2)
    mean_is(ratio.ravel(), kl.sum())


@pytest.mark.slow
def test_iwae_given_a_class_rises_to_the_log_likelihood_given_it():
    model, params = model_of()
    params = jax.tree.map(lambda p: 0.6 * p, params)  # where q is not far from p(z|x, c)
    x, context = bits(4), classes(0, 1, 2, 0)
    points, area = grid(9.0, 121)

    def joint():
        rows = []
        for one, c in zip(x, context, strict=True):
            c = np.tile(c, (len(points), 1))
            given = model.bind(models.variables(model, params, context=c))
            many = jnp.broadcast_to(jnp.asarray(one), (len(points), PIXELS))
            rows.append(given.log_likelihood(given.decode(points), many) + given.log_prior(points))
        return jnp.stack(rows)

    log_p = logsumexp(together({"joint": joint})["joint"], axis=1) + np.log(area)
    key = noise.key_for(0, "evaluate")
    repeated, contexts = np.repeat(x, 50, 0), np.repeat(context, 50, 0)
    variables = models.variables(model, params)
    got = [
        bounds.iwae(model, k)(variables, repeated, key, 100, contexts).reshape(4, 50)
        for k in (1, 10, 1000)
    ]
    means = [values.mean(1) for values in got]
    above(np.diff(means, axis=0), 0.0)
    below((means[2] - log_p) / got[2].std(1) * np.sqrt(50), 6.0)
    near(means[2], log_p, 0.15)


def test_m2_is_its_formula():
    """Class by class, by the plain bound of the model given that class."""
    model, params = model_of("normal", "mlp")
    x, keys = bits(6), keys_for(6)
    context = classes(0, 1, 2, 0, 1, 2) * np.array([1, 1, 1, 0, 0, 0], np.float32)[:, None]
    values = traced() | hyper(labelled=0.5, classification=3.0)

    def of():
        given = model.bind(models.variables(model, params, context=context))
        terms = m2(given, x, keys, values)
        each = []
        for number in range(CLASSES):
            rows = np.tile(classes(number), (6, 1))
            given = model.bind(models.variables(model, params, context=rows))
            each.append(chosen("elbo")(given, x, keys, {"beta": 1.0})["elbo"])
        return terms, jnp.stack(each, 1), given.classify(x)

    terms, each, log_q = together({"found": of})["found"]
    np.testing.assert_allclose(np.exp(log_q).sum(1), 1.0, rtol=1e-5)
    negative = -each + np.log(CLASSES)  # L(x, y)
    known = negative[np.arange(3), np.arange(3)]
    entropy = -(np.exp(log_q) * log_q).sum(1)
    unknown = (np.exp(log_q) * negative).sum(1) - entropy
    cross = -log_q[np.arange(3), np.arange(3)]
    np.testing.assert_allclose(terms["loss"][:3], 0.5 * known + 3.0 * cross, rtol=1e-4)
    np.testing.assert_allclose(terms["loss"][3:], unknown[3:], rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -np.r_[known, unknown[3:]], rtol=1e-4)
    total = terms["distortion"] + terms["rate"] + terms["class_rate"]
    np.testing.assert_allclose(total, -terms["elbo"], rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "size", "message"),
    [
        ({"model__prior": "conditional"}, 0, "set data.context"),
        ({"model__prior": "vamp"}, 3, "no context of their own"),
        ({"model__classifier": "mlp"}, 0, "set data.context=labels"),
        ({"model__name": "ladder"}, 3, "takes no context"),
        ({"model__prior": "conditional", "model__regressor": "mlp"}, 3, "is to predict"),
    ],
)
def test_what_has_no_context_or_cannot_have_one_is_refused(changes, size, message):
    with pytest.raises(UserError, match=message):
        models.from_config(small_config(**changes).model, (PIXELS,), context_size=size)

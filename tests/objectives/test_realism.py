"""`perceptual`: what each of its terms is, whom it teaches, and that the bound stays the bound."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import grey_dataset, small_config
from tests.margins import fixed_rng
from tests.objectives.shared import build_model, hyper, keys_for, traced
from vae import models
from vae.errors import UserError
from vae.objectives import elbo, realism
from vae.objectives.elbo import draw
from vae.training import chosen_objective, feature_maps, schedules

COUNT, SHAPE, PIXELS = 8, (8, 8, 1), (6,)
OFF = {
    "beta": 1.0, "feature": 0.0, "adversarial": 0.0, "r1": 0.0, "commitment": 0.25,
    "code_entropy": 0.1,
}  # fmt: skip


@functools.cache
def setting(shape=SHAPE, maps=None, **changes):
    """Objective, model and random weights, with a linear critic on vectors."""
    config = small_config(
        model__hidden=(4,), objective__name="perceptual", **{
            "objective__critic_filters": (3,) if len(shape) > 1 else (), **changes
        },
    )  # fmt: skip
    model = build_model(config, shape)
    shapes = jax.eval_shape(lambda: models.initialise(model, shape))
    rng = fixed_rng(1)
    params = jax.tree.map(lambda p: 0.4 * rng.normal(size=p.shape).astype(np.float32), shapes)
    return chosen_objective.build(config, maps), model, params


def bits(shape=SHAPE):
    return fixed_rng(2).integers(0, 2, (COUNT, *shape)).astype(np.float32)


def terms(values=None, shape=SHAPE, maps=None, params=None, **changes):
    objective, model, known = setting(shape, maps, **changes)
    values = traced() | hyper(**(OFF | (values or {})))
    bound = model.bind({"params": params or known})
    return objective(bound, bits(shape), keys_for(COUNT), values)


def slopes(values=None, term="loss", **changes):
    _, _, params = setting(changes.get("shape", SHAPE), **{
        key: value for key, value in changes.items() if key != "shape"
    })  # fmt: skip
    return jax.jit(jax.grad(lambda p: terms(values, params=p, **changes)[term].mean()))(params)


def test_with_every_weight_at_zero_it_is_the_elbo():
    _, model, params = setting()
    values = traced() | hyper(**OFF)

    def plain(params):
        return elbo(model.bind({"params": params}), bits(), keys_for(COUNT), values)

    ours, theirs = terms(), plain(params)
    for name in ("loss", "elbo", "distortion", "rate"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    other = jax.jit(jax.grad(lambda p: plain(p)["loss"].mean()))(params)
    for one, two in zip(jax.tree.leaves(slopes()), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("adversary", ["hinge", "non_saturating"])
def test_each_side_teaches_its_own(adversary):
    """The generator's loss has no gradient to the critic, the critic's none to the model; and the
    critic learns what it would learn alone, whatever the weight."""
    changes = {"objective__adversary": adversary}
    found = {
        name: slopes({"adversarial": 1.0}, term=name, **changes)
        for name in ("realism", "critic_loss")
    }
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(found["realism"]["critic"]))
    learns = {name: branch for name, branch in found["critic_loss"].items() if name != "critic"}
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(learns))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(found["realism"]))
    for weight in (0.5, 3.0):
        whole = slopes({"adversarial": weight}, **changes)["critic"]
        alone = found["critic_loss"]["critic"]
        for one, two in zip(jax.tree.leaves(whole), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-7)


def test_a_linear_critic_has_the_games_values():
    """D(x) = w x + b: both games by hand, and the penalty r1 / 2 |w|^2."""
    _, model, params = setting(PIXELS)
    w, b = (np.asarray(params["critic"]["Dense_0"][key], np.float64) for key in ("kernel", "bias"))
    x = bits(PIXELS)
    bound = model.bind({"params": params})
    joint = draw(bound, x, keys_for(COUNT))
    made = np.asarray(model.likelihood.mean(joint.theta[0]), np.float64)[..., 0]
    real, fake = (x @ w + b)[:, 0], (made @ w + b)[:, 0]
    soft = lambda a: np.log1p(np.exp(a))  # noqa: E731
    expected = {
        "hinge": (-fake, 0.5 * (np.maximum(0, 1 - real) + np.maximum(0, 1 + fake))),
        "non_saturating": (soft(-fake), 0.5 * (soft(-real) + soft(fake))),
    }
    for adversary, (generator, critic) in expected.items():
        for r1 in (0.0, 3.0):
            found = terms({"adversarial": 1.0, "r1": r1}, PIXELS, objective__adversary=adversary)
            np.testing.assert_allclose(found["realism"], generator, rtol=1e-4)
            np.testing.assert_allclose(
                found["critic_loss"], critic + 0.5 * r1 * np.square(w).sum(), rtol=1e-4
            )


@pytest.mark.parametrize("pixels, power", [("l1", 1), ("l2", 2)])
def test_pixels_are_of_the_mean(pixels, power):
    _, model, params = setting()
    x = bits()
    bound = model.bind({"params": params})
    joint = draw(bound, x, keys_for(COUNT))
    apart = np.abs(np.asarray(model.likelihood.mean(joint.theta[0])) - x) ** power
    found = terms(objective__pixels=pixels)
    np.testing.assert_allclose(found["pixel"], apart.sum((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found["loss"], found["pixel"] + found["rate"], rtol=1e-5)


def test_the_adaptive_weight_makes_both_gradients_as_long():
    """At what the decoder gives: the weighted one is as long as that of the pixels."""
    _, model, params = setting()
    x = bits()
    bound = model.bind({"params": params})
    theta = draw(bound, x, keys_for(COUNT)).theta[0]

    def length(term):
        return np.sqrt(np.square(jax.grad(term)(theta)).sum())

    pixel = length(lambda t: -model.likelihood.log_prob(t, x).sum())
    real = length(lambda t: -model.apply(
        {"params": params}, model.likelihood.mean(t), method="judge_images"
    ).mean((1, 2)).sum())  # fmt: skip
    found, size = float(terms({"adversarial": 1.0})["adaptive"][0]), np.prod(SHAPE)
    assert found * size == pytest.approx(pixel / real, rel=1e-2)  # 1e-4 stands beside the divisor


def test_features_are_compared_on_the_sphere():
    """Of one map with two places of two numbers: (1, 0) and (0, 1) are 2 apart, lengths count for
    nothing, and the mean is over places."""
    made = jnp.array([[[3.0, 0.0], [1.0, 1.0]]])
    real = jnp.array([[[0.0, 7.0], [5.0, 5.0]]])
    assert float(realism.apart_in(lambda x: [x], made, real)[0]) == pytest.approx(1.0, rel=1e-5)
    assert float(realism.apart_in(lambda x: [x, x], made, real)[0]) == pytest.approx(2.0, rel=1e-5)
    assert float(realism.apart_in(lambda x: [x], real, real)[0]) == 0.0


def test_the_critic_waits_for_its_start():
    values = hyper(
        beta=1.0, beta_epochs=0.0, capacity=0.0, capacity_epochs=0.0, warmup_epochs=0.0,
        learning_rate=1.0, adversarial=0.7, critic_start=2.0,
    )  # fmt: skip
    found = [
        float(schedules.at_step(values, np.int32(s), 10, 5, "constant", "constant")["adversarial"])
        for s in (0, 19, 20, 45)
    ]
    np.testing.assert_allclose(found, [0.0, 0.0, 0.7, 0.7])
    waiting = jax.tree.leaves(slopes({"adversarial": 0.0})["critic"])
    assert not any(np.any(leaf) for leaf in waiting)
    for name in ("realism", "adaptive", "critic_loss"):
        assert not np.any(terms()[name])


def test_means_count_once_a_number_of_the_image():
    """loss = pixel + rate + P (feature + adversarial * w * realism), and P is 64 here."""
    values = {"feature": 0.3, "adversarial": 0.7}
    found = {name: np.asarray(a, np.float64) for name, a in terms(values, maps=means).items()}
    extra = 0.3 * found["feature"] + 0.7 * found["adaptive"] * found["realism"]
    np.testing.assert_allclose(
        found["loss"], found["pixel"] + found["rate"] + 64 * extra, rtol=1e-5
    )
    assert np.any(found["feature"]) and np.any(found["realism"])


def means(x):
    return [jnp.stack([x.mean((1, 2, 3)), jnp.ones(len(x))], -1)]


def test_the_classifier_of_the_data_gives_features(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dataset = grey_dataset(num=60, shape=SHAPE)
    config = small_config(objective__name="perceptual", objective__features="classifier")
    maps = feature_maps.of(config, dataset)
    x = bits()
    found = maps(x)
    assert [each.shape for each in found] == [(COUNT, 4, 4, 16), (COUNT, 2, 2, 32), (COUNT, 128)]
    gradient = jax.grad(lambda x: sum(each.sum() for each in maps(x)))(x)
    assert np.isfinite(gradient).all() and np.any(gradient)
    again = feature_maps.of(config, dataset)(x)  # from the cache
    for one, two in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "name, said",
    [("vgg", "is neither classifier nor package.module:name"), ("no_such:thing", "cannot be impo")],
)
def test_features_that_are_not_there_are_refused(name, said):
    config = small_config(objective__name="perceptual", objective__features=name)
    with pytest.raises(UserError, match=said):
        feature_maps.of(config, grey_dataset())


def test_running_means_that_nothing_moves_are_refused():
    config = small_config(objective__name="perceptual", model__name="vqvae")
    with pytest.raises(UserError, match="set model.codebook_update=gradient"):
        chosen_objective.check(config, 1000)
    config.model.codebook_update = "gradient"
    chosen_objective.check(config, 1000)

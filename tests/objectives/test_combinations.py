"""Objectives, likelihoods and networks are chosen independently.

An objective knows of a likelihood no more than its log probability: each is run with a third of the
others, every network with every likelihood, and every objective in bfloat16.
"""

from pathlib import Path

import jax
import numpy as np
import pytest

from tests.helpers import small_config
from tests.objectives.shared import (
    NEEDS,
    bind,
    bits,
    build_model,
    chosen,
    context_for,
    keys_for,
    model_and_params,
    traced,
)
from vae import models, networks, objectives
from vae.errors import UserError
from vae.models import build
from vae.probability import likelihoods, noise
from vae.training import chosen_objective as setting
from vae.training import setup

# Nothing is run twice: what takes time here is to compile.
QUICK = {"xla_backend_optimization_level": 0}
LEVELS = 5
FAST = ("bernoulli", "gaussian_learned")
LIKELIHOODS = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
    for name in likelihoods.__all__
]
TRAINING_ALL = [name for name in objectives.__all__ if name != "supervised"]  # all of the model
VALUES = {  # what a likelihood's first kind of data looks like
    "binary": lambda rng, shape: rng.integers(0, 2, shape),
    "grey": lambda rng, shape: rng.integers(0, LEVELS, shape) / (LEVELS - 1),
    "real": lambda rng, shape: rng.normal(size=shape),
    "counts": lambda rng, shape: rng.poisson(2.0, shape),
    "tokens": lambda rng, shape: rng.integers(0, LEVELS, shape),
    "columns": lambda rng, shape: np.where(rng.random(shape) < 0.3, np.nan, rng.normal(size=shape)),
}


def config_for(objective, likelihood, **changes):
    settings = {
        "model__hidden": (4,),
        "model__latent_size": 2,
        "model__filters": (2,),
        "model__dense": 4,
        "objective__name": objective,
        "objective__samples": 2,
        "objective__batches": 2,
        "objective__critic_hidden": (3,),
        **NEEDS.get(objective, {}),
        "model__likelihood": likelihood,
    }
    return small_config(**settings | changes)


def examples(likelihood, shape):
    kind = getattr(likelihoods, likelihood).kinds[0]
    shape = shape[:1] if kind in ("counts", "tokens", "columns") else shape
    values = VALUES[kind](np.random.default_rng(0), (4, *shape))
    return values.astype(np.float32)


def gradient_of(config, x):
    """A function that gives the loss and its gradient at random parameters; it has to be jitted."""
    model = build_model(config, x.shape[1:], levels=LEVELS)
    context = context_for(config, len(x))
    shapes = jax.eval_shape(lambda: models.initialise(model, x.shape[1:]))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda p: 0.1 * rng.standard_normal(p.shape, np.float32), shapes)
    objective = setting.build(config)
    hyper = setup.hyperparameters(config) | {"num_examples": np.float32(len(x))}
    keys = noise.example_keys(jax.random.key(0), np.arange(len(x)))

    def loss(params):
        bound = model.bind(models.variables(model, params, context=context))
        return objective(bound, x, keys, hyper)["loss"].mean()

    return lambda: jax.value_and_grad(loss)(params)


def run(functions):
    """The results of several functions, compiled as one: what they share is compiled once."""
    together = jax.jit(
        lambda: {name: function() for name, function in functions.items()}, compiler_options=QUICK
    )
    return jax.device_get(together())


def assert_learns(loss, gradient):
    leaves = jax.tree.leaves(gradient)
    assert np.isfinite(loss) and all(np.isfinite(leaf).all() for leaf in leaves)
    assert all(leaf.dtype == np.float32 for leaf in leaves)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient["encoder"]))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient["decoder"]))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_objectives_go_with(likelihood, record_property):
    x = examples(likelihood, (2, 2, 1))
    special = ("elbo", "sigma_vae", "supervised")  # the last trains the classifier alone
    others = [name for name in objectives.__all__ if name not in special]
    names = ["elbo", *others[likelihoods.__all__.index(likelihood) % 3 :: 3]]
    names += ["sigma_vae"] if likelihood == "gaussian_learned" else []
    functions = {name: gradient_of(config_for(name, likelihood), x) for name in names}
    for name, result in run(functions).items():
        assert_learns(*result)
        record_property("combination", f"{name}|{likelihood}|ran")
    if likelihood != "gaussian_learned":
        with pytest.raises(UserError, match="gaussian_learned"):
            jax.eval_shape(gradient_of(config_for("sigma_vae", likelihood), x))
        record_property("combination", f"sigma_vae|{likelihood}|refused")


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_networks_go_with(likelihood, record_property):
    x = examples(likelihood, (4, 4, 1))
    changes = {
        name: {"model__encoder": name, "model__decoder": name} for name in networks.encoders.__all__
    }
    if likelihood != "categorical_tokens":
        with pytest.raises(UserError, match="are for tokens"):
            gradient_of(config_for("elbo", likelihood, **changes.pop("gru")), x)
        record_property("combination", f"gru|{likelihood}|refused")
    else:
        with pytest.raises(UserError, match=r"model.hidden=\(\) has no width for a gru"):
            gradient_of(config_for("elbo", likelihood, model__hidden=(), **changes["gru"]), x)
    if x.ndim == 2:
        for name in ("attention_resnet", "conv", "resnet"):
            with pytest.raises(UserError, match="needs images"):
                gradient_of(config_for("elbo", likelihood, **changes.pop(name)), x)
            record_property("combination", f"{name}|{likelihood}|refused")
    functions = {
        name: gradient_of(config_for("elbo", likelihood, **change), x)
        for name, change in changes.items()
    }
    for name, result in run(functions).items():
        assert_learns(*result)
        record_property("combination", f"{name}|{likelihood}|ran")


@pytest.mark.slow
def test_every_objective_computes_in_bfloat16(record_property):
    """The networks' products alone: loss and gradients are float32, close to those of float32."""
    losses = {}
    for dtype in ("float32", "bfloat16"):
        functions = {}
        for name in TRAINING_ALL:
            likelihood = "gaussian_learned" if name == "sigma_vae" else "bernoulli"
            config = config_for(name, likelihood, model__dtype=dtype)
            functions[name] = gradient_of(config, examples(likelihood, (2, 2, 1)))
        losses[dtype] = run(functions)
    for name, (loss, gradient) in losses["bfloat16"].items():
        assert_learns(loss, gradient)
        assert loss != losses["float32"][name][0]
        np.testing.assert_allclose(loss, losses["float32"][name][0], rtol=0.03, atol=0.03)
        record_property("combination", f"{name}|bfloat16|ran")


@pytest.mark.slow
def test_a_masked_model_is_the_smaller_one(record_property):
    """A model of 5 latents with 3 of them unmasked against the model of 3: to rounding."""
    x, keys, values = bits(8), keys_for(8, 1), traced()
    settings = {"objective__samples": 2, "objective__batches": 2, "objective__group_size": 2}
    settings["objective__estimator"] = "weighted"  # whose weights do not add up to 1

    def gradients_at(size, latents):
        def of(name):
            objective, (model, shaped) = chosen(name, **settings), model_and_params(size, name)
            params = models.fit(model_and_params(3, name)[1], shaped)

            def loss(params):
                bound = bind(name, model, params, len(x), latents)
                terms = objective(bound, x, keys, values)
                return terms["loss"].mean(), terms

            return lambda: jax.grad(loss, has_aux=True)(params)

        return run({name: of(name) for name in TRAINING_ALL if name != "vq"})

    small, large = gradients_at(3, None), gradients_at(5, 3)
    for name, (expected, terms) in small.items():
        got, large_terms = large[name]
        for term, value in terms.items():
            np.testing.assert_allclose(large_terms[term], value, rtol=1e-5, atol=2e-5)
        cut = models.fit(got, expected)
        for a, b in zip(jax.tree.leaves(cut), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
        outside = jax.tree.map(np.subtract, got, models.fit(cut, got))
        assert all(not np.any(leaf) for leaf in jax.tree.leaves(outside))
        record_property("combination", f"{name}|masked population|ran")


def test_the_guide_to_models_names_each():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text()
    assert [name for name in build.KINDS if f"| `{name}` |" not in guide] == []

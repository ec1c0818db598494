"""Objectives of tables with holes: where nothing is missing they are those without a mask, bit for
bit, and where a column is missing those of a model that never had it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import small_config
from tests.objectives.shared import chosen, hyper, keys_for
from vae import models
from vae.columns import Column
from vae.probability import likelihoods

COLUMNS = (
    Column(scale=3.0), Column("categorical", ("a", "b", "c")), Column("poisson"), Column("beta"),
    Column("bernoulli", ("n", "y")), Column("log_normal"), Column("student_t"),
)  # fmt: skip
OBJECTIVES = ("elbo", "iwae")


@dataclasses.dataclass(frozen=True)
class Unmasked(likelihoods.columns):
    """The same sum without a look for what is missing."""

    def log_prob(self, theta, x):
        parts = [g.kind.log_prob(x[..., g.at, 0], *g.parts(theta[..., 0])) for g in self.groups]
        return jnp.concatenate(parts, -1).sum(-1)


def table(count=12):
    rng = np.random.default_rng(0)
    made = [
        rng.integers(len(column.levels), size=count) if column.levels
        else rng.poisson(3.0, count) if column.kind == "poisson" else rng.normal(size=count)
        for column in COLUMNS
    ]  # fmt: skip
    return np.stack(made, 1).astype(np.float32)


def model_of(columns):
    config = small_config(model__hidden=(5,), model__likelihood="columns")
    model = models.from_config(config.model, (len(columns),), columns=columns)
    shapes = jax.eval_shape(lambda: models.initialise(model, (len(columns),)))
    rng = np.random.default_rng(1)
    return model, jax.tree.map(lambda p: np.float32(0.4 * rng.normal(size=p.shape)), shapes)


def terms(model, params, x, name):
    """The objective's terms of each example, and the gradient of their sum."""
    objective = chosen(name, objective__samples=4)

    @jax.jit
    def both(params, x, keys):
        def total(params):
            bound = model.bind(models.variables(model, params))
            found = objective(bound, x, keys, hyper(beta=1.0))
            return found["loss"].sum(), found

        (_, found), slope = jax.value_and_grad(total, has_aux=True)(params)
        return found, slope

    return both(params, x, keys_for(len(x)))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_with_nothing_missing_an_objective_is_the_one_without_a_mask(name):
    model, params = model_of(COLUMNS)
    unmasked = dataclasses.replace(model, likelihood=Unmasked(columns=COLUMNS))
    found, slope = terms(model, params, table(), name)
    expected, plain = terms(unmasked, params, table(), name)
    assert set(found) == set(expected) and np.isfinite(found["loss"]).all()
    for term, values in expected.items():
        np.testing.assert_array_equal(found[term], values, err_msg=term)
    # Gradients are sums over examples, in an order that the compiler chooses for each program.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), slope, plain)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_missing_cell_takes_its_column_out_of_the_objective(name):
    """The others' terms stay, and no gradient reaches what only that column has."""
    model, params = model_of(COLUMNS)
    x, holed = table(), table()
    holed[:, 0] = np.nan
    found, slope = terms(model, params, holed, name)
    assert all(np.isfinite(values).all() for values in found.values())
    whole, _ = terms(model, params, x, name)
    assert np.all(np.asarray(found["loss"]) != np.asarray(whole["loss"]))
    group = next(group for group in model.likelihood.groups if 0 in group.at)
    own = group.first + group.outputs * list(group.at).index(0)
    assert not np.any(slope["decoder"]["Dense_1"]["bias"][own])
    assert np.any(slope["decoder"]["Dense_1"]["bias"][own + 1 :])
    assert not np.any(slope["likelihood"][0])

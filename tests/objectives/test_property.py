"""Latents that have to tell the context, which the model is not given."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import small_config
from tests.objectives.shared import bind, bits, evaluate, hyper, model_and_params
from vae import models
from vae.errors import UserError
from vae.objectives.elbo import infer
from vae.training import chosen_objective as setting

SETTINGS = hyper(beta=0.5, regression=3.0)


def test_the_loss_is_the_bound_and_the_squared_error_of_what_z_tells():
    found, (bound, x, keys) = evaluate("property_vae", SETTINGS)
    _, z, terms = infer(bound, x, keys)
    squared = 0.5 * np.square(np.asarray(bound.context) - np.asarray(bound.predict(z))).sum(-1)
    np.testing.assert_allclose(found["squared_error"], squared, rtol=1e-4)
    expected = terms["distortion"] + 0.5 * terms["rate"] + 3.0 * squared
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(found["elbo"], -(terms["distortion"] + terms["rate"]), rtol=1e-4)


def test_a_context_that_is_predicted_is_given_to_nothing():
    model, params = model_and_params(name="property_vae")
    x, z = jnp.asarray(bits(4)), jnp.ones((4, 3))

    def of(context):
        bound = model.bind(models.variables(model, params, None, context))
        return bound.encode(x).mean, bound.decode(z)

    zeros, ones = of(jnp.zeros((4, 3))), of(jnp.ones((4, 3)))
    assert all((a == b).all() for a, b in zip(zeros, ones, strict=True))
    assert not model.conditional


def test_what_a_mask_takes_away_is_not_predicted_from():
    model, params = model_and_params(name="property_vae")
    bound = bind("property_vae", model, params, 2, latents=2)
    one, two = jnp.ones((2, 3)), jnp.ones((2, 3)).at[:, 2].set(7.0)
    assert (bound.predict(one) == bound.predict(two)).all()
    assert (bound.predict(one) != bound.predict(one.at[:, 0].set(7.0))).any()


@pytest.mark.parametrize(
    "changes",
    [{"objective__name": "property_vae"}, {"model__regressor": "mlp", "data__context": "labels"}],
)
def test_objective_and_regressor_go_together(changes):
    config = small_config(**changes)
    with pytest.raises(UserError, match="go together"):
        setting.check(config, 100)

"""What objectives state of themselves is what they do."""

import jax
import numpy as np
import pytest

from tests.helpers import small_config
from tests.objectives.shared import (
    NEEDS,
    bind,
    bits,
    chosen,
    context_for,
    hyper,
    keys_for,
    model_and_params,
    traced,
)
from vae import models, objectives
from vae.errors import UserError
from vae.objectives import facts
from vae.training import chosen_objective as setting


@pytest.mark.parametrize("name", objectives.__all__)
def test_the_terms_that_an_objective_has_are_those_that_it_declares(name):
    objective, (model, params) = chosen(name), model_and_params(name=name)

    def terms(params, x, keys):
        return objective(bind(name, model, params, 4), x, keys, traced())

    found = jax.eval_shape(terms, params, bits(4), keys_for(4))
    declared = facts.of(getattr(objectives, name)).terms
    schedules = {"capacity"} & {name}  # logged by that name, and no term
    assert set(found) == set(facts.SHARED) | (set(declared) - schedules)


def test_a_function_that_states_nothing_needs_nothing():
    needs = facts.of(objectives.elbo)
    assert needs == facts.of(None) == facts.Facts()
    assert facts.titles(objectives.elbo) == facts.titles(None)


@pytest.mark.parametrize("name", objectives.__all__)
def test_halves_of_a_batch_are_the_batch_unless_the_objective_says_that_it_couples(name):
    """At a floor and a capacity among others that meet the rates of these examples."""
    objective, (model, params) = chosen(name), model_and_params(name=name)
    x = bits(20)
    context = context_for(small_config(**NEEDS.get(name, {})), 20)

    @jax.jit
    def means(params, x, context, keys, values):
        bound = model.bind(models.variables(model, params, None, context))
        terms = objective(bound, x, keys, traced() | values)
        return {name: term.mean() for name, term in terms.items()}

    def off(value):
        given = hyper(capacity=value, free_bits=value, adversarial=1.0)
        parts = [
            means(params, x[rows], None if context is None else context[rows],
                  keys_for(20)[rows], given)
            for rows in (slice(10), slice(10, 20), slice(20))
        ]  # fmt: skip
        first, second, whole = (np.array(list(part.values())) for part in parts)
        return np.max(np.abs((first + second) / 2 - whole) / (1.0 + np.abs(whole)))

    largest = max(map(off, np.geomspace(0.01, 10.0, 100)))
    couples = facts.of(getattr(objectives, name)).couples
    assert largest > 1e-4 if couples else largest < 1e-5


def test_titles_have_units_nats_unless_another_is_said():
    @facts.states(terms={"one": "One", "two": ("Two", ""), "three": ("Three", "bits")})
    def some():
        """Nothing."""

    titles = facts.titles(some)
    assert list(titles) == ["elbo", "loss", "distortion", "rate", "one", "two", "three"]
    assert titles["elbo"] == "ELBO (nats)" and titles["one"] == "One (nats)"
    assert titles["two"] == "Two" and titles["three"] == "Three (bits)"


@pytest.mark.parametrize("name", [name for name in NEEDS if name != "sigma_vae"])
def test_an_objective_without_the_part_that_it_trains_is_refused(name):
    setting.check(small_config(objective__name=name, **NEEDS[name]), 100)
    with pytest.raises(UserError, match=f"objective.name='{name}'"):
        setting.check(small_config(objective__name=name), 100)


@pytest.mark.parametrize("name", ["vq", "m2", "supervised", "property_vae"])
def test_so_is_a_model_without_it_where_the_function_is_called(name):
    model, _ = model_and_params()
    with pytest.raises(UserError, match=f"objective.name='{name}' trains "):
        getattr(objectives, name)(model, bits(2), keys_for(2), traced())


def test_a_codebook_is_trained_by_nothing_else():
    config = small_config(objective__name="iwae", model__name="vqvae")
    with pytest.raises(UserError, match="trained by vq, and by nothing else"):
        setting.check(config, 100)


def test_the_critic_is_built_from_the_keys_that_its_builder_names():
    config = small_config(objective__name="factor_vae", objective__critic_hidden=(7, 5))
    assert setting.critic(config).hidden == (7, 5)
    assert setting.critic(small_config(objective__name="elbo")) is None

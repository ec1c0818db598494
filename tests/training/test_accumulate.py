"""A batch in parts is the batch, where examples do not meet; where they do, it is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import grey_dataset, last_state, small_config
from tests.objectives.shared import NEEDS
from tests.training.test_population import close, members
from tests.training.test_sharding import run, trained
from tests.training.test_step import leaves_close
from vae import objectives
from vae.data import context
from vae.errors import UserError
from vae.models import initialise
from vae.networks import encoders
from vae.objectives import facts
from vae.probability import noise
from vae.training import chosen_objective, setup, step
from vae.training.population import Group

SGD = {"optimizer__name": "sgd", "optimizer__learning_rate": 1e-3}
COUPLED = [name for name in objectives.__all__ if facts.of(getattr(objectives, name)).couples]
SEPARATE = [name for name in objectives.__all__ if name not in COUPLED]


def slopes(name, counts):
    """Gradient and terms of 100 examples, in so many parts each."""
    dataset = context.attach(grey_dataset(), "labels", labelled=90, share=0.5)
    batch = {k: jnp.asarray(v[-100:]) for k, v in dataset.splits["train"].arrays().items()}
    rng, found = np.random.default_rng(0), []
    for count in counts:
        config = small_config(
            objective__name=name, objective__samples=3, objective__batches=2, model__hidden=(8,),
            model__dropout=0.3, train__batch_size=100, train__accumulate=count,
            **NEEDS.get(name, {}),
        )  # fmt: skip
        program = setup.program(config, dataset if config.data.context else grey_dataset())
        hyper = setup.hyperparameters(config) | {"num_examples": jnp.float32(120)}
        if not found:
            shapes = jax.eval_shape(lambda model=program.model: initialise(model, (4, 4, 1)))
            params = jax.tree.map(lambda p: np.float32(0.3 * rng.normal(size=p.shape)), shapes)
        slope = jax.jit(
            lambda params, batch, program=program, hyper=hyper: step.gradients(
                params, program, hyper, batch,
                noise.example_keys(jax.random.key(7), jnp.arange(100)), None,
            )
        )  # fmt: skip
        found.append(slope(params, batch))
    return found


@pytest.mark.parametrize("name", ["elbo", "m2"])
def test_four_parts_of_25_are_the_batch_of_100(name):
    whole, *parts = slopes(name, (1, 4, 100))
    for one in parts:
        leaves_close(one, whole, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEPARATE)
def test_of_every_objective_that_allows_it(name):
    whole, parts = slopes(name, (1, 4))
    leaves_close(parts, whole, 1e-5)


@pytest.mark.parametrize(
    ("parallel", "cut", "count"), [("jit", 1, 8), ("pmap", 1, 5), ("shard", 1, 10), ("shard", 2, 4)]
)
def test_steps_in_parts_are_the_steps(parallel, cut, count):
    settings = {"model__hidden": (1024,), "optimizer__clip_norm": 20.0, **SGD}
    whole = run(small_config(**settings), "jit")
    parts = run(small_config(train__accumulate=count, **settings), parallel, cut)
    leaves_close(trained(parts), trained(whole), 1e-5)


@pytest.mark.slow
def test_a_population_in_parts_is_the_population(tmp_path):
    ends = []
    for count in (1, 4):
        changes = [{"model__latent_size": 2}, {"objective__beta": 0.5}]
        group = members(tmp_path / str(count), changes, **SGD, train__accumulate=count)
        assert not any(t.failure for t in Group([config for config, _ in group]).train(group))
        ends.append([last_state(path) for _, path in group])
    for whole, parts in zip(*ends, strict=True):
        close(parts, whole)


@pytest.mark.parametrize("name", COUPLED)
def test_an_objective_of_the_whole_batch_is_refused(name):
    settings = {"objective__name": name, "train__accumulate": 4, **NEEDS.get(name, {})}
    config = small_config(**settings)
    with pytest.raises(UserError, match=f"objective.name='{name}' needs the whole batch") as said:
        chosen_objective.check(config, 120)
    assert len(str(said.value).splitlines()) == 1
    config.train.accumulate = 1
    chosen_objective.check(config, 120)


@pytest.mark.parametrize("place", ["encoder", "classifier"])
def test_so_is_a_network_of_it(monkeypatch, place):
    monkeypatch.setattr(encoders.mlp, "coupled", True)
    settings = NEEDS["m2"] | {"objective__name": "m2"} if place == "classifier" else {}
    if place == "classifier":
        settings["model__encoder"] = "conv"
    with pytest.raises(UserError, match=f"model.{place}='mlp' needs the whole batch at once"):
        chosen_objective.check(small_config(train__accumulate=2, **settings), 120)


def test_parts_that_are_not_equal_are_refused():
    with pytest.raises(UserError, match="train.batch_size=40 .* train.accumulate=3 parts: take a"):
        chosen_objective.check(small_config(train__accumulate=3), 120)

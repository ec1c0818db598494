"""An objective of one's own: a function, its facts and its critic, in one place."""

import flax.linen as nn
import jax
import numpy as np
import pytest

import vae
from tests.helpers import last_state, small_config
from vae import objectives, runs
from vae.errors import UserError
from vae.networks import critics
from vae.objectives import coupling, facts
from vae.objectives.elbo import infer
from vae.objectives.gradients import frozen, gradient_only
from vae.reports import figures
from vae.training import chosen_objective as setting


def judge(*, critic_hidden: tuple[int, ...]) -> nn.Module:
    return critics.mlp(critic_hidden)


@facts.states(examples=2, critic=judge, terms={"density_ratio": "Log density ratio to the prior"})
def scratch(model, x, keys, hyper, axis=None):
    """distortion + mix * rate + tc * density_ratio, by a critic of z and a draw of the prior."""
    _, z, terms = infer(model, x, keys)
    point = jax.random.normal(coupling.batch_key(keys, axis), z.shape[1:])  # one a batch
    theirs, others = (model.judge(jax.lax.stop_gradient(codes)) for codes in (z, point))
    learns = jax.nn.softplus(-theirs) + jax.nn.softplus(others)
    terms |= {"density_ratio": frozen(model).judge(z), "judge_loss": learns}
    loss = terms["distortion"] + hyper["mix"] * terms["rate"]
    loss += hyper["tc"] * terms["density_ratio"]
    return {"loss": loss + gradient_only(learns), **terms}


@pytest.fixture
def config(monkeypatch):
    monkeypatch.setattr(objectives, "scratch", scratch, raising=False)
    monkeypatch.setattr(objectives, "__all__", [*objectives.__all__, "scratch"])
    return small_config(
        data__name="digits", data__size=200, model__hidden=(4,), train__epochs=2,
        objective__name="scratch", objective__critic_hidden=(5,), objective__tc=0.5,
        objective__mix=0.9,
    )  # fmt: skip


def test_it_trains_with_its_critic_and_its_terms_are_drawn(config, tmp_path):
    vae.train(config, str(tmp_path / "run"))
    assert last_state(tmp_path / "run")["params/critic/Dense_0/kernel"].shape == (3, 5)

    records = runs.read_metrics(tmp_path / "run")
    means = [r for r in records if r["split"] == "train"][-1]
    loss = means["distortion"] + 0.9 * means["rate"] + 0.5 * means["density_ratio"]
    np.testing.assert_allclose(means["loss"], loss, rtol=1e-4)
    figure = figures.training_curves(records, facts.titles(objectives.scratch))
    titles = [axes.get_title("left") for axes in figure.axes]
    assert "Log density ratio to the prior (nats)" in titles  # as it is declared
    assert "judge_loss" in titles  # as it is not


def test_what_it_states_is_asked_for(config):
    config.train.batch_size = 1
    with pytest.raises(UserError, match="'scratch' compares examples of a batch"):
        setting.check(config, 100)

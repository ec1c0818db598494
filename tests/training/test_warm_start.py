"""Training that starts from another run's weights, keeps some of them, or goes on for longer."""

import numpy as np
import pytest

import vae
from tests.helpers import last_state, small_config
from vae.__main__ import main
from vae.errors import UserError

DIGITS = {"data__name": "digits", "data__size": 200, "train__epochs": 2}


def params(workdir, branch="params/"):
    state = last_state(workdir)
    return {k.removeprefix(branch): v for k, v in state.items() if k.startswith(branch)}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("first") / "run"
    vae.train(small_config(**DIGITS, eval__checkpoint="last"), str(workdir))
    return workdir


def grown(first, **changes):
    return small_config(**DIGITS | {"seed": 1, "train__init_from": str(first)} | changes)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_frozen_parts_keep_the_other_run_s_weights_and_the_rest_learns(first, tmp_path, ema):
    config = grown(first, train__freeze=("encoder", "posterior"), train__ema=ema,
                   optimizer__name="adamw", optimizer__weight_decay=0.1)  # fmt: skip
    vae.train(config, str(tmp_path / "run"))
    theirs = params(first)
    for branch in ("params/", "ema/") if ema else ("params/",):
        ours = params(tmp_path / "run", branch)
        for name, value in ours.items():
            frozen = name.startswith(("encoder/", "posterior/"))
            assert np.array_equal(value, theirs[name]) == frozen, name


def test_without_steps_it_is_the_other_run(first, tmp_path, capsys):
    """A learning rate near zero: the first validation is the other run's last."""
    config = grown(first, optimizer__learning_rate=1e-30, train__epochs=1)
    vae.train(config, str(tmp_path / "run"))
    ours, theirs = params(tmp_path / "run"), params(first)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-20, err_msg=name)
    assert f"starts from {len(theirs)} of {len(theirs)} arrays" in capsys.readouterr().out


def test_what_does_not_fit_starts_at_random_and_is_named(first, tmp_path, capsys):
    vae.train(grown(first, model__latent_size=5, train__epochs=1), str(tmp_path / "run"))
    said = capsys.readouterr().out
    assert "not decoder/Dense_0/kernel, posterior/" in said


def test_a_resumed_run_does_not_start_again(first, tmp_path):
    config = grown(first, optimizer__schedule="constant")
    vae.train(config, str(tmp_path / "whole"))
    config.train.epochs = 1
    vae.train(config, str(tmp_path / "part"))
    config.train.epochs = 2
    vae.train(config, str(tmp_path / "part"))
    for name, value in last_state(tmp_path / "whole").items():
        np.testing.assert_array_equal(last_state(tmp_path / "part")[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train__init_from": "/nowhere"}, "/nowhere is not a run directory"),
        ({"model__hidden": (7,), "model__latent_size": 2, "train__freeze": ()}, "fits this model"),
        ({"train__freeze": ("encodr",)}, "names 'encodr', and the model's parts"),
        ({"train__freeze": ("encoder", "decoder", "posterior")}, "nothing to train"),
    ],
)
def test_what_cannot_be_is_refused(first, tmp_path, changes, words):
    if "fits" in words:
        changes = changes | {"model__encoder": "gated_mlp", "model__decoder": "gated_mlp",
                             "data__size": 150, "data__image_size": 5}  # fmt: skip
    with pytest.raises(UserError, match=words):
        vae.train(grown(first, **changes), str(tmp_path / "run"))


def test_by_flags_and_for_more_epochs(first, tmp_path, capsys):
    line = ["train", "--config=digits", "--config.data.size=200", "--config.model.hidden=(16,)",
            "--config.model.latent_size=3", f"--workdir={tmp_path}/run"]  # fmt: skip
    flags = ["--epochs=1", f"--init_from={first}", "--freeze=decoder"]
    assert main([*line, *flags]) == 0
    assert main(["train", f"--workdir={tmp_path}/run", "--epochs=+2"]) == 0
    said = capsys.readouterr().out
    assert "resuming" in said and "epoch 3" in said
    ours, theirs = params(tmp_path / "run"), params(first)
    for name, value in ours.items():
        assert np.array_equal(value, theirs[name]) == name.startswith("decoder/"), name
    assert main(["train", f"--workdir={tmp_path}/run", "--epochs=more"]) == 2
    assert "--epochs=more: give a whole number, or +N" in capsys.readouterr().err

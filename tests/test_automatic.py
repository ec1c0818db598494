"""What `auto` in a config becomes: of the table's data sets what it always was, of the user's own
what they look like, and of a run that has begun what it began with."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import vae
from configs import base
from tests.helpers import small_config
from vae import automatic, data
from vae import config as configs
from vae.__main__ import main
from vae.data import fitting, table
from vae.keys import AUTO, KEYS, LEFT
from vae.sweeps.grid import parse
from vae.sweeps.plan import apply, plan

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 255, (40, 6, 5)).astype(np.uint8)
PIXELS[0, 0, 0] = 255
ASKED = SimpleNamespace(
    kind="", columns="", id=AUTO, binarization=AUTO, standardize=AUTO, stream=False
)  # of `config.data`


def own_config(path, **changes):
    config = base.get_config()
    config.data.name, config.data.path = "files", str(path)
    for key, value in changes.items():
        group, _, name = key.partition("__")
        config[group][name] = value
    return config


def chosen(config):
    """binarization, standardize, likelihood and kind."""
    found = automatic.resolved(config)
    configs.check(found)
    assert AUTO not in [dict(configs.flatten(found))[key] for key in LEFT]
    keys = found.data
    return keys.binarization, keys.standardize, found.model.likelihood, keys.kind


@pytest.mark.parametrize("name", table.ROWS)
def test_a_data_set_of_the_table_is_what_it_was(name):
    """Where the old defaults, dynamic and bernoulli, could train; else what its kind needs."""
    row = table.ROWS[name]
    if row.source == "files":
        return
    values = fitting.settled(ASKED, fitting.Facts(row.kind, row.shape))
    colours = len(row.shape) == 3 and row.shape[-1] > 1
    old = row.kind in ("binary", "grey") and not colours
    expected = {
        "real": ("none", True, "gaussian_learned"),
        "counts": ("none", False, "negative_binomial"),
        "tokens": ("none", False, "categorical_tokens"),
        "grey": ("none", False, "discretized_logistic_mixture"),
    }
    wanted = ("dynamic", False, "bernoulli") if old else expected[row.kind]
    assert (values["binarization"], values["standardize"], values["likelihood"]) == wanted
    assert (values["kind"], values["id"]) == ("", "none")


def test_the_default_config_is_that_of_every_older_run():
    found = dict(configs.flatten(automatic.resolved(base.get_config())))
    assert found == {key: declared.before for key, declared in KEYS.items()}


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (PIXELS, ("none", False, "discretized_logistic", "")),
        (np.stack([PIXELS] * 3, -1), ("none", False, "discretized_logistic_mixture", "")),
        (PIXELS > 99, ("none", False, "bernoulli", "")),
        ((PIXELS > 99) * np.uint8(255), ("static", False, "bernoulli", "")),
        (RNG.normal(size=(40, 7)), ("none", True, "gaussian_learned", "")),
        (RNG.normal(size=(40, 7, 5)), ("none", False, "gaussian_learned", "")),
        (RNG.poisson(9.0, (40, 7)), ("none", False, "negative_binomial", "counts")),
        (RNG.poisson(9.0, (40, 7)) * 1.0, ("none", False, "negative_binomial", "counts")),
        (RNG.poisson(900.0, (40, 7)), ("none", False, "negative_binomial", "counts")),
        (PIXELS.reshape(40, 30), ("none", False, "discretized_logistic", "")),
        (PIXELS.reshape(40, 30) * 1.0, ("none", False, "discretized_logistic", "grey")),
        (RNG.integers(-9, 9, (40, 7)), ("none", True, "gaussian_learned", "real")),
        (RNG.random((40, 7)) > 0.5, ("none", False, "bernoulli", "")),
    ],
)
def test_the_users_own_arrays_are_what_they_look_like(tmp_path, array, expected):
    np.save(tmp_path / "x.npy", array)
    assert chosen(own_config(tmp_path / "x.npy")) == expected


@pytest.mark.parametrize(
    ("array", "changes", "expected"),
    [
        (PIXELS, {"model__likelihood": "bernoulli"}, ("dynamic", False, "bernoulli", "")),
        (PIXELS, {"data__binarization": "static"}, ("static", False, "bernoulli", "")),
        (PIXELS, {"model__likelihood": "laplace"}, ("none", False, "laplace", "")),
        (RNG.normal(size=(40, 7)), {"model__likelihood": "laplace"},
         ("none", False, "laplace", "")),
        (RNG.normal(size=(40, 7)), {"data__standardize": False},
         ("none", False, "gaussian_learned", "")),
        (RNG.normal(size=(40, 7)), {"model__likelihood": "laplace", "data__standardize": True},
         ("none", True, "laplace", "")),
        (RNG.normal(size=(40, 7)), {"data__stream": True},
         ("none", False, "gaussian_learned", "")),
        (RNG.poisson(9.0, (40, 7)), {"model__likelihood": "multinomial"},
         ("none", False, "multinomial", "counts")),
        (RNG.poisson(9.0, (40, 7)) * 1.0, {"model__likelihood": "gaussian_learned"},
         ("none", False, "gaussian_learned", "")),
        (RNG.poisson(9.0, (40, 7)), {"model__likelihood": "categorical_tokens"},
         ("none", False, "categorical_tokens", "tokens")),
        (RNG.poisson(9.0, (40, 7)), {"data__kind": "tokens"},
         ("none", False, "categorical_tokens", "tokens")),
        (RNG.poisson(9.0, (40, 7)), {"data__kind": "real"},
         ("none", True, "gaussian_learned", "real")),
    ],
)  # fmt: skip
def test_what_the_user_says_is_kept_and_the_rest_goes_with_it(tmp_path, array, changes, expected):
    np.save(tmp_path / "x.npy", array)
    assert chosen(own_config(tmp_path / "x.npy", **changes)) == expected


def test_a_folder_of_two_levels_is_made_zeros_and_ones_without_noise(tmp_path):
    for number, image in enumerate(PIXELS > 99):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    config = automatic.resolved(own_config(tmp_path))
    assert (config.data.binarization, config.model.likelihood) == ("static", "bernoulli")
    splits = data.load(config.data).splits
    seen = np.concatenate([np.asarray(split.x) for split in splits.values()])
    assert sorted(seen.reshape(40, -1).tolist()) == sorted((PIXELS > 99).reshape(40, -1).tolist())


def test_what_has_begun_goes_on_as_it_began(tmp_path):
    """A run of grey images of before `auto`, under the defaults of then."""
    np.save(tmp_path / "x.npy", PIXELS)
    config = own_config(tmp_path / "x.npy", train__batch_size=10)
    before = own_config(tmp_path / "x.npy", train__batch_size=10, data__binarization="dynamic",
                        data__standardize=False, data__id="none",
                        model__likelihood="bernoulli")  # fmt: skip
    for name, content in (("config.json", before.to_dict()), ("sweep.json", {"config": before})):
        folder = tmp_path / name[:-5]
        folder.mkdir()
        text = configs.to_json(before) if name[0] == "c" else json.dumps(
            {"config": content["config"].to_dict()}
        )  # fmt: skip
        (folder / name).write_text(text)
        assert automatic.resolved(config, folder).to_dict() == before.to_dict()
    assert automatic.resolved(config, tmp_path / "none").data.binarization == "none"
    (tmp_path / "config" / "config.json").write_text("{")
    assert automatic.resolved(config, tmp_path / "config").data.binarization == "none"


def test_a_run_writes_what_was_chosen_and_says_what_was_done(tmp_path, capsys):
    np.save(tmp_path / "x.npy", RNG.normal(size=(60, 4)))
    config = own_config(tmp_path / "x.npy", train__epochs=1, model__hidden=(4,))
    vae.train(config, str(tmp_path / "run"))
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["model"]["likelihood"] == "gaussian_learned"
    assert written["data"]["standardize"] is True and written["data"]["binarization"] == "none"
    assert written["train"]["batch_size"] == 8  # of 48 examples
    done = json.loads((tmp_path / "run" / "data.json").read_text())["done"]
    assert done == ["x.npy: 60 rows of 4 numbers standardised (gaussian_learned)"]
    assert capsys.readouterr().out.startswith(done[0] + "\n")
    vae.train(config, str(tmp_path / "run"))  # the same run
    assert "already finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        (["--config.data.standardize=True"], True),
        (["--config.data.standardize"], True),
        (["--noconfig.data.standardize"], False),
        (["--config.data.standardize=auto"], "auto"),
    ],
)
def test_true_and_false_are_said_as_ever(flags, value, monkeypatch):
    seen = []
    monkeypatch.setattr(vae, "train", lambda config, *_: seen.append(config.data.standardize))
    assert main(["train", "--config=configs/base.py", *flags]) == 0
    assert seen == [value]


def test_a_sweep_may_set_what_is_left_to_the_data():
    config = small_config(data__standardize=AUTO)
    assert parse("data.standardize=True,False,auto", config) == (
        "data.standardize", [True, False, AUTO]
    )  # fmt: skip
    base_config = base.get_config()
    found = plan(base_config, [{"data.standardize": value} for value in (True, False)])
    assert [trial.config.data.standardize for trial in found] == [True, False]
    assert apply(base_config, {"model.likelihood": "laplace"}).model.likelihood == "laplace"


@pytest.mark.slow
def test_a_sweep_is_of_settled_configs_and_goes_on(tmp_path, capsys):
    np.save(tmp_path / "x.npy", RNG.poisson(2.0, (60, 4)))
    config = own_config(tmp_path / "x.npy", train__epochs=1, train__eval_epochs=1.0,
                        model__hidden=(4,), eval__iwae_samples=(2,))  # fmt: skip
    grid = [{"model.latent_size": 2}, {"model.likelihood": "multinomial"}]
    for dry_run in (False, True):
        vae.sweep(config, grid, workdir=str(tmp_path / "s"), dry_run=dry_run)
    assert "2 trials, 0 to run" in capsys.readouterr().out
    found = [json.loads(path.read_text())
             for path in sorted(tmp_path.glob("s/trials/*/config.json"))]  # fmt: skip
    assert [each["model"]["likelihood"] for each in found] == ["negative_binomial", "multinomial"]
    assert {each["data"]["kind"] for each in found} == {"counts"}
    written = json.loads((tmp_path / "s" / "sweep.json").read_text())["config"]
    assert written["model"]["likelihood"] == "negative_binomial"

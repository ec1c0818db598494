import importlib
import math
import pathlib
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from vae import config as configs
from vae import keys, runs
from vae.configs import base
from vae.errors import UserError
from vae.keys import KEYS
from vae.models import build
from vae.rules import Number
from vae.training import setup

FILES = sorted(p.stem for p in (pathlib.Path(__file__).parent.parent / "configs").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", FILES)
def test_every_config_file_passes_the_rules(name):
    module = importlib.import_module(f"vae.configs.{name}")
    configs.check(module.get_config())
    commands = [f"./launch.sh {verb} --config=configs/{name}.py" for verb in ("train", "sweep")]
    assert name == "base" or any(command in module.__doc__ for command in commands)


def test_images_of_every_size_become_maps_of_8_to_32_positions_a_side():
    from vae.configs import images

    for size, side in ((32, 8), (64, 16), (128, 16), (256, 32)):
        config = images.get_config(str(size))
        configs.check(config)
        assert config.data.image_size == size
        assert build.layout(config.model, (size, size, 3))["grid"] == (side, side)
    for wrong in ("16", "300", "x", "-32"):
        with pytest.raises(UserError, match="pixels a side"):
            images.get_config(wrong)


def test_every_default_is_what_its_key_takes():
    assert dict(configs.flatten(base.get_config())) == {k: v.default for k, v in KEYS.items()}
    for key, declared in KEYS.items():
        assert declared.rule(declared.default) is None, key
        named = keys.choices(declared)
        assert not named or declared.default in ("", keys.AUTO, *named), key


def test_every_key_is_read_by_something():
    """A key that nothing reads is a setting that silently does nothing."""
    root = pathlib.Path(__file__).parent.parent / "vae"
    source = "\n".join(p.read_text() for p in root.rglob("*.py") if p.name != "keys.py")
    for key in KEYS:
        name = key.split(".")[-1]
        assert f".{name}" in source or f'"{name}"' in source or f"{name}: " in source, key


def test_json_round_trip():
    config = base.get_config()
    again = configs.from_json(configs.to_json(config))
    assert configs.difference(again, config, neutral=True) == []
    assert again.model.hidden == (200, 200)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.latent_size", -1, "at least 1"),
        ("model.latent_size", "many", "whole number"),
        ("model.hidden", (0,), "list of whole numbers"),
        ("model.prior_width", 5, "a multiple of 4"),
        ("objective.beta", float("nan"), "a number"),
        ("train.parallel", "pmpa", "did you mean 'pmap'"),
        ("data.stream", "yes", "True or False"),
        ("train.batch_size", 0, "at least 1"),
    ],
)
def test_wrong_values_name_the_key(key, value, words):
    config = base.get_config()
    group, name = key.split(".")
    with config[group].ignore_type():
        config[group][name] = value
    with pytest.raises(UserError, match=words) as caught:
        configs.check(config)
    assert key in str(caught.value) and len(str(caught.value).splitlines()) <= 2


REAL = [key for key, declared in KEYS.items() if isinstance(declared.rule, Number)]
WHOLE = [
    key for key, value in configs.flatten(base.get_config())
    if isinstance(value, int) and not isinstance(value, bool)
]  # fmt: skip


HUGE = {"1e12": 10**12, "1e400": 10**400, "-1e400": -(10**400), "5000 digits": 10**5000,
        "1e308": 1e308, "-1e308": -1e308, "1e-300": 1e-300}  # fmt: skip


@pytest.mark.parametrize("size", HUGE)
def test_a_number_of_any_size_is_taken_as_it_is_or_refused(size):
    """What is taken is a finite number for a compiled program too."""
    value = HUGE[size]
    for key in [*REAL, *WHOLE]:
        values = base.get_config().to_dict()
        group, _, name = key.rpartition(".")
        (values[group] if group else values)[name] = value
        config = ConfigDict(values)
        try:
            configs.check(config)
        except UserError as error:
            assert key in str(error) and re.search("should be|never reaches|ignores it", str(error))
            continue
        assert key in REAL and abs(value) <= 3.5e38
        if key in keys.traced(KEYS):
            traced = setup.hyperparameters(config)[name]
            np.testing.assert_allclose(traced, value, rtol=1e-6, atol=1e-38)
        assert configs.from_json(configs.to_json(config))[group][name] == value


def test_numbers_of_a_compiled_program_are_the_real_ones_of_objective_and_optimizer():
    config = base.get_config()
    real = {k: v for group in ("objective", "optimizer") for k, v in config[group].items()
            if isinstance(v, float)}  # fmt: skip
    traced = setup.hyperparameters(config)
    assert {name: float(traced[name]) for name in real} == {
        name: float(np.float32(value)) for name, value in real.items()
    }
    assert set(traced) - set(real) == {"ema", "latent_size", "seed"}
    with config.ignore_type():
        config.objective.beta = 4  # as a file written by hand has it
    assert setup.hyperparameters(config)["beta"] == np.float32(4.0)
    config.seed = 2**32 - 1
    configs.check(config)
    assert setup.hyperparameters(config)["seed"] == 2**32 - 1


@pytest.mark.parametrize("key", ["train.epochs", "objective.beta", "data.kind", "model.hidden",
                                 "eval.metrics", "data.stream", "data.name"])  # fmt: skip
def test_a_value_of_any_type_is_refused_by_its_rule(key):
    for value in (10**5000, -math.inf, object(), ["x"] * 9, [10**5000], b"x", {1: 2}, None):
        assert isinstance(KEYS[key].rule(value), str), (key, type(value))


def test_unknown_keys_are_errors_that_name_the_nearest():
    config = base.get_config()
    with config.unlocked():
        config.objective.bta = 1.0
    with pytest.raises(UserError, match="did you mean 'objective.beta'"):
        configs.check(config)
    with pytest.raises(AttributeError, match="beta"):
        base.get_config().objective.bta = 1.0


@pytest.mark.parametrize("key", ["beta_epochs", "capacity_epochs"])
def test_a_warm_up_longer_than_the_run_is_refused(key):
    config = base.get_config()
    config.objective.beta_schedule = "linear"
    config.objective.beta_epochs = 1.0
    config.objective[key] = config.train.epochs + 1.0
    with pytest.raises(UserError, match="never reaches its target"):
        configs.check(config)


def test_run_names_follow_the_config_and_ignore_neutral_keys():
    one, two = base.get_config(), base.get_config()
    two.train.parallel = "pmap"
    assert configs.run_name(one) == configs.run_name(two)
    two.objective.beta = 2.0
    assert configs.run_name(one) != configs.run_name(two)


def test_a_run_older_than_a_key_is_what_it_was_without(tmp_path):
    config = base.get_config()
    config.eval.batch_size = 7
    path = tmp_path / "config.json"
    for key, declared in KEYS.items():
        values = config.to_dict()
        group, _, name = key.rpartition(".")
        del (values[group] if group else values)[name]
        path.write_text(configs.to_json(ConfigDict(values)))
        if key == "seed":
            with pytest.raises(UserError, match="config lacks the key 'seed'"):
                runs.read_config(tmp_path)
            continue
        found = dict(configs.flatten(runs.read_config(tmp_path)))
        assert found[key] == declared.before and set(found) == set(KEYS)
        assert key == "eval.batch_size" or found["eval.batch_size"] == 7
    values = config.to_dict()
    del values["train"]  # not a run of long ago, but half a file
    path.write_text(configs.to_json(ConfigDict(values)))
    with pytest.raises(UserError, match="config lacks the group 'train': it is no run's"):
        runs.read_config(tmp_path)


def test_a_run_with_a_key_that_is_no_more_names_it(tmp_path):
    values = base.get_config().to_dict()
    values["objective"]["bta"] = 1.0
    (tmp_path / "config.json").write_text(configs.to_json(ConfigDict(values)))
    with pytest.raises(UserError, match="has the key 'objective.bta', which this version") as told:
        runs.read_config(tmp_path)
    assert "git_revision in environment.json" in str(told.value)


WHOLE = [key for key, value in configs.flatten(base.get_config()) if type(value) is int]


@pytest.mark.parametrize("key", WHOLE)
def test_a_whole_number_that_no_array_can_have_is_refused(key):
    """Some have a smaller bound; all have one, and a number's own bound is what is told."""
    told = KEYS[key].rule(10**23)
    assert told.startswith("a whole number of at most ")
    assert KEYS[key].rule(int(told.rsplit(" ", 1)[1].replace(",", ""))) is None


def test_a_list_says_which_bound_an_entry_is_beyond():
    rule = KEYS["model.hidden"].rule
    least = "a list of whole numbers, each of at least 1, such as (200, 200)"
    assert rule((0,)) == rule(3) == least
    assert rule((1, 2**31)) == least.replace("at least 1", "at most 2,147,483,647")
    assert rule((1, 2**31 - 1)) is None

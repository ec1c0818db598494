import importlib
import pathlib

import pytest

from configs import base
from vae import config as configs
from vae import runs
from vae.errors import UserError

FILES = sorted(p.stem for p in (pathlib.Path(__file__).parent.parent / "configs").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", FILES)
def test_every_config_file_passes_the_rules(name):
    module = importlib.import_module(f"configs.{name}")
    configs.check(module.get_config())
    commands = [f"./launch.sh {verb} --config=configs/{name}.py" for verb in ("train", "sweep")]
    assert name == "base" or any(command in module.__doc__ for command in commands)


def test_every_key_has_a_rule_and_every_rule_a_key():
    assert set(dict(configs.flatten(base.get_config()))) == set(configs.RULES)


def test_every_key_is_read_by_something():
    """A key that nothing reads is a setting that silently does nothing."""
    root = pathlib.Path(__file__).parent.parent / "vae"
    source = "\n".join(p.read_text() for p in root.rglob("*.py") if p.name != "config.py")
    for key in configs.RULES:
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


def test_a_run_older_than_a_key_of_evaluation_is_read_and_older_than_another_key_is_not(tmp_path):
    config = base.get_config()
    with config.unlocked():
        del config.eval["metrics"]
        config.eval.batch_size = 7
    (tmp_path / "config.json").write_text(configs.to_json(config))
    found = runs.read_config(tmp_path)
    assert (found.eval.metrics, found.eval.batch_size) == ((), 7)
    with config.unlocked():
        del config.train["epochs"]
    (tmp_path / "config.json").write_text(configs.to_json(config))
    with pytest.raises(UserError, match=r"train\.epochs"):
        runs.read_config(tmp_path)

import math
import re

import pytest

from tests.helpers import small_config
from vae.errors import UserError
from vae.sweeps import grid, plan
from vae.sweeps.grid import Range, chain, linear, log, parse, points, product, sweep, zipit


def test_product_varies_the_last_fastest():
    assert product([sweep("a", (1, 2)), sweep("b", (3, 4))]) == [
        {"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4},
    ]  # fmt: skip


def test_zipit_and_chain():
    pairs = zipit([sweep("a", (1, 2)), sweep("b", (3, 4))])
    assert pairs == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    assert chain([pairs, sweep("a", (9,))]) == [*pairs, {"a": 9}]
    with pytest.raises(UserError, match="one length"):
        zipit([sweep("a", (1, 2)), sweep("b", (3,))])
    with pytest.raises(UserError, match="a twice"):
        product([sweep("a", (1,)), sweep("a", (2,))])


def test_ranges_hold_both_ends_and_have_one_ratio_or_difference():
    assert linear(0.0, 1.0, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    values = log(0.25, 4.0, 5)
    assert values == [0.25, 0.5, 1.0, 2.0, 4.0]
    ratios = [b / a for a, b in zip(log(1e-4, 3e-2, 7), log(1e-4, 3e-2, 7)[1:], strict=False)]
    assert max(ratios) / min(ratios) < 1 + 1e-4
    assert math.isclose(ratios[0] ** 6, 300, rel_tol=1e-4)
    with pytest.raises(UserError, match="0 < low"):
        log(0.0, 1.0, 3)


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("model.latent_size=2,8", "model.latent_size", [2, 8]),
        ("objective.beta=1,0.5", "objective.beta", [1.0, 0.5]),
        ("objective.beta=log(0.5,2,3)", "objective.beta", [0.5, 1.0, 2.0]),
        ("model.latent_size=log(2,32,5)", "model.latent_size", [2, 4, 8, 16, 32]),
        ("model.hidden=(200,200),(64,)", "model.hidden", [(200, 200), (64,)]),
        ("optimizer.name=adam,sgd", "optimizer.name", ["adam", "sgd"]),
        ("data.stream=True,False", "data.stream", [True, False]),
        ("optimizer.learning_rate=log(1e-4,1e-2)", "optimizer.learning_rate",
         Range(1e-4, 1e-2, "log")),
    ],
)  # fmt: skip
def test_flags_are_read_as_the_type_of_their_key(text, key, values):
    assert parse(text, small_config()) == (key, values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model.latent=2,8", "did you mean 'model.latent_size'"),
        ("model.latent_size=2,x", "not like 3"),
        ("model.latent_size=2.5", "not like 3"),
        ("model.latent_size", "KEY=VALUE"),
        ("objective.beta=log(1,2,3,4)", "a range is log"),
        ("objective.beta=log(4,2,3)", "a range is log"),
        ("optimizer.name=log(1,2,3)", "not like 'adam'"),
        ("objective.beta=log(1,2,inf)", "at most 100,000 points"),
        ("objective.beta=log(1,2,nan)", "a whole number of them"),
        ("objective.beta=log(1,2,1e12)", "at most 100,000 points"),
        ("objective.beta=log(1,2,2.5)", "a whole number of them"),
        ("objective.beta=log(1,2,-3)", "2 values or more"),
        ("objective.beta=linear(1,2,1)", "2 values or more"),
        ("objective.beta=log(1,inf,3)", "both finite"),
        ("objective.beta=log(0,1)", "0 < low"),
        ("objective.beta=log(nan,1,3)", "a range is log"),
        ("objective.beta=linear(-1e308,1e308,3)", "no even steps"),
        ("objective.beta=linear(1,inf)", "no even steps"),
        ("model.latent_size=linear(2.5,8)", "latent_size=2.5, which is not like 3"),
        ("data.stream=linear(0,1,2)", "not like False"),
        ("objective.beta=log()", "a range is log"),
        ("model.hidden=" + "(" * 5000, "not like"),
        ("model.latent_size={[]:1}", "not like 3"),
    ],
)
def test_wrong_flags_say_what_would_be_right(text, words):
    with pytest.raises(UserError, match=re.escape(words)):
        points([parse(text, small_config())])


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e400", "1e308", "1" + "0" * 5000])
def test_a_number_of_any_size_in_a_sweep_is_refused_by_its_rule(number):
    with pytest.raises(UserError, match="objective.beta=.* (should be a number|is not like)"):
        plan.plan(small_config(), points([parse(f"objective.beta={number}", small_config())]))


def test_a_sweep_of_too_many_points_is_refused_before_they_are_made():
    thousand = sweep("a", range(1000)), sweep("b", range(1000))
    with pytest.raises(UserError, match="at most 100,000 points, not 1000000"):
        product(thousand)
    with pytest.raises(UserError, match="at most 100,000 points"):
        plan.plan(small_config(), [{"objective.beta": 1.0}], seeds=10**20)


def test_a_range_without_a_count_is_for_searches():
    with pytest.raises(UserError, match="for a search"):
        points([parse("objective.beta=log(0.1,1)", small_config())])


def test_trials_are_named_after_what_they_change():
    config = small_config()
    values = product([sweep("model.hidden", [(16, 8), ()]), sweep("objective.beta", [1, 0.25])])
    trials = plan.plan(config, values, seeds=2)
    assert [trial.name for trial in trials][:3] == [
        "hidden=16x8,beta=1,seed=0", "hidden=16x8,beta=1,seed=1", "hidden=16x8,beta=0.25,seed=0",
    ]  # fmt: skip
    assert trials[-1].name == "hidden=none,beta=0.25,seed=1"
    assert trials[-1].config.model.hidden == () and trials[-1].config.objective.beta == 0.25
    assert config.objective.beta == 1.0  # the base stays as it was
    both = plan.plan(config, [{"objective.name": "elbo", "optimizer.name": "sgd"}])
    assert both[0].name == "objective.name=elbo,optimizer.name=sgd"
    assert plan.name({}) == "base"  # its directory is not that of all trials
    long = plan.name({f"a.key{n}": 0.123456 for n in range(20)})
    assert len(long) <= plan.LONGEST and long != plan.name({f"a.key{n}": 0.5 for n in range(20)})


def test_a_wrong_plan_is_refused():
    config = small_config()
    with pytest.raises(UserError, match="nothing to sweep"):
        plan.plan(config, [])
    with pytest.raises(UserError, match="beta=1 twice"):
        plan.plan(config, [{"objective.beta": 1.0}, {"objective.beta": 1}])
    with pytest.raises(UserError, match="should be a number at least 0"):
        plan.plan(config, [{"objective.beta": -1.0}])
    with pytest.raises(UserError, match="did you mean"):
        plan.plan(config, [{"objective.bta": 1.0}])


def test_points_that_set_other_keys_are_filled_from_the_config():
    trials = plan.plan(small_config(), [{"objective.beta": 2.0}, {"model.latent_size": 5}])
    assert [trial.values for trial in trials] == [
        {"model.latent_size": 3, "objective.beta": 2.0},
        {"model.latent_size": 5, "objective.beta": 1.0},
    ]


def test_groups_hold_what_trains_as_one_program():
    values = product([sweep("model.hidden", [(16,), (8,)]), sweep("model.latent_size", (2, 4))])
    trials = plan.plan(small_config(), values, seeds=2)
    assert [len(group) for group in plan.groups(trials)] == [4, 4]
    streamed = plan.plan(small_config(data__stream=True), [{}], seeds=3)
    assert [len(group) for group in plan.groups(streamed)] == [1, 1, 1]


def test_a_config_file_describes_its_sweep(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def get_sweep():\n    return [{'seed': 1}]\n")
    assert grid.described(f"{file}:argument") == [{"seed": 1}]
    file.write_text("def get_sweep():\n    return {'seed': 1}\n")
    with pytest.raises(UserError, match="does not return"):
        grid.described(str(file))
    file.write_text("def get_config():\n    return None\n")
    assert grid.described(str(file)) == []

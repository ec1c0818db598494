"""The assertions on random quantities fail where they should, and their room is measured right."""

import json

import jax
import numpy as np
import pytest

from experiments import result_files
from tests import margins
from tests.margins import above, below, likely, mean_is, near, within

DRAWS = margins.fixed_rng(0).normal(size=(400, 2))


@pytest.mark.parametrize(
    ("holds", "fails"),
    [
        (lambda: below([1.0, 2.0], 2.1), lambda: below([1.0, 2.0], 2.0)),
        (lambda: above([1.0, 2.0], 0.9), lambda: above([1.0, np.nan], 0.9)),
        (lambda: near([1.0, -2.0], [1.1, -2.1], 0.11), lambda: near(1.0, 1.1, 0.09)),
        (lambda: near([100.0, 1.0], [101.0, 1.0], rel=0.01), lambda: near(100.0, 102.0, rel=0.01)),
        (lambda: within(1.4, 1.0, 0.1), lambda: within([1.0, 1.6], 1.0, 0.1)),
        (lambda: mean_is(DRAWS, 0.0), lambda: mean_is(DRAWS, [0.0, 0.3])),
        (lambda: mean_is(DRAWS, 0.25, 0.25), lambda: mean_is(DRAWS, 0.6, 0.25)),
        (lambda: likely(1e-5), lambda: likely(1e-8)),
        (lambda: likely(1.0), lambda: likely(0.0)),
    ],
)
def test_what_holds_and_what_fails(holds, fails, monkeypatch):
    monkeypatch.delenv("VAE_TEST_MARGINS", raising=False)
    holds()
    with pytest.raises(AssertionError, match="room"):
        fails()


def measured(tmp_path, monkeypatch, check, values):
    """The row of an assertion that saw one value under each seed."""
    lines = []
    for seed, value in enumerate(values):
        path = tmp_path / str(seed)
        monkeypatch.setenv("VAE_TEST_MARGINS", str(path))
        check(value)
        lines += [json.loads(line) | {"seed": seed} for line in path.read_text().splitlines()]
    (row,) = margins.margins(lines)
    return row


def test_room_is_counted_in_standard_deviations_over_seeds(tmp_path, monkeypatch):
    values = np.array([1.0, 2.0, 3.0])  # of mean 2 and standard deviation 1

    def room(check, values=values):
        return measured(tmp_path, monkeypatch, check, values)["margin"]

    for check, expected in (
        (lambda v: below(v, 9.0), 7.0),
        (lambda v: above(v, -4.0), 6.0),
        (lambda v: near(v, 2.5, 4.0), 3.5),  # half a unit off already
        (lambda v: near([v, 2.0 * v], [2.0, 4.0], 8.0), 4.0),  # of two numbers the worse
        (lambda v: near(0.0, 0.0, 1.0), np.inf),  # always the same
        (lambda v: below(9.0, 1.0), -np.inf),
    ):
        for path in tmp_path.iterdir():
            path.unlink()
        assert room(check) == pytest.approx(expected)


def test_a_standard_error_that_is_too_small_shows(tmp_path, monkeypatch):
    spread = 3.0 * margins.fixed_rng(1).normal(size=(10, 20))
    right = measured(tmp_path, monkeypatch, lambda v: within(v, 0.0, 3.0), spread)
    assert right["margin"] == 5.0 and right["kind"] == "within"
    for path in tmp_path.iterdir():
        path.unlink()
    wrong = measured(tmp_path, monkeypatch, lambda v: within(v, 0.0, 1.0), spread)
    assert wrong["margin"] == pytest.approx(5.0 / np.sqrt(np.square(spread).mean()))


def test_other_seeds_give_other_numbers_and_each_its_own(monkeypatch):
    for module, names in ((np.random, ("default_rng", "SeedSequence")), (jax.random, ("key",))):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))  # put back afterwards

    def numbers():
        words = [np.random.default_rng(seed).random() for seed in (0, 1, [0, 1], np.int64(0))]
        words.append(np.random.SeedSequence(0).generate_state(1)[0])
        return [*words, *jax.random.key_data(jax.random.key(0)).tolist()]

    before, fixed = numbers(), margins.fixed_rng(0).random()
    margins.shift_seeds(0)
    assert numbers() == before
    margins.shift_seeds(3)
    assert not set(numbers()) & set(before) and numbers() == numbers()
    assert numbers()[0] == numbers()[3] != numbers()[1]
    assert margins.fixed_rng(0).random() == fixed


def test_what_is_recorded_has_room():
    result = result_files.read(result_files.RESULTS / "test_margins.json")
    assert result["seeds"] == margins.SEEDS
    rows = result["rows"]
    few = [row for row in rows if row["margin"] is not None and row["margin"] < margins.LEAST]
    assert rows and not few
    assert all(row["seeds"] == margins.SEEDS for row in rows)

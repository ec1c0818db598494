"""What a conditional model is given of each example."""

import numpy as np
import pytest

from tests.helpers import grey_dataset
from vae.data import load
from vae.data.context import attach, one_hot
from vae.errors import UserError


def settings(path, **changes):
    from vae.configs import base

    config = base.get_config()
    config.data.name, config.data.path, config.data.binarization = "files", str(path), "none"
    for key, value in changes.items():
        config.data[key] = value
    return config.data


def test_labels_are_one_hot():
    dataset = attach(grey_dataset(), "labels")
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.context, one_hot(split.labels, 3))
    assert dataset.context_size == 3
    assert sorted(dataset.splits["train"].arrays()) == ["context", "x"]


def test_few_labels_are_balanced_repeated_and_the_only_ones_known():
    whole = grey_dataset()
    train = attach(whole, "labels", labelled=7, share=0.5).splits["train"]
    known = train.context.sum(1) == 1
    first = whole.splits["train"]
    np.testing.assert_array_equal(train.x[:120], first.x)  # every example, its class not known
    assert not known[:120].any() and known[120:].all()
    assert abs(known.mean() - 0.5) < 0.02
    rows = {x.tobytes() for x in train.x[120:]}
    assert len(rows) == 7
    np.testing.assert_array_equal(train.context[120:].argmax(1), train.labels[120:])
    counts = np.bincount(train.labels[120:127], minlength=3)
    assert counts.max() - counts.min() <= 1
    again = attach(whole, "labels", labelled=7, share=0.5).splits["train"]
    np.testing.assert_array_equal(train.x, again.x)


def test_own_numbers_are_taken_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    x, context = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))
    np.savez(tmp_path / "own.npz", x=x, context=context)
    dataset = load(settings(tmp_path / "own.npz", context="array"))
    assert dataset.context_size == 2
    for split in dataset.splits.values():  # every context with its own example
        rows = [np.flatnonzero(np.isclose(x[:, 0], value))[0] for value in split.x[:, 0]]
        np.testing.assert_allclose(split.context, context[rows], rtol=1e-6)


def test_factors_are_one_hot_side_by_side():
    from vae.configs import sprites

    config = sprites.get_config()
    config.data.size, config.data.context = 200, "factors"
    dataset = load(config.data)
    assert dataset.context_size == sum(dataset.factor_sizes)
    split = dataset.splits["train"]
    np.testing.assert_array_equal(split.context.sum(1), len(dataset.factor_sizes))
    first = split.context[:, : dataset.factor_sizes[0]]
    np.testing.assert_array_equal(first.argmax(1), split.factors[:, 0])


@pytest.mark.parametrize(
    ("arrays", "changes", "message"),
    [
        ({}, {"context": "labels"}, "train split of files has none"),
        ({}, {"context": "array"}, "train split of files has none"),
        ({"context": np.zeros((3, 2))}, {"context": "array"}, r"give finite numbers \[40, C\]"),
        ({"context": np.full((40, 2), np.nan)}, {"context": "array"}, "give finite numbers"),
        ({"context": np.zeros((40, 2))}, {"context": "array", "labelled": 3}, "is of labels"),
        ({"labels": np.zeros(40, int)}, {"context": "labels", "labelled": 99}, "has 32 examples"),
        ({"labels": np.zeros(40, int)}, {"context": "labels", "stream": True}, "reads x alone"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path, arrays, changes, message):
    x = np.random.default_rng(0).normal(size=(40, 5))
    np.savez(tmp_path / "own.npz", x=x, **arrays)
    with pytest.raises(UserError, match=message):
        load(settings(tmp_path / "own.npz", **changes))


@pytest.mark.parametrize("values", [[12], [-1], [3.7], ["3"], [[1]], 1, [float("nan")], [None]])
def test_what_is_no_class_is_refused(values):
    with pytest.raises(UserError, match="is no class: give whole numbers .N. from 0 to 2"):
        one_hot(np.array(values), 3)


def test_classes_may_be_of_any_type_of_number():
    for values in (np.array([2.0, 0.0]), np.array([2, 0], np.uint8)):
        np.testing.assert_array_equal(one_hot(values, 3), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(one_hot(np.array([True]), 2), [[0, 1]])


@pytest.mark.parametrize("labels", [[-1, 1], [-1, -1], [0, 60_000]])
def test_labels_that_number_no_classes_are_refused(tmp_path, labels):
    np.savez(tmp_path / "own.npz", x=np.ones((40, 5)), labels=np.tile(labels, 20))
    with pytest.raises(UserError, match=f"from {labels[0]} to {labels[1]} of 40 .* number the"):
        load(settings(tmp_path / "own.npz", context="labels"))
    load(settings(tmp_path / "own.npz"))  # they may still mean something else


def test_a_context_that_is_not_asked_for_is_not_taken(tmp_path):
    np.savez(tmp_path / "own.npz", x=np.zeros((40, 5)), context=np.ones((40, 2)))
    dataset = load(settings(tmp_path / "own.npz"))
    assert dataset.context_size == 0
    assert all(split.context is None for split in dataset.splits.values())

"""Labels of the user's own data: the column they are in, and what number a label gets."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import small_config
from vae import config as configs
from vae.data import describe, labels, load
from vae.errors import UserError
from vae.training.trial import describe_data

PATH = Path("t.csv")


@pytest.mark.parametrize("name", ["label", "Labels", "Y", "Class", "TARGET", "class"])
def test_well_known_names_are_labels_in_any_case(name):
    assert labels.column(("a", name, "b"), "", PATH) == name
    assert labels.column(("a", name, "b"), "b", PATH) == "b"
    assert labels.column(("a", name, "b"), "none", PATH) == ""
    assert labels.column(("a", f"{name}_1", "b"), "", PATH) == ""


def test_a_coordinate_is_no_label():
    for x, y in (("x", "y"), ("X", "Y")):
        with pytest.raises(UserError, match=f"data.label={y} if .*data.label=none if"):
            labels.column((x, y), "", PATH)
        assert labels.column((x, y, "class"), "", PATH) == "class"
        assert labels.column((x, y), y, PATH) == y
        assert labels.column((x, y), "none", PATH) == ""


def test_what_is_ambiguous_or_missing_names_the_key():
    with pytest.raises(UserError, match="'label' and 'target': set data.label"):
        labels.column(("label", "a", "target"), "", PATH)
    with pytest.raises(UserError, match=r"data.label='specis'.*did you mean 'species'"):
        labels.column(("length", "species"), "specis", PATH)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_text_is_numbered_in_sorted_order_over_all_splits(shape):
    train, test = np.array(["dog", " cat", "dog"]), np.array(["ant", "dog"])
    splits = {"train": train.reshape(shape), "validation": None, "test": test.reshape(shape)}
    found, names = labels.numbered(splits, "t.npz")
    assert names == ("ant", "cat", "dog") and found["validation"] is None
    assert found["train"].tolist() == [2, 1, 2] and found["test"].tolist() == [0, 2]
    assert found["train"].dtype == np.int32


@pytest.mark.parametrize("given", [[0, 3], [0.0, 3.0], ["0", "3"], ["0.0", " 3"], [False, True]])
def test_whole_numbers_number_themselves(given):
    found, names = labels.numbered({"train": np.array(given)}, "t.npz")
    assert names == () and found["train"].tolist() == [0, 1 if given[1] is True else 3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, 0.5], "labels have to be whole numbers or text, and that of example 1 is 0.5"),
        (["1", "0.5"], "whole numbers or text, and that of example 1 is 0.5"),
        ([1.0, np.nan], "that of example 1 is nan"),
        ([0, 1_000_000_007], "label of example 1, 1000000007, is too large to number a class"),
        ([0, -(10**12)], "label of example 1, -1000000000000, is too large"),
        (["1", "3000000000"], "example 1, 3000000000, is too large"),
        (["cat", ""], "example 1 has no label"),
        (["cat", "NaN"], "example 1 has no label \\('NaN'\\)"),
    ],
)
def test_what_numbers_no_class_is_refused_as_a_label(given, message):
    with pytest.raises(UserError, match=message) as caught:
        labels.numbered({"train": np.array(given)}, "t.csv: Class")
    assert "t.csv: Class" in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def animals(tmp_path):
    kinds = ("cat", "ant", "dog")
    rows = [f"{n}.25,{kinds[n % 3]},{n % 2}" for n in range(40)]
    path = tmp_path / "animals.csv"
    path.write_text("\n".join(["size,Class,tame", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("label", "columns", "said"),
    [
        ("", ["size", "tame"], "; labels: column 'Class' (ant, cat, dog)"),
        ("Class", ["size", "tame"], "; labels: column 'Class' (ant, cat, dog)"),
    ],
)
def test_what_was_taken_for_labels_is_printed_and_kept(config, animals, label, columns, said):
    data = load(config(name="files", path=str(animals), label=label))
    assert describe(data).endswith(said)
    kept = describe_data(small_config(), data)
    assert (kept["columns"], kept["label"]) == (columns, "Class")
    assert kept["classes"] == ["ant", "cat", "dog"]
    for split in data.splits.values():  # each with its own example
        assert split.labels.tolist() == [[1, 0, 2][int(n) % 3] for n in split.x[:, 0]]


def test_a_table_without_labels_says_so(config, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "0.5,1\n" * 20)
    data = load(config(name="files", path=str(tmp_path / "t.csv")))
    assert describe(data).endswith("; no labels")
    assert "label" not in describe_data(small_config(), data)


def test_only_tables_have_a_column_of_labels(config, tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((40, 3)), labels=np.array(["b", "a"] * 20))
    with pytest.raises(UserError, match="data.label='a' is a column of a .csv"):
        load(config(name="files", path=str(tmp_path / "t.npz"), label="a"))
    with pytest.raises(UserError, match="data.label='a' is for data.name=files"):
        load(config(label="a"))
    data = load(config(name="files", path=str(tmp_path / "t.npz")))
    assert data.classes == ("a", "b") and set(data.splits["train"].labels.tolist()) == {0, 1}


def test_a_run_older_than_the_key_is_read():
    config = small_config()
    with config.unlocked():
        del config.data["label"]
    assert configs.completed(config).data.label == ""

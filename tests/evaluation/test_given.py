"""What verbs read of a file for a run, and what they carry into their output."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import small_config
from vae.errors import UserError
from vae.evaluation import inputs
from vae.evaluation.run_data import RunData


def run_of(columns=None, **keys):
    described = {"shape": ()} if columns is None else {"shape": (), "columns": list(columns)}
    return RunData(Path("run"), small_config(**keys), described)


def test_other_columns_are_carried_as_they_are_written(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(",id,b,Class,a,when\n7,007,2.50,cat,1e3,2026-01-02\n8,008,3,,4,\n")
    given = inputs.read(path, run_of(("a", "b")))
    np.testing.assert_array_equal(given.raw, [[1000.0, 2.5], [4.0, 3.0]])
    assert [(name, cells.tolist()) for name, cells in given.beside.items()] == [
        ("", ["7", "8"]),
        ("id", ["007", "008"]),
        ("Class", ["cat", ""]),
        ("when", ["2026-01-02", ""]),
    ]


@pytest.mark.parametrize("label", ["", "kind"])
def test_a_run_of_an_array_takes_every_column_but_the_labels(tmp_path, label):
    path = tmp_path / "new.csv"
    path.write_text(f"a,{label or 'Class'},b\n1,cat,2\n3,dog,4\n")
    given = inputs.read(path, run_of(data__label=label))
    assert given.raw.tolist() == [[1, 2], [3, 4]]
    assert [(name, cells.tolist()) for name, cells in given.beside.items()] == [
        (label or "Class", ["cat", "dog"])
    ]


def test_numbers_of_a_file_keep_their_precision(tmp_path):
    times = 1_700_000_000.25 + np.arange(50)
    np.savetxt(tmp_path / "t.csv", times[:, None], "%.17g", header="time", comments="")
    np.save(tmp_path / "t.npy", times[:, None])
    for name in ("t.csv", "t.npy"):
        given = inputs.read(tmp_path / name, run_of(("time",)))
        assert given.raw.dtype == np.float64 and not given.beside
        assert given.raw[:, 0].tolist() == times.tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["new.npy", "new.npz"])
def test_a_row_that_is_not_finite_is_named(tmp_path, name, value):
    x = np.zeros((5, 3))
    x[3, 1] = value
    np.save(tmp_path / name, x) if name == "new.npy" else np.savez(tmp_path / name, x=x)
    with pytest.raises(UserError, match="NaN or infinity, first in example 3"):
        inputs.read(tmp_path / name, run_of())

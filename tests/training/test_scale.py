"""What is said of data before training, and of a run that stopped."""

import json
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from vae.data.dataset import Dataset, Split
from vae.training import setup
from vae.training.trial import Trial


def real(x, **rest):
    splits = {name: Split(np.asarray(x, np.float32)) for name in ("train", "validation", "test")}
    return Dataset("files", "local", "real", 0, splits, **rest)


def warned(dataset):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        setup.check_scale(dataset)
    return " ".join(str(warning.message) for warning in said)


def test_large_numbers_are_warned_of_by_column():
    x = np.random.default_rng(0).normal(size=(200, 3))
    names = ("a", "b", "c")
    assert warned(real(x, columns=names)) == ""
    for column in (x[:, 1] * 1e6, np.full(200, -1e6)):  # raw units, and a constant
        large = np.stack([x[:, 0], column, x[:, 2]], axis=1)
        said = warned(real(large, columns=names))
        assert re.match(r"b is about (1e\+06|9\.\d+e\+05|1\.\d+e\+06) in size", said)
        assert said.endswith("set data.standardize=True")
        assert "number 1 of an example" in warned(real(large))
        assert warned(real(large, scaler=(np.zeros(3), np.ones(3)))) == ""
        image = large.reshape(-1, 3, 1, 1)
        assert warned(real(image)).endswith("divide them in the file")


@pytest.mark.parametrize(("standardised", "advised"), [(False, True), (True, False)])
def test_a_run_that_stops_on_raw_units_is_told_to_standardise(tmp_path, standardised, advised):
    scaler = (np.zeros(3), np.ones(3)) if standardised else None
    x = np.zeros((10, 3))
    trial = SimpleNamespace(
        dataset=real(x, scaler=scaler), shape=(3,), workdir=tmp_path, hyper={"skip_norm": 0.0},
        _writers=None, program=SimpleNamespace(terms=("gradient_norm",), skip_steps=0),
        feed=SimpleNamespace(rows=lambda step, count: [np.arange(4)], split=Split(x)),
    )  # fmt: skip
    Trial.fail(trial, {"step": 1, "blamed": 0})
    assert ("set data.standardize=True, lower optimizer" in trial.failure) == advised
    assert len(trial.failure.splitlines()) == 2
    assert json.loads((tmp_path / "failure.json").read_text())["step"] == 0

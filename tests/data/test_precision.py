"""The user's numbers lose nothing before they are standardised, and what would be lost is said."""

import numpy as np
import pytest

from vae.data import load, precision
from vae.errors import UserError

RNG = np.random.default_rng(0)
TIMES = 1_700_000_000 + 2.5 * np.arange(320)  # seconds: float32 counts them by 128
PRESSURES = 101_325 + 0.002 * RNG.normal(size=400)


def save(path, x, names=("time", "other")):
    if path.suffix == ".csv":
        np.savetxt(path, x, "%.17g", ",", header=",".join(names), comments="")
    elif path.suffix == ".npz":
        np.savez(path, x=x)
    else:
        np.save(path, x)
    return str(path)


def beside(column):
    return np.stack([column, RNG.normal(size=len(column))], axis=1)


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".npy"])
@pytest.mark.parametrize("column", [TIMES, PRESSURES, TIMES.astype(np.int64) * 10**6])
def test_every_value_of_an_offset_column_is_kept_by_standardising(config, tmp_path, column, suffix):
    x = np.stack([column, column[::-1]], axis=1)  # of its own type: whole numbers too
    path = save(tmp_path / f"data{suffix}", x)
    keys = dict(name="files", path=path, kind="real")
    data = load(config(**keys, standardize=True))
    parts = [split.x for split in data.splits.values()]
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    seen = np.sort(np.concatenate(parts)[:, 0])
    mean, std = data.scaler
    np.testing.assert_allclose(seen, (np.sort(column) - mean[0]) / std[0], rtol=1e-6, atol=1e-7)
    assert len(np.unique(seen)) >= 0.99 * len(column)
    np.testing.assert_allclose(data.splits["train"].x.mean(0, np.float64), 0.0, atol=1e-6)
    np.testing.assert_allclose(data.splits["train"].x.std(0, dtype=np.float64), 1.0, atol=1e-6)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("column", "kept"), [(TIMES, 7), (PRESSURES, 3)])
def test_a_column_that_single_precision_makes_equal_is_refused_by_name(
    config, tmp_path, column, kept, stream
):
    path = save(tmp_path / "data.csv", beside(column))
    message = rf"time has \d\d\d different.* keeps {kept} of them: set data.standardize"
    with pytest.raises(UserError, match=message):
        load(config(name="files", path=path, stream=stream))
    path = save(tmp_path / "data.npz", beside(column))
    with pytest.raises(UserError, match="number 0 of an example has"):
        load(config(name="files", path=path, stream=stream))


def test_a_column_that_standardising_cannot_keep_is_refused_by_name(config, tmp_path):
    x = beside(RNG.normal(size=400))
    x[7, 0] = 1e30  # all others become one value
    path = save(tmp_path / "data.csv", x)
    message = "time has 3.. different .* once standardised: subtract an offset"
    with pytest.raises(UserError, match=message):
        load(config(name="files", path=path, standardize=True))
    nanoseconds = np.stack([1_700_000_000_000_000_000 + np.arange(400)] * 2, axis=1)
    path = save(tmp_path / "data.npy", nanoseconds)  # equal in double precision already
    with pytest.raises(UserError, match="number 0 of an example has 320 different"):
        load(config(name="files", path=path, kind="real", standardize=True))


def test_ordinary_numbers_are_taken_whatever_their_count():
    for scale in (1e-30, 1.0, 1e30):
        x = RNG.normal(size=(200_000, 2)) * scale + scale
        precision.check(x, lambda rows: rows.astype(np.float32), (), "")
    heavy = RNG.standard_t(1.0, (5000, 3))
    mean, std = precision.moments(heavy)
    precision.check(heavy, lambda rows: precision.standardize(rows, mean, std), (), "")


def test_numbers_that_differ_by_a_rounding_are_one_value():
    parts = RNG.uniform(0.0, 20.0, (50, 9))  # such as the atoms of a molecule, weighed
    sums = [np.cumsum(row[RNG.permutation(9)])[-1] for row in parts for _ in range(20)]
    assert len(set(sums)) > 100
    precision.check(np.array(sums)[:, None], lambda rows: rows.astype(np.float32), (), "")
    apart = 1.0 + 1e-12 * np.arange(1000.0)  # thousands of roundings
    with pytest.raises(UserError, match="has 1,000 different values .* keeps 1 of them"):
        precision.check(apart[:, None], lambda rows: rows.astype(np.float32), (), "")


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, -3.0, 0.0])
def test_a_constant_column_becomes_zeros(value):
    x = np.full((997, 2), value)
    mean, std = precision.moments(x)
    np.testing.assert_array_equal(std, 1.0)
    np.testing.assert_array_equal(precision.standardize(x, mean, std), 0.0)


@pytest.mark.parametrize("source", ["array", "scaled"])
def test_a_context_keeps_its_values_too(config, tmp_path, source):
    np.savez(tmp_path / "data.npz", x=RNG.normal(size=(320, 2)), context=beside(TIMES))
    keys = dict(name="files", path=str(tmp_path / "data.npz"), context=source)
    if source == "array":
        with pytest.raises(UserError, match="column 0 of the context has .*data.context=scaled"):
            load(config(**keys))
        return
    data = load(config(**keys))
    context = np.concatenate([split.context for split in data.splits.values()])
    assert context.dtype == np.float32 and len(np.unique(context[:, 0])) == 320
    mean, std = data.context_scaler
    expected = (TIMES - mean[0]) / std[0]
    np.testing.assert_allclose(np.sort(context[:, 0]), expected, rtol=1e-6, atol=1e-7)


def test_bundled_measurements_are_standardised_in_double_precision(config):
    data = load(config(name="breast_cancer", standardize=True))
    raw = load(config(name="breast_cancer"))
    mean, std = data.scaler
    expected = (np.asarray(raw.splits["test"].x, np.float64) - mean) / std
    np.testing.assert_allclose(data.splits["test"].x, expected, atol=1e-4)
    assert abs(np.asarray(data.splits["train"].x, np.float64).mean(0)).max() < 1e-7

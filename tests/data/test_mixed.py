"""Tables of several kinds of columns: what each is taken for, codes and names, holes, and back."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from vae import columns as of_table
from vae import data
from vae.columns import Column
from vae.data import csvfiles, mixed
from vae.errors import UserError

RNG = np.random.default_rng(0)
HEAD = "name,age,sex,town,when,income,share,site,nothing,remark"


def rows(count=60):
    made = []
    for n in range(count):
        age = "" if n % 7 == 0 else str(20 + n)
        town = "" if n % 9 == 0 else ("Oslo", '"Rome, IT"', "Bern")[n % 3]
        when = "NA" if n == 3 else f"2020-0{1 + n % 9}-1{n % 4}"
        income = f"{np.exp(9 + 2.0 * RNG.normal()):.2f}"
        share = f"{(n + 1) / 70:.4f}"
        made.append(f"P{n:02},{age},{'fm'[n % 2]},{town},{when},{income},{share},7,,t{n}")
    return made


@pytest.fixture
def table(tmp_path):
    def write(lines=None, head=HEAD):
        path = tmp_path / "table.csv"
        path.write_text("\n".join([head, *(lines or rows())]) + "\n")
        return path

    return write


def settings(config, path, **keys):
    values = {"name": "files", "path": str(path), "kind": "columns", "id": "name",
              "binarization": "none", "standardize": True}  # fmt: skip
    return config(**values | keys)


def test_a_table_becomes_columns_of_kinds_codes_and_holes(table, config):
    with pytest.warns(UserWarning) as said:
        found = data.load(settings(config, table()))
    said = " ".join(str(warning.message) for warning in said)
    assert "no cell of nothing has anything" in said and "remark has 60 different texts" in said
    assert found.kind == "columns" and found.shape == (7,) and found.identifier == "name"
    kinds = dict(zip(found.columns, found.column_kinds, strict=True))
    assert {name: column.kind for name, column in kinds.items()} == {
        "age": "gaussian", "sex": "bernoulli", "town": "categorical",
        "when": "gaussian", "income": "log_normal", "share": "gaussian", "site": "categorical",
    }  # fmt: skip
    assert kinds["town"].levels == ("Bern", "Oslo", "Rome, IT") and kinds["site"].levels == (7.0,)
    assert kinds["when"].date == "D" and kinds["age"].holes and not kinds["sex"].holes
    x = np.concatenate([split.x for split in found.splits.values()])
    assert x.dtype == np.float32 and np.isnan(x).sum() == 9 + 7 + 1
    assert set(np.unique(x[:, 1])) == {0.0, 1.0}
    train = found.splits["train"].x
    for d in (3, 4, 5):  # standardised: dates, logarithms, numbers
        there = train[~np.isnan(train[:, d]), d]
        assert abs(there.mean()) < 1e-5 and there.std() == pytest.approx(1.0, abs=1e-5)
    assert sum(kinds["town"].start) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([3.0, 3.0, 3.0], "categorical"),
        ([1.0, 2.0, 2.0], "bernoulli"),
        ([0.0, 3.0, 9.0, 40.0], "negative_binomial"),
        ([1.0, 2.0, 3.0, 4.0], "gaussian"),  # whole, and spread less than counts are
        ([2001.0, 2005.0, 2012.0], "gaussian"),
        ([-1.0, 0.0, 30.0], "gaussian"),
        ([0.0, 1.0, 2e7], "gaussian"),
        ([0.5, 1.5, 2.5], "gaussian"),
        (np.exp(2.0 * np.random.default_rng(0).normal(size=500)), "log_normal"),
        (np.exp(2.0 * np.random.default_rng(0).normal(size=500)) - 1.0, "gaussian"),
    ],
)
def test_what_numbers_are_taken_for(values, kind):
    assert mixed.guess(np.array(values)) == kind


def test_kinds_and_the_order_of_levels_are_set_by_name(table, config):
    asked = "age:gaussian, share:beta,town:ordinal(Oslo<Rome, IT<Bern),site:gaussian"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = data.load(settings(config, table(), columns=asked))
    kinds = dict(zip(found.columns, found.column_kinds, strict=True))
    assert (kinds["age"].kind, kinds["share"].kind, kinds["site"].kind) == (
        "gaussian", "beta", "gaussian"
    )  # fmt: skip
    assert kinds["town"].levels == ("Oslo", "Rome, IT", "Bern") and kinds["site"].scale == 1.0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("age", "'age' is not written as NAME:KIND"),
        ("age:gausian", r"'gausian' of age is not one of: .*did you mean 'gaussian'"),
        ("agge:gaussian", r"has no such column 'agge' \(did you mean 'age'\?\)"),
        ("town:gaussian", "'gaussian' is for numbers, and town holds"),
        ("income:poisson", "whole numbers from 0 on, which poisson is for: set data.columns=inc"),
        ("age:beta", "shares between 0 and 1"),
        ("town:bernoulli", "town has 3 values, too many or too few for bernoulli"),
        ("town:ordinal(Oslo<Bern)", "town holds 'Rome, IT', which is none of Oslo<Bern"),
    ],
)
def test_what_cannot_be_so_is_refused(table, config, asked, message):
    with warnings.catch_warnings(), pytest.raises(UserError, match=message):
        warnings.simplefilter("ignore")
        data.load(settings(config, table(), columns=asked))


def test_holes_are_refused_by_other_likelihoods_which_name_this_one(tmp_path, table, config):
    x = RNG.normal(size=(40, 3))
    x[4, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    for path in (tmp_path / "x.npy", table()):
        with pytest.raises(UserError, match="--config.model.likelihood=columns"):
            data.load(settings(config, path, kind="real"))
    found = data.load(settings(config, tmp_path / "x.npy", id="none"))
    whole = np.concatenate([split.x for split in found.splits.values()])
    assert np.isnan(whole).sum() == 1 and found.columns == ("0", "1", "2")
    x[5, 1] = np.inf
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(UserError, match="infinity or numbers beyond"):
        data.load(settings(config, tmp_path / "x.npy", id="none"))


def test_splits_of_arrays_stay_theirs(tmp_path, config):
    parts = {name: RNG.normal(size=(size, 2)) for name, size in
             (("train", 20), ("validation", 5), ("test", 6))}  # fmt: skip
    parts["test"][0, 0] = np.nan
    np.savez(tmp_path / "x.npz", **parts)
    found = data.load(settings(config, tmp_path / "x.npz", id="none"))
    for name, x in parts.items():
        again = of_table.own(found.splits[name].x, found.column_kinds)
        np.testing.assert_allclose(again, x, rtol=1e-5, atol=1e-6)
    assert not any(column.holes for column in found.column_kinds)  # of the training set


def test_robust_standardising_is_by_median_and_quartiles(tmp_path, config):
    x = RNG.normal(size=(200, 1)) * 3 + 5
    x[7] = 1e4
    np.savez(tmp_path / "x.npz", train=x, test=x[:9], validation=x[:9])
    robust = data.load(settings(config, tmp_path / "x.npz", id="none", standardize="robust"))
    (column,) = robust.column_kinds
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
    assert column.centre == pytest.approx(middle)
    assert column.scale == pytest.approx((high - low) / 1.349, rel=1e-3)
    plain = data.load(settings(config, tmp_path / "x.npz", id="none", standardize="robust",
                               kind="real"))  # fmt: skip
    np.testing.assert_allclose(plain.splits["train"].x, robust.splits["train"].x, rtol=1e-6)


EVERY = [Column(kind, ("a", "b", "c") if kind in of_table.CODED else (), 0.4, 2.5)
         for kind in of_table.KINDS]  # fmt: skip


def test_own_numbers_come_back_from_what_is_seen():
    own = {"log_normal": [1e-9, 3.0, 1e12], "beta": [1e-6, 0.4, 0.999],
           "gaussian": [-1e6, 0.0, 3.0], "student_t": [-5.0, 0.0, 1e5]}  # fmt: skip
    values = np.array([own.get(column.kind, [0.0, 1.0, 2.0]) for column in EVERY]).T
    values = np.vstack([values, np.full(len(EVERY), np.nan)])
    seen = of_table.seen(values, EVERY)
    # What float32 holds of a number next to its centre, and of a large logarithm.
    np.testing.assert_allclose(of_table.own(seen, EVERY), values, rtol=3e-5, atol=2e-8)
    numbered = Column("ordinal", (1.0, 2.0, 5.0))
    np.testing.assert_array_equal(of_table.seen(np.array([[5.0], [1.0]]), [numbered])[:, 0], [2, 0])
    np.testing.assert_array_equal(of_table.own(np.array([[2.0], [0.0]]), [numbered])[:, 0], [5, 1])
    assert of_table.of_described(of_table.described(EVERY)) == tuple(EVERY)


def test_cells_are_written_as_tables_have_them():
    names = Column("categorical", ("x", "y"))
    assert of_table.cells(np.array([1.0, np.nan, 0.0]), names).tolist() == ["y", "", "x"]
    counts = of_table.cells(np.array([3.0, 0.0]), Column("poisson"))
    assert counts.dtype == np.int64 and counts.tolist() == [3, 0]
    days = np.array([0.4, 18_262.0, np.nan])
    assert of_table.cells(days, Column(date="D")).tolist() == ["1970-01-01", "2020-01-01", ""]
    assert of_table.cells(days, Column(date="s"))[0] == "1970-01-01T09:36:00"


def table_of(tmp_path, head, *lines):
    path = Path(tmp_path) / "new.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return csvfiles.read(path, text=True)


KNOWN = (Column(), Column("categorical", ("a", "b")), Column("poisson"), Column(date="D"))
NAMES = ("x", "c", "n", "d")


def test_new_rows_are_taken_in_any_order_with_holes(tmp_path):
    found = mixed.taken(
        table_of(tmp_path, "d,more,c,x,n", "2020-01-02,9,b,1.5,3", ",,,nan,"), NAMES, KNOWN
    )
    np.testing.assert_array_equal(found, [[1.5, 1.0, 3.0, 18_263.0], [np.nan] * 4])


@pytest.mark.parametrize(
    ("head", "line", "message"),
    [
        ("x,c,n", "1,a,2", "lacks 1 of the 4 columns that the run was trained on: d"),
        ("x,c,n,d", "1,z,2,2020-01-01", r"example 0, c: 'z' is none of its 2 levels \(a, b\): lea"),
        ("x,c,n,d", "q,a,2,2020-01-01", "example 0, x: 'q' is no number"),
        ("x,c,n,d", "1,a,2.5,2020-01-01", "n: 2.5 is not one of whole numbers from 0 on"),
        ("x,c,n,d", "1,a,2,May", "d: 'May' is no date"),
    ],
)
def test_new_rows_that_the_run_does_not_know_are_refused(tmp_path, head, line, message):
    with pytest.raises(UserError, match=message):
        mixed.taken(table_of(tmp_path, head, line), NAMES, KNOWN)


def test_dates_with_times_are_days_and_written_back(tmp_path):
    (table,) = [table_of(tmp_path, "t,k", "2020-01-01 12:00:00,1", "2020-01-03T00:00:00,2",
                         "2020-02-03T00:00:00,5")]  # fmt: skip
    read = mixed.of_table(table, (0,), "")
    assert read.columns[0].date == "s"
    np.testing.assert_array_equal(read.x[:2, 0], [18_262.5, 18_264.0])
    written = of_table.cells(read.x[:, 0], read.columns[0])
    assert written[0] == "2020-01-01T12:00:00"


def test_whole_numbers_are_counts_where_they_are_small_and_have_more_zeros_where_they_have():
    rng = np.random.default_rng(0)
    rate = rng.gamma(2.0, 2.0, 2_000)
    counts = rng.poisson(rate).astype(float)
    assert mixed.guess(counts) == "negative_binomial"
    gated = np.where(rng.random(2_000) < 0.4, 0.0, rng.poisson(20 + 5 * rate))
    assert mixed.guess(gated) == "zero_inflated_negative_binomial"
    assert mixed.guess(np.round(rng.normal(120.0, 30.0, 2_000))) == "gaussian"  # blood pressure
    assert mixed.guess(np.round(np.exp(rng.normal(6.0, 1.5, 2_000)))) == "negative_binomial"
    assert mixed.guess(np.exp(rng.normal(6.0, 1.5, 2_000))) == "log_normal"

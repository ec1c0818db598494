"""Tables as they should not be, by the command line: each is refused in a line or two that names
what is wrong and what to do, or read as the test says; none ends in a traceback or a warning of
NumPy's."""

import csv
import re

import numpy as np
import pytest

from vae.__main__ import main

HEAD = "a,b,c"
ROWS = [[f"{n / 7:.3f}", "xyz"[n % 3], str(n * n % 17)] for n in range(20)]


def text(rows=ROWS, head=HEAD):
    return "\n".join([head, *map(",".join, rows)]) + "\n"


def cell(row, column, value):
    """The table with another cell."""
    rows = [list(each) for each in ROWS]
    rows[row][column] = value
    return text(rows)


def column(number, value):
    """The table with another column, of `value(row)`."""
    return text([[value(n) if d == number else old for d, old in enumerate(row)]
                 for n, row in enumerate(ROWS)])  # fmt: skip


CATEGORICAL = "data.columns=a:categorical"
REFUSED = {  # the table, and what is said of it
    "a word among numbers": (cell(4, 0, "abc"), "example 4, a: 'abc' is no number.*" + CATEGORICAL),
    "a mark for missing": (cell(4, 0, "?"), r"4, a: '\?' is no number.*or leave it empty"),
    "a number among words": (cell(4, 1, "3"), "b: 'x' is no number.*data.columns=b:categorical"),
    "half of them numbers": (column(1, lambda n: "x" if n % 2 else str(n)), r"\(10 such cells"),
    "two columns of one name": (text(head="a,b,a"), "two columns 'a': give each a name"),
    "a column without a name": (text(head="a,,c"), "column 1 has no name.*give it a name"),
    "an infinite number": (cell(4, 0, "-Infinity"), "example 4, a is infinite: leave the cell"),
    "too large for double": (cell(4, 0, "1e400"), "example 4, a is infinite: leave the cell"),
    "too large for single": (cell(4, 0, "1e300"), "beyond 3e38, first in example 4: fill or"),
    "too small": (column(0, lambda n: f"{n}e-320"), "a has .* different values.*subtract"),
    "more digits than double has": (column(0, lambda n: str(2**60 + n)), r"a has 20.* above 2\^53"),
    "no file at all": ("", "is empty: give a row of names"),
    "empty lines alone": ("\n\n\n", "is empty: give a row of names"),
    "names alone": (HEAD + "\n", "has names and no rows: give"),
    "no cell at all": ("a,b\n,\n,\n,\n", "has names and no rows: give"),
    "one row": (text(ROWS[:1]), "does not leave a training set: of 1 example; give more"),
    "two rows": (text(ROWS[:2]), "does not leave a training set: of 1 example; give more"),
    "two forms of dates": (column(1, lambda n: "2020-01-02" if n % 2 else "02/01/2020"),
                           r"example 0, b: '02/01/2020' is no date \(YYYY-MM-DD\), as others are"),
    "a word among dates": (column(1, lambda n: f"2020-01-{n + 1:02}" if n != 3 else "soon"),
                           "example 3, b: 'soon' is no date"),
    "a day that is not": (column(1, lambda n: f"2020-02-{n + 11:02}"), "'2020-02-30' is no date"),
    "a number among dates": (column(1, lambda n: f"2020-01-{n + 1:02}" if n != 3 else "20200104"),
                             "b: '2020-01-01' is no number.*data.columns=b:categorical"),
    "decimal commas": (column(0, lambda n: f'"{n},5"'), "example 0, a: '0,5' is no number"),
    "thousands": (column(0, lambda n: f'"{n + 1},000"'), "example 0, a: '1,000' is no number"),
    "underscores": (column(0, lambda n: f"1_00{n}"), "example 0, a: '1_000' is no number"),
    "a row too long": (cell(4, 0, "1,2"), "example 4 has 4 cells and there are 3 columns"),
    "a row too short": (text() + "1,x\n", "example 20 has 2 cells and there are 3 columns"),
    "an open quotation mark": (cell(0, 1, '"x'), "example 0 has 2 cells.*is not closed"),
    "the names again": (text() + text(), "does not fit in 2 ways"),
    "a comment": ("# made by hand\n" + text(), "begins with a comment"),
    "Latin letters": (cell(4, 1, "\xe9").encode("latin-1"), "UTF-8 text: save it as one"),
    "UTF-16": (text().encode("utf-16"), "UTF-8 text: save it as one"),
    "no text": (bytes(range(256)) * 4, "UTF-8 text: save it as one"),
    "names of rows alone": ("a\n" + "\n".join(f"t{n}" for n in range(20)), "no column of features"),
}  # fmt: skip
TAKEN = {  # the table, and lines of the look at it
    "a column without a cell": (column(0, lambda n: ""), "no cell of a has anything: it is left"),
    "a column of NA": (column(2, lambda n: "NA"), "no cell of c has anything: it is left out"),
    "a row without a cell": (text([*ROWS[:9], ["", "", ""], *ROWS[9:]]), r"train: \[20, "),
    "a row of NA": (text([*ROWS, ["NA"] * 3]), "a: gaussian.*1 missing"),
    "nan": (cell(4, 0, "NaN"), "a: gaussian.*1 missing"),
    "a negative count": (cell(4, 2, "-1"), "c: gaussian, -1 to 16"),
    "a constant text with holes": (column(1, lambda n: "x" * (n % 2)),
                                   "b: categorical, x everywhere, 10 missing"),
    "a constant number with holes": (column(0, lambda n: "7" * (n % 2)),
                                     "a: categorical, 7 everywhere, 10 missing"),
    "one date": (column(1, lambda n: "2020-01-02" if n == 3 else ""),
                 "b: categorical, dates from 2020-01-02 to 2020-01-02, 19 missing"),
    "a million and a hole": (cell(4, 2, "1000000").replace(",x,0", ",x,"), "c: negative_binomial"),
    "spaces": (column(1, lambda n: f" {'xy'[n % 2]} "), "b: bernoulli, 2 levels: x, y"),
    "truth": (column(1, lambda n: str(n % 2 == 0)), "b: bernoulli, 2 levels: False, True"),
    "three rows": (text(ROWS[:3]), "splits: train 1, validation 1, test 1"),
    "a colon in a name": (text(head="a:x,b,c"), "a:x: gaussian"),
}  # fmt: skip


def clean(err):
    """Whether no warning is NumPy's, and nothing a traceback."""
    return not re.search(r"Traceback|encountered in|RuntimeWarning|unexpected", err)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_a_line_or_two(name, tmp_path, capsys):
    table, words = REFUSED[name]
    path = tmp_path / "t.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    assert main(["data", str(path)]) == 2
    err = capsys.readouterr().err
    assert re.search(words, err) and clean(err), err
    said = [line for line in err.splitlines() if not line.startswith("- ")]
    assert len(said) == 1 and said[0].startswith("error: ")


@pytest.mark.parametrize("name", TAKEN)
def test_it_is_taken_for_what_it_is(name, tmp_path, capsys):
    table, words = TAKEN[name]
    path = tmp_path / "t.csv"
    path.write_text(table)
    assert main(["data", str(path)]) == 0
    out, err = capsys.readouterr()
    assert re.search(words, out + err) and clean(err), out + err


KNOWN = "id,x,town,n,share,born,flag,founded"
COLUMNS = "n:poisson,share:beta,flag:categorical"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained for a moment on a table with a row of holes, constants and constants with holes."""
    folder = tmp_path_factory.mktemp("bad")
    rng, path = np.random.default_rng(0), folder / "t.csv"
    rows = [f"P{n},{rng.normal():.3f},{('Oslo', 'Bern', '')[n % 3]},{rng.poisson(3)},"
            f"{rng.uniform(0.1, 0.9):.3f},2020-01-{1 + n % 28:02},{'NO' * (n % 2)},1999-12-31"
            for n in range(40)]  # fmt: skip
    rows[3] = "P3,,,,,,,"
    path.write_text("\n".join([KNOWN, *rows]) + "\n")
    flags = ["--config.train.epochs=2", "--config.train.eval_epochs=1.0",
             "--config.model.hidden=(8,)", "--config.train.parallel=jit",
             f"--config.data.columns={COLUMNS}"]  # fmt: skip
    assert main(["train", f"--data={path}", f"--workdir={folder / 'run'}", *flags]) == 0
    assert main(["evaluate", f"--workdir={folder / 'run'}"]) == 0
    return folder / "run"


GOOD = "Q1,0.5,Oslo,2,0.5,2020-01-02,NO,1999-12-31"
NEW_REFUSED = {
    "an unknown level": (KNOWN, GOOD.replace("Oslo", "Rome"), r"town: 'Rome' is none of its 2 "
                         r"levels \(Bern, Oslo\): leave the cell empty"),
    "a column that is not there": (KNOWN.replace(",n,", ",more,"), GOOD, "lacks 1 of the 7 columns "
                                   ".* trained on: n: add them, empty where nothing is known"),
    "a column of another name": (KNOWN.replace("town", "Town"), GOOD, "lacks 1 of .*: town"),
    "two columns of one name": (KNOWN.replace("town", "x"), GOOD, "two columns 'x'"),
    "an infinite number": (KNOWN, GOOD.replace(",0.5,O", ",inf,O"), "x: 'inf' is no number"),
    "a word": (KNOWN, GOOD.replace(",0.5,O", ",half,O"), "example 0, x: 'half' is no number"),
    "a negative count": (KNOWN, GOOD.replace(",2,", ",-2,"), "n: -2 is not one of whole numbers"),
    "half a count": (KNOWN, GOOD.replace(",2,", ",2.5,"), "n: 2.5 is not one of whole numbers"),
    "a share above one": (KNOWN, GOOD.replace(",0.5,2", ",1.5,2"), "share: 1.5 is not one of sh"),
    "another date": (KNOWN, GOOD.replace("2020-01-02", "2 May"), "born: '2 May' is no date"),
    "another constant": (KNOWN, GOOD.replace("NO", "SE"), r"flag: 'SE' is none of its 1 levels"),
    "another constant date": (KNOWN, GOOD.replace("1999", "1998"), "1998-12-31 is not one of its"),
    "no rows": (KNOWN, "", "has names and no rows"),
    "no table": ("", "", "is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", NEW_REFUSED)
def test_what_the_run_does_not_know_is_not_imputed(name, run, tmp_path, capsys):
    head, row, words = NEW_REFUSED[name]
    path, out = tmp_path / "new.csv", tmp_path / "out.csv"
    path.write_text("\n".join(filter(None, [head, row])) + "\n")
    assert main(["impute", f"--workdir={run}", f"--input={path}", f"--output={out}"]) == 2
    err = capsys.readouterr().err
    assert re.search(words, err) and clean(err), err
    assert len(err.splitlines()) == 1 and not out.exists()


def test_one_row_a_row_of_holes_and_rows_without_any_are_imputed(run, tmp_path, capsys):
    path, out = tmp_path / "new.csv", tmp_path / "out.csv"
    for rows in ([GOOD], ["Q2,,,,,,,"], [GOOD, "Q2,,,,,,,", GOOD.replace("NO", "")]):
        path.write_text("\n".join([KNOWN, *rows]) + "\n")
        assert main(["impute", f"--workdir={run}", f"--input={path}", f"--output={out}"]) == 0
        with open(out, newline="") as file:
            _, *found = csv.reader(file)
        for before, row in zip(rows, found, strict=True):
            assert all(row) and row[6:8] == ["NO", "1999-12-31"]
            if before == GOOD:
                assert ",".join(row[:-1]) == GOOD
    assert clean(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--output=out.txt",), "--output=out.txt: give a name that ends in"),
        (("--samples=0",), "--samples=0: give a number from 1"),
        (("--draws=2000",), "--draws=2000: give a number from 0 to --samples=1000"),
        (("--seed=-1",), "seed"),
        (("--input=none.csv",), "none.csv: no such file"),
        (("--input=none.xls",), "none.xls"),
    ],
)
def test_flags_that_cannot_be_are_named(flags, words, run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text(f"{KNOWN}\n{GOOD}\n")
    given = {"input": "new.csv", "output": "out.csv"}
    given |= dict(flag[2:].split("=") for flag in flags)
    command = ["impute", f"--workdir={run}", *(f"--{k}={v}" for k, v in given.items())]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) <= 2 and clean(err), err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["compress", "--output=x.bin"], "compress takes a likelihood of whole numbers"),
        (["evaluate", "--metrics=samples"], "columns of several and holes: leave samples out"),
    ],
)
def test_what_is_not_for_such_tables_is_refused(command, words, run, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*command, f"--workdir={run}"]) == 2
    err = capsys.readouterr().err
    assert re.search(words, err) and len(err.splitlines()) == 1 and clean(err), err

"""Tables in CSV files: what is read of them, what is said of it, and every refusal."""

import warnings

import numpy as np
import pytest

from vae.data import csvfiles
from vae.errors import UserError

RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    """`table(text, label)`: the features of a file of that text, and the warnings that it gave."""

    def make(text, label="", keep_text=False):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = csvfiles.features(csvfiles.read(path, keep_text), label)
        return found, [str(warning.message) for warning in said]

    return make


def written(x, names, row_numbers=False, separator=",", end="\n"):
    """A table as pandas writes it: every digit."""
    head = separator.join(["", *names] if row_numbers else names)
    rows = [separator.join(map(repr, row)) for row in x.tolist()]
    rows = [f"{n}{separator}{row}" for n, row in enumerate(rows)] if row_numbers else rows
    return end.join([head, *rows, ""])


@pytest.mark.parametrize("keep_text", [False, True])
@pytest.mark.parametrize("row_numbers", [False, True])
@pytest.mark.parametrize("names", [("a", "b", "c"), ("0", "1", "2"), ("2019", "2020", "2021")])
def test_pandas_header_is_no_example_and_its_row_numbers_are_no_feature(
    table, names, row_numbers, keep_text
):
    x = RNG.normal(size=(30, 3)) * 10.0 ** RNG.integers(-200, 15, (30, 3))
    if names[0] == "2019" and not row_numbers:
        x[0] = [2019, 2020, 2021]  # nothing says that it is names: an example, and that is said
        found, said = table(written(x[1:], names), keep_text=keep_text)
        assert len(said) == 1 and "is taken for an example, not for names" in said[0]
        names = ("0", "1", "2")
    else:
        found, said = table(written(x, names, row_numbers), keep_text=keep_text)
        assert sum("is taken for names" in each for each in said) == (names[0] != "a")
        assert sum("numbers the rows and is left out" in each for each in said) == row_numbers
        assert len(said) == (names[0] != "a") + row_numbers
    np.testing.assert_array_equal(found.x, x)  # the same bits
    assert found.columns == names and found.label == ""


@pytest.mark.parametrize(
    ("head", "ok"),
    [("Unnamed: 0,a", True), ("Unnamed: 0.1,a", True), (",a", True), ("a,", False)],
)
def test_a_nameless_column_numbers_the_rows_or_is_refused(table, head, ok):
    if ok:
        found, _ = table(f"{head}\n0,5\n1,7\n")
        assert found.columns == ("a",) and found.x.tolist() == [[5.0], [7.0]]
    for rows in ("3,5\n1,7\n", "u,5\nv,7\n" if ok else "5,u\n7,v\n", "1,\n2,\n"):
        text = f"{head}\n{rows}"
        with pytest.raises(UserError, match=r"column [01] has no name.*index=False"):
            table(text)


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("1.5,-2\n3,4.5\n\n", [[1.5, -2], [3, 4.5]]),
        ("\ufeffa,b\r\n1,2\r\n", [[1, 2]]),
        ("a,b\r1,2\r", [[1, 2]]),
        (" a , b \n 1 , +2e1\n", [[1, 20]]),
        ('"a\nb",c\n"1","2"\n', [[1, 2]]),
        ("\n \na,b\n1,2\n,\n , \n,,\n\n3,4\n", [[1, 2], [3, 4]]),
        ("a\n1\n\n2\n", [[1], [2]]),
    ],
)
def test_forms_of_the_same_table(table, text, x):
    found, said = table(text)
    assert found.x.tolist() == x and not said
    assert table(text, keep_text=True)[0].x.tolist() == x


@pytest.mark.parametrize(("separator", "called"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_read_and_said(table, separator, called):
    x = RNG.normal(size=(20, 3))
    found, said = table(written(x, ("a", "b", "c"), separator=separator))
    np.testing.assert_array_equal(found.x, x)
    assert len(said) == 1 and said[0].endswith(f"columns are separated by {called}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "names and no rows"),
        ("a,b,a\n1,2,3\n", "two columns 'a'"),
        ("a,b,c\n1,2,3\n\n4,5\n", "example 1 has 2 cells and there are 3 columns"),
        ("1,2.5\n4,5\n6,7,8\n", "example 2 has 3 cells and there are 2 columns"),
        ("a,b\n1,2\n3,\n", "example 1, b: 'nothing' is no number: fill it, or set"),
        ("a,b\n1,2\nnan,3\n", "example 1, a: 'nan' is no number"),
        ("a,b\n1,1e400\n", "example 0, b: '1e400' is no number"),
        ("a,b\n1,1_000\n", "'1_000' is no number"),
        ("1,,3\n1,2,3\n", "first row, 1, , 3, has numbers and empty cells"),
        ("a;b\n1,5;2.5\n3;4.5\n", "numbers with decimal commas and with points: write one"),
        ('a,b\n"1,5",2\n', "example 0, a: '1,5' has a decimal comma"),
        ("a b\n1 2\n", "'1 2' is no number: separate columns by commas"),
        ("# made by a program\na,b\n1,2\n", "begins with a comment.*remove lines"),
        ("a,b\n1,2\n# a note\n3,4\n", "example 1 has 1 cells.*remove lines that begin with #"),
        ("a,b\n1,2\n# a,note\n", "example 1, a: '# a' begins as a comment does"),
        ("a,b\n1,\xe9\n".encode("latin1"), "cannot be read as a table of UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16"), "cannot be read as a table of UTF-8 text"),
    ],
)
def test_what_is_no_table_is_refused_by_its_cause(table, text, message):
    for keep_text in (False, True):
        with pytest.raises(UserError, match=message) as caught:
            table(text, keep_text=keep_text)
        assert len(str(caught.value).splitlines()) == 1


def test_numbers_that_double_precision_makes_equal_are_refused(table):
    times = 1_700_000_000_000_000_000 + np.arange(40)  # nanoseconds
    with pytest.raises(UserError, match="time has 40 different numbers.*keeps 1: subtract"):
        table("time\n" + "\n".join(map(str, times)) + "\n")
    found, _ = table("time\n" + "\n".join(map(str, times // 10**9 + np.arange(40))) + "\n")
    assert len(np.unique(found.x)) == 40


def test_labels_are_taken_as_they_are_written(table):
    found, _ = table("a,Class,b\n1,cat,2\n3,dog,4\n")
    assert found.label == "Class" and found.labels.tolist() == ["cat", "dog"]
    assert found.columns == ("a", "b") and found.x.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(UserError, match="no column of features, only label"):
        table("label\n1\n")

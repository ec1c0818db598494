"""A table with text, dates, counts, holes and ids by the command line: a look, a training, its
holes filled, and a synthetic table like it."""

import csv
import json

import numpy as np
import pytest

from vae.__main__ import main
from vae.evaluation.impute import DRAW, EFFECTIVE

ROWS = 500
HEAD = ("id", "town", "sex", "visits", "income", "score", "born", "country", "children", "share")
QUICK = ["--config.train.epochs=20", "--config.model.hidden=(32,)", "--config.train.parallel=jit",
         "--config.train.eval_epochs=10.0", "--config.data.columns=share:beta"]  # fmt: skip


def rows():
    """Cells of 500 rows, one in ten empty of all columns but score and country."""
    rng = np.random.default_rng(0)
    for n in range(ROWS):
        z = rng.normal()
        share = 0.998 / (1.0 + np.exp(-z - rng.normal())) + 0.001
        born = np.datetime64("1950-01-01") + int(rng.integers(9999))
        made = [
            f"P{n:03}", ("Oslo", "Rome, IT", "Bern")[int(rng.integers(3))], "fm"[int(z > 0)],
            str(rng.negative_binomial(2, 0.2)), f"{np.exp(8.0 + 1.2 * z):.2f}",
            f"{z + 0.3 * rng.normal():+.3f}", str(born), "NO", str(rng.integers(5)), f"{share:.5f}",
        ]  # fmt: skip
        yield [made[0], *("" if d not in (4, 6) and rng.random() < 0.1 else cell
                          for d, cell in enumerate(made[1:]))]  # fmt: skip


def read(path):
    with open(path, newline="") as file:
        head, *found = csv.reader(file)
    return tuple(head), found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The table and the run of it."""
    folder = tmp_path_factory.mktemp("tables")
    table, run = folder / "people.csv", folder / "run"
    with open(table, "w", newline="") as file:
        csv.writer(file).writerows([HEAD, *rows()])
    assert main(["train", f"--data={table}", f"--workdir={run}", *QUICK]) == 0
    return table, run


def test_a_look_says_what_each_column_is_taken_for(trained, capsys):
    table, run = trained
    assert main(["data", str(table)]) == 0
    out = capsys.readouterr().out
    for words in ("ids: column 'id'", "town: categorical, 3 levels: Bern, Oslo, Rome, IT",
                  "sex: bernoulli", "visits: negative_binomial, 0 to", "income: log_normal",
                  "score: gaussian", "born: gaussian, dates from 1950-", "country: categorical, NO "
                  "everywhere", "--config.model.likelihood=columns"):  # fmt: skip
        assert words in out
    described = json.loads((run / "data.json").read_text())
    assert described["columns"] == list(HEAD[1:]) and described["id"] == "id"


def test_holes_are_filled_and_all_else_is_as_it_was_written(trained, tmp_path, capsys):
    table, run = trained
    head, given = read(table)
    out = tmp_path / "filled.csv"
    assert main(["impute", f"--workdir={run}", f"--input={table}", f"--output={out}"]) == 0
    holes = sum(cell == "" for row in given for cell in row)
    said = capsys.readouterr().out
    assert f"{holes:,} missing cells of {ROWS} rows filled" in said and str(out) in said
    names, found = read(out)
    assert names == (*head, EFFECTIVE) and len(found) == ROWS
    for row, before in zip(found, given, strict=True):
        assert [cell for cell, had in zip(row, before, strict=False) if had] == list(
            filter(None, before)
        )
        assert all(row) and 1.0 <= float(row[-1]) <= 1000.0
    towns, seen = ({row[1] for row in rows} for rows in (found, given))
    assert towns == seen - {""}


def test_each_draw_of_the_holes_is_a_table_with_its_number(trained, tmp_path, capsys):
    table, run = trained
    head, given = read(table)
    out, few = tmp_path / "draws.csv", 8
    assert main(["impute", f"--workdir={run}", f"--input={table}", f"--output={out}",
                 f"--samples={few}", "--draws=3"]) == 0  # fmt: skip
    assert f"rows rest on fewer than 10 effective draws of {few}: give" in capsys.readouterr().err
    names, found = read(out)
    assert names == (DRAW, *head, EFFECTIVE) and len(found) == 3 * ROWS
    assert [row[0] for row in found] == [str(n) for n in (1, 2, 3) for _ in range(ROWS)]
    assert [row[1] for row in found] == 3 * [row[0] for row in given]
    income, visits = names.index("income"), names.index("visits")
    at = next(n for n, row in enumerate(given) if not row[income - 1])
    assert len({found[at + k * ROWS][income] for k in range(3)}) > 1
    assert all(row[visits].isdigit() for row in found)


def test_a_synthetic_table_has_the_columns_types_and_ranges(trained, tmp_path):
    table, run = trained
    _, given = read(table)
    for name in ("synthetic.csv", "again.csv"):
        assert main(["sample", f"--workdir={run}", "--num=400", f"--output={tmp_path / name}"]) == 0
    assert (tmp_path / name).read_bytes() == (tmp_path / "synthetic.csv").read_bytes()
    names, found = read(tmp_path / name)
    assert names == HEAD[1:] and len(found) == 400
    for d, name in enumerate(names):
        seen = [row[d + 1] for row in given if row[d + 1]]
        made = [row[d] for row in found]
        if name in ("town", "sex", "country"):
            assert set(made) <= set(seen), name
        elif name == "born":
            assert min(seen) <= min(made) and max(made) <= max(seen)
            assert {len(cell) for cell in made} == {len("1950-01-01")}
        else:
            assert min(map(float, seen)) <= min(map(float, made))
            assert max(map(float, made)) <= max(map(float, seen))
            digits = max(len(cell.partition(".")[2]) for cell in seen)
            assert max(len(cell.partition(".")[2]) for cell in made) <= digits, name
    # What the model was fitted to comes back, roughly: a share of a level, and a mean.
    women = [np.mean([row[d] == "f" for row in rows]) for d, rows in ((2, given), (1, found))]
    assert abs(women[0] - women[1]) < 0.15
    scores = [[float(row[d]) for row in rows if row[d]] for d, rows in ((5, given), (4, found))]
    assert abs(np.mean(scores[0]) - np.mean(scores[1])) < 0.4


def test_parquet_comes_in_and_goes_out_with_its_types(trained, tmp_path):
    from pyarrow import csv as reader
    from pyarrow import parquet

    table, run = trained
    options = reader.ConvertOptions(strings_can_be_null=True)
    parquet.write_table(reader.read_csv(table, convert_options=options), tmp_path / "in.parquet")
    out, made = tmp_path / "out.parquet", tmp_path / "made.parquet"
    assert main(["impute", f"--workdir={run}", f"--input={tmp_path / 'in.parquet'}",
                 f"--output={out}", "--samples=50"]) == 0  # fmt: skip
    found = parquet.read_table(out)
    assert found.column_names == [*HEAD, EFFECTIVE]
    assert all(column.null_count == 0 for column in found.columns)
    assert main(["sample", f"--workdir={run}", "--num=50", f"--output={made}"]) == 0
    types = {field.name: str(field.type) for field in parquet.read_schema(made)}
    assert types == {
        "town": "string", "sex": "string", "visits": "int64", "income": "double",
        "score": "double", "born": "string", "country": "string", "children": "int64",
        "share": "double",
    }  # fmt: skip

"""No number in the documents that is not in a file that a command wrote."""

import re

import numpy as np

from experiments import documents, result_files, results_page
from experiments.documents import TABLES


def test_the_documents_tables_are_rendered_from_the_result_files():
    texts = documents.rendered()
    for path, text in texts.items():
        assert text == path.read_text(), f"{path.name}: run python -m experiments.record"
    for name, table in TABLES.items():
        places = [path.name for path, text in texts.items() if documents.markers(name)[0] in text]
        assert len(places) == 1, (name, places)
        assert len(table().splitlines()) > (0 if name.endswith("_line") else 2)


def test_links_and_pictures_of_the_documents_are_there():
    for path, text in documents.rendered().items():
        for target in re.findall(r'\]\(([^)#:]+)\)|src="([^":]+)"', text):
            assert (path.parent / "".join(target)).exists(), (path.name, target)


def test_a_table_without_a_place_changes_nothing():
    assert documents.render("Nothing to fill.\n") == "Nothing to fill.\n"


def test_the_readme_can_be_read_in_ten_minutes():
    assert len(documents.README.read_text().splitlines()) <= 180


def test_the_page_of_results_is_rendered_from_the_result_files():
    assert documents.PAGE.read_text() == results_page.render()


def test_every_result_says_how_it_was_obtained():
    for path in result_files.RESULTS.glob("*.json"):
        result = result_files.read(path)
        made = result.get("sweep", result)
        made = made.get("training", made)
        for key in ("command", "git_revision", "time", "versions"):
            assert made[key], f"{path.name} lacks {key}"


def test_a_result_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(result_files, "RESULTS", tmp_path)
    rows = [{"seed": n, "metrics": {"elbo": -n / 3, "none": None}} for n in range(20)]
    uneven = [{"a": 1.0}] * 9 + [{"b": 2.0}]
    result = {"command": "c", "rows": rows, "few": rows[:3], "uneven": uneven, "deep": {"x": [[1]]}}
    found = result_files.read(result_files.write("name", result))
    assert list(found) == list(result)
    assert found["uneven"] == uneven and found["deep"] == {"x": [[1]]}
    for name in ("rows", "few"):
        assert [list(row) for row in found[name]] == [list(row) for row in result[name]]
        values = [row["metrics"]["elbo"] for row in found[name]]
        np.testing.assert_allclose(values, [-n / 3 for n in range(len(values))], rtol=5e-7)
        assert [row["seed"] for row in found[name]] == list(range(len(values)))
    assert result_files.text(found) == (tmp_path / "name.json").read_text()


def test_results_are_small():
    sizes = {path.name: path.stat().st_size for path in result_files.RESULTS.glob("*.json")}
    assert max(sizes.values()) <= 300 * 1024
    assert sum(sizes.values()) + documents.PAGE.stat().st_size <= 1_500_000

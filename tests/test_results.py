"""No number in README.md or RESULTS.md that is not in a file that a command wrote."""

from experiments import record, results_page
from vae import runs


def test_the_readmes_tables_are_rendered_from_the_result_files():
    text = record.README.read_text()
    assert record.render(text) == text
    assert all(mark in text for name in record.TABLES for mark in record.markers(name))
    assert all(len(table().splitlines()) > 2 for table in record.TABLES.values())


def test_a_table_without_a_place_in_the_readme_changes_nothing():
    assert record.render("Nothing to fill.\n") == "Nothing to fill.\n"


def test_the_page_of_results_is_rendered_from_the_result_files():
    assert record.PAGE.read_text() == results_page.render()


def test_every_result_says_how_it_was_obtained():
    for path in record.RESULTS.glob("*.json"):
        result = runs.read_json(path)
        made = result.get("sweep", result)
        made = made.get("training", made)
        for key in ("command", "git_revision", "time", "versions"):
            assert made[key], f"{path.name} lacks {key}"

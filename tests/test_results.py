"""No number in the documents that is not in a file that a command wrote."""

import re

from experiments import record, results_page
from vae import runs


def test_the_documents_tables_are_rendered_from_the_result_files():
    texts = record.rendered()
    for path, text in texts.items():
        assert text == path.read_text(), path.name
    for name, table in record.TABLES.items():
        places = [path.name for path, text in texts.items() if record.markers(name)[0] in text]
        assert len(places) == 1, (name, places)
        assert len(table().splitlines()) > 2


def test_links_and_pictures_of_the_documents_are_there():
    for path, text in record.rendered().items():
        for target in re.findall(r'\]\(([^)#:]+)\)|src="([^":]+)"', text):
            assert (path.parent / "".join(target)).exists(), (path.name, target)


def test_a_table_without_a_place_changes_nothing():
    assert record.render("Nothing to fill.\n") == "Nothing to fill.\n"


def test_the_readme_can_be_read_in_ten_minutes():
    assert len(record.README.read_text().splitlines()) <= 180


def test_the_page_of_results_is_rendered_from_the_result_files():
    assert record.PAGE.read_text() == results_page.render()


def test_every_result_says_how_it_was_obtained():
    for path in record.RESULTS.glob("*.json"):
        result = runs.read_json(path)
        made = result.get("sweep", result)
        made = made.get("training", made)
        for key in ("command", "git_revision", "time", "versions"):
            assert made[key], f"{path.name} lacks {key}"

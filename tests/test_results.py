"""No number in the README that is not in a file that a command wrote."""

from experiments import record
from vae import runs


def test_the_readmes_tables_are_rendered_from_the_result_files():
    text = record.README.read_text()
    assert record.render(text) == text
    assert all(len(table().splitlines()) > 2 for table in record.TABLES.values())


def test_every_result_says_how_it_was_obtained():
    for path in record.RESULTS.glob("*.json"):
        result = runs.read_json(path)
        made = result.get("training", result)
        for key in ("command", "git_revision", "time", "versions"):
            assert made[key], f"{path.name} lacks {key}"

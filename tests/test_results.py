"""No number in the README that is not in a file that a command wrote."""

from pathlib import Path

from experiments import record
from vae import runs

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_readmes_table_is_rendered_from_the_result_files():
    text = README.read_text()
    table = text.split(record.BEGIN)[1].split(record.END)[0].strip()
    assert table == record.render()
    assert len(table.splitlines()) > 2


def test_every_result_says_how_it_was_obtained():
    for path in record.RESULTS.glob("*.json"):
        result = runs.read_json(path)
        made = result.get("training", result)
        for key in ("command", "git_revision", "time", "versions"):
            assert made[key], f"{path.name} lacks {key}"

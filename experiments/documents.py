"""Fills the documents: every table between its markers, and experiments/RESULTS.md."""

import re
from pathlib import Path

from experiments import choice_tables, result_tables, results_page
from experiments.accelerators import tables as accelerator_tables
from experiments.result_files import ROOT
from vae import runs

README, PAGE = ROOT / "README.md", ROOT / "experiments" / "RESULTS.md"
TABLES = result_tables.TABLES | choice_tables.TABLES | accelerator_tables.TABLES
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))  # with places for tables


def markers(name: str) -> tuple[str, str]:
    """The comments that a generated table stands between in a document."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def render(text: str, up: str = "") -> str:
    """A document's text with every table that it has a place for made anew.

    Args:
      up: the way from the document's folder to the root.
    """
    for name, table in TABLES.items():
        begin, end = markers(name)
        before, found, rest = text.partition(begin)
        if found:
            made = re.sub(r'(\]\(|src=")experiments/', rf"\1{up}experiments/", table())
            text = f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}"
    return text


def rendered() -> dict[Path, str]:
    """Every document's text, its tables made anew."""
    return {
        path: render(path.read_text(), "../" * (len(path.relative_to(ROOT).parts) - 1))
        for path in DOCUMENTS
    }


def write() -> None:
    """Writes the documents and RESULTS.md anew."""
    for path, text in rendered().items():
        runs.write_atomic(path, text)
    runs.write_atomic(PAGE, results_page.render())

"""The table of what tests ran with what: `./launch.sh test -m "" --combinations=FILE`."""

import time
from collections.abc import Iterable
from pathlib import Path

from vae import networks, objectives, runs
from vae.probability import likelihoods

SIGNS = {"ran": "✓", "refused": "refused"}
WAYS = ("jit", "4 devices", "masked population", "bfloat16")
RUNS = ("train", "resume", "evaluate", "report")


def table(title: str, rows: Iterable[str], columns: Iterable[str], found: dict) -> list[str]:
    """Lines of Markdown; a cell is empty where no test ran the pair."""
    columns = list(columns)
    lines = [
        "",
        f"## {title}",
        "",
        f"| | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for row in rows:
        cells = [SIGNS.get(found.get((row, column), ""), "") for column in columns]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def write(path: Path, recorded: Iterable[str]) -> None:
    """Writes the tables.

    Args:
      recorded: "row|column|ran" or "row|column|refused", from tests that passed.
    """
    found = {}
    for text in recorded:
        row, column, outcome = text.split("|")
        found[row, column] = outcome
    networks_ = networks.encoders.__all__
    lines = [
        "# What is tested with what",
        "",
        "`./launch.sh test -m '' --combinations=docs/combinations.md` made this of what passed at",
        f"revision {runs.git_revision()}, {time.strftime('%Y-%m-%d')}. Empty cells were not run;",
        "`refused` are combinations that make no sense: an error says why.",
        *table("Objectives and ways to run", objectives.__all__, WAYS, found),
        *table(
            "Objectives and likelihoods",
            likelihoods.__all__,
            objectives.__all__,
            {(c, r): v for (r, c), v in found.items()},
        ),
        *table(
            "Networks and likelihoods",
            likelihoods.__all__,
            networks_,
            {(c, r): v for (r, c), v in found.items()},
        ),
        *table("Likelihoods from data to report", likelihoods.__all__, RUNS, found),
    ]
    path.write_text("\n".join(lines) + "\n")

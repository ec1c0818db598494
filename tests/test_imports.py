"""Imports run one way: no file and no room imports, however indirectly, what imports it.

Those for types alone and those inside functions count too. Only `vae/__init__.py`, the library's
front, may name what is above it, inside functions.
"""

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    (above + ".".join(path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for above, package in (("", "vae"), ("vae.", "configs"), ("", "experiments"))
    for path in (ROOT / package).rglob("*.py")
}


def imported(module: str) -> set[str]:
    """The files that a file imports."""
    tree = ast.parse(FILES[module].read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in FILES else node.module for name in whole}
    return {name for name in names if name in FILES} - {module}


GRAPH = {module: imported(module) for module in FILES if module != "vae"}


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_file_is_in_a_circle():
    assert circle(GRAPH) == []


def test_no_room_is_in_a_circle():
    """A room is a folder of the package, or a file beside the folders."""
    rooms = defaultdict(set)
    for module, others in GRAPH.items():
        own = ".".join(module.split(".")[:2])
        rooms[own] |= {".".join(other.split(".")[:2]) for other in others} - {own}
    assert circle(rooms) == []


COMPUTING = ("probability", "networks", "objectives", "data", "models", "estimators", "scores")


@pytest.mark.parametrize("room", [f"vae.{name}" for name in COMPUTING])
def test_what_computes_knows_nothing_of_runs_and_pages(room):
    above = ("vae.training", "vae.evaluation", "vae.sweeps", "vae.reports", "vae.__main__")
    for module, others in GRAPH.items():
        if module.startswith(f"{room}."):
            wrong = [other for other in others if other.startswith(above)]
            assert not wrong, f"{module} imports {', '.join(wrong)}"

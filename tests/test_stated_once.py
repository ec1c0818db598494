"""What there is to choose from is named where it is defined, and nowhere else.

A list that repeats some of the names would go wrong with the next one that is added.
"""

import ast
from pathlib import Path

import pytest

from vae import keys, metrics, objectives
from vae.evaluation.groups import GROUPS
from vae.models.build import KINDS
from vae.probability import likelihoods, posteriors, priors
from vae.protocols import BOUND

ROOT = Path(__file__).resolve().parent.parent / "vae"
KNOWN = {  # of a kind: the names, and the files that declare them
    "objectives": (objectives.__all__, "objectives/"),
    "likelihoods": (likelihoods.__all__, "probability/likelihoods.py"),
    "posteriors": (posteriors.__all__, "probability/posteriors.py"),
    "priors": (priors.__all__, "probability/priors.py"),
    "models": (KINDS, "models/build.py"),
    "groups of metrics": (GROUPS, "evaluation/groups.py"),
    "keys": ([key for key in keys.KEYS if "." in key], "keys.py"),
}


def listed(path: Path, few: int = 3, mappings: bool = True) -> list[tuple[int, set[str]]]:
    """Lines of a file and the strings of the tuple, list, set or mapping that is written there."""
    found, kinds = [], ast.Tuple | ast.List | ast.Set
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, kinds | ast.Dict if mappings else kinds):
            parts = node.keys if isinstance(node, ast.Dict) else node.elts
            texts = {part.value for part in parts if isinstance(part, ast.Constant)}
            if len(texts) >= few:
                found.append((node.lineno, texts))
    return found


@pytest.mark.parametrize("kind", KNOWN)
def test_no_list_of_names_stands_apart_from_what_it_names(kind):
    names, place = KNOWN[kind]
    again = [
        (str(path.relative_to(ROOT)), line, sorted(found))
        for path in ROOT.rglob("*.py")
        if not str(path.relative_to(ROOT)).startswith(place)
        for line, texts in listed(path, mappings=kind != "keys")  # a mapping of keys is a setting
        if len(found := texts.intersection(names)) >= 3
    ]
    assert again == []


def test_no_list_of_metrics_stands_outside_the_room_that_declares_them():
    metrics.declared("")  # imports whatever declares one
    rooms = {name: module for name, (_, module) in metrics._DECLARED.items()}
    for path in ROOT.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for line, texts in listed(path):
            found = texts.intersection(rooms) - set(BOUND)
            apart = {n for n in found if not module.startswith(rooms[n].rpartition(".")[0])}
            assert len(apart) < 3, (module, line, sorted(apart))


def test_a_list_is_found(tmp_path):
    """The search itself."""
    (tmp_path / "a.py").write_text('X = ("elbo", "iwae", "vq")\nY = {"elbo": 1, "b": 2}\n')
    assert listed(tmp_path / "a.py") == [(1, {"elbo", "iwae", "vq"})]

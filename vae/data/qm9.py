"""QM9: 133,885 small molecules (Ramakrishnan et al. 2014), as sequences of tokens.

`qm9` has SELFIES (Krenn et al. 2020), every sequence of which is a molecule; `qm9_smiles` SMILES.
Id 0 ends a sequence and fills it up. The context of a molecule is its QED, logP and weight, by
RDKit. Needs the packages of the extra `apps`.
"""

import gzip
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae.errors import UserError

URL = "https://raw.githubusercontent.com/aspuru-guzik-group/selfies/master/tests/test_sets/qm9.csv"
END = "[end]"
PROPERTIES = ("qed", "logp", "weight")
_SELFIES_AFTER = re.compile(r"\[[^\]]*(Ring|Branch)\d\]")
_SMILES = re.compile(r"\[[^\]]+\]|Br|Cl|%\d\d|.")


def need_packages() -> None:
    """Raises UserError where RDKit or SELFIES are not installed."""
    for package in ("rdkit", "selfies"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"molecules need {package}: pip install 'vae[apps]'")


def arrays(folder: Path, tokens: str) -> dict[str, np.ndarray]:
    """`x`: ids, uint8 [N, T]; `context`: properties [N, 3]; `vocabulary`: the ids' tokens.

    Args:
      folder: that holds qm9.csv or qm9.csv.gz, with the column `smiles`.
      tokens: "selfies" or "smiles".

    Raises:
      UserError: no such file, packages are missing, or a line is no molecule.
    """
    need_packages()
    path = next((p for p in (folder / "qm9.csv", folder / "qm9.csv.gz") if p.is_file()), None)
    if path is None:
        raise UserError(f"no qm9.csv or qm9.csv.gz in {folder}: give its folder by --from")
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as file:
        names = file.readline().strip().split(",")
        if "smiles" not in names:
            raise UserError(f"{path} has no column named smiles")
        column = names.index("smiles")
        lines = [line.strip().split(",")[column] for line in file if line.strip()]
    sequences, rows = [], []
    for number, line in enumerate(lines):
        mol = molecule(line)
        if mol is None:
            raise UserError(f"{path}, molecule {number}: {line!r} is not SMILES")
        sequences.append(split(mol, tokens))
        rows.append(properties(mol))
    vocabulary = (END, *sorted({token for each in sequences for token in each}))
    return {
        "x": numbered(sequences, vocabulary, max(map(len, sequences)) + 1),
        "context": np.array(rows, np.float64),
        "vocabulary": np.array(vocabulary),
    }


def numbered(sequences: list[list[str]], vocabulary: tuple[str, ...], length: int) -> np.ndarray:
    """Ids [N, length] of sequences of tokens, filled up with the end's."""
    number = {token: i for i, token in enumerate(vocabulary)}
    ids = np.zeros((len(sequences), length), np.uint8)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = [number[token] for token in tokens]
    return ids


def split(molecule: Any, tokens: str) -> list[str]:
    """A molecule's tokens, of its canonical SMILES or of SELFIES made from them."""
    from rdkit import Chem

    smiles = Chem.MolToSmiles(molecule)
    if tokens == "smiles":
        return _SMILES.findall(smiles)
    import selfies

    return list(selfies.split_selfies(selfies.encoder(smiles)))


def smiles_of(tokens: list[str], vocabulary: Sequence[str]) -> str:
    """SMILES of tokens of either kind, "" for none; valid or not where they are SMILES."""
    text = "".join(tokens)
    if not all(token.startswith("[") for token in vocabulary):  # as those of SELFIES do
        return text
    import selfies

    return selfies.decoder(text)


def never_first(vocabulary: Sequence[str]) -> tuple[int, ...]:
    """Ids that no molecule begins with: the end, and, in SELFIES, rings and branches, which are
    passed over where there is no atom yet. None where the tokens are not a molecule's."""
    if not vocabulary or vocabulary[0] != END:
        return ()
    return tuple(
        i for i, token in enumerate(vocabulary) if i == 0 or _SELFIES_AFTER.fullmatch(token)
    )


def molecule(smiles: str) -> Any:
    """RDKit's molecule, or None where there is none."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]  # compiled
    return Chem.MolFromSmiles(smiles) if smiles else None


def properties(mol: Any) -> tuple[float, float, float]:
    """QED (Bickerton et al. 2012), logP (Wildman & Crippen 1999), and weight in daltons."""
    from rdkit.Chem import QED, Crippen, Descriptors

    compiled: Any = (Crippen, Descriptors)  # their functions are found when they are imported
    return QED.qed(mol), compiled[0].MolLogP(mol), compiled[1].MolWt(mol)

"""Molecules that a trained model of token sequences makes."""

import importlib.util
from pathlib import Path

import numpy as np

from vae import npz
from vae.data import qm9
from vae.errors import UserError
from vae.evaluation import accepted
from vae.evaluation.trained import PART, Trained, load
from vae.metrics import Kind
from vae.scores import smiles

RECONSTRUCTION = Kind("reconstruction", "Reconstruction", "up")
R2 = Kind("r2_{:d}", "R² of property {}", "up")


def are(run: Trained) -> bool:
    """Whether the run is of molecules, and can be drawn here."""
    vocabulary = run.described.get("vocabulary", ())
    return qm9.END in vocabulary[:1] and importlib.util.find_spec("rdkit") is not None


def of_run(run: Trained, ids: np.ndarray) -> list[str]:
    """Canonical SMILES of ids [N, T], "" where they are no molecule.

    Raises:
      UserError: the run is not of molecules.
    """
    vocabulary = run.described.get("vocabulary", ())
    if qm9.END not in vocabulary[:1]:
        raise UserError(f"{run.workdir} was not trained on molecules, such as data.name=qm9")
    qm9.need_packages()
    return [smiles.of_tokens(row, vocabulary) for row in ids]


def generate(
    workdir: str | Path, num: int, output: str | Path, seed: int = 0, temperature: float = 1.0
) -> dict[str, int]:
    """Writes molecules drawn from the prior, one SMILES a line.

    Args:
      output: a .smi file.
      temperature: of the prior's noise.

    Returns:
      How many were `drawn`, and how many of them are molecules and are `written`.

    Raises:
      UserError: no run of molecules there, or nothing valid was drawn; nothing is written.
    """
    output = Path(output)
    if output.suffix != ".smi":
        raise UserError(f"--output={output}: give a name that ends in .smi")
    accepted.draws(num, seed)
    if not temperature > 0:
        raise UserError(f"--temperature={temperature:g}: give a number above 0")
    run = load(workdir)
    if "vocabulary" not in run.described:
        of_run(run, np.zeros((0, 1)))  # refuses before anything is drawn
    output.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with npz.replacing(output) as temporary, open(temporary, "w") as file:
        for start in range(0, num, PART):
            count = min(PART, num - start)
            ids = run.sample(count, seed, temperature, draw=True, first=start)
            made = [molecule for molecule in of_run(run, ids) if molecule]
            file.writelines(f"{molecule}\n" for molecule in made)
            written += len(made)
        if not written:
            raise UserError(f"none of {num:,} sequences drawn from {workdir} is a molecule")
    return {"drawn": num, "written": written}

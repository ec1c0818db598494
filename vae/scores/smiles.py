"""Molecules as SMILES: which are any, what they are like, and how they compare with the data's."""

from collections.abc import Sequence

import numpy as np

from vae.data import qm9
from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name
from vae.scores.samples.distances import frechet_distance
from vae.scores.samples.families import DIVERSITY

FINGERPRINT = 256  # entries that Morgan fingerprints are folded to
RADIUS = 2  # bonds
MOST_PAIRS = 20_000  # of molecules, for diversity
VALIDITY = Kind("validity", "Validity", "up")
UNIQUENESS = Kind("uniqueness", "Uniqueness", "up")
NOVELTY = Kind("novelty", "Novelty", "up")
WASSERSTEIN = Kind("wasserstein_{}", "Wasserstein distance of {}", "down")  # of qm9.PROPERTIES
FRECHET = Kind("frechet_morgan", "Fréchet distance, Morgan fingerprints", "down")


def tokens(ids: np.ndarray, vocabulary: Sequence[str]) -> list[str]:
    """The tokens of ids [T] before the end."""
    ids = np.asarray(ids).astype(int)
    ended = np.flatnonzero(ids == 0)
    return [vocabulary[i] for i in ids[: ended[0] if len(ended) else len(ids)]]


def of_tokens(ids: np.ndarray, vocabulary: Sequence[str]) -> str:
    """Canonical SMILES of ids [T], or "" where they are no molecule."""
    return canonical(qm9.smiles_of(tokens(ids, vocabulary), vocabulary))


def canonical(smiles: str) -> str:
    """RDKit's canonical SMILES, or "" for what is no molecule."""
    from rdkit import Chem

    molecule = qm9.molecule(smiles)
    return "" if molecule is None else Chem.MolToSmiles(molecule)


def scores(
    made: Sequence[str], reference: Sequence[str], training: Sequence[str]
) -> dict[str, Metric]:
    """Metrics of molecules made, as canonical SMILES, "" for what is none.

    - `validity`: share that are molecules;
    - `uniqueness`: of those, distinct ones;
    - `novelty`: of the distinct, those not among `training`;
    - `diversity`: 1 - Tanimoto similarity of Morgan fingerprints, the mean over pairs;
    - `wasserstein_qed`, `_logp`, `_weight`: distance of a property's distribution from that of
      `reference`;
    - `frechet_morgan`: squared Frechet distance of folded Morgan fingerprints from `reference`'s,
      where there are enough of both.

    Raises:
      UserError: none is a molecule.
    """
    from scipy.stats import wasserstein_distance

    valid = [smiles for smiles in made if smiles]
    if not valid:
        raise UserError(f"none of {len(made):,} sequences is a molecule")
    distinct = sorted(set(valid))
    known = set(training)
    new = [smiles not in known for smiles in distinct]
    found = [
        VALIDITY([bool(smiles) for smiles in made], f"share of {len(made):,} made"),
        UNIQUENESS.of(
            len(distinct) / len(valid), unit=f"distinct share of {len(valid):,} molecules"
        ),
        NOVELTY(new, f"share of {len(new):,} distinct not among {len(known):,}"),
        DIVERSITY(diversity(valid), "1 - Tanimoto similarity, Morgan fingerprints of radius 2"),
    ]
    ours, theirs = (properties(each) for each in (valid, [s for s in reference if s]))
    for name, mine, other in zip(qm9.PROPERTIES, ours.T, theirs.T, strict=True):
        unit = f"distance of distributions{' daltons' if name == 'weight' else ''}"
        unit += f"; {len(ours):,} and {len(theirs):,}"
        found.append(WASSERSTEIN[name].of(wasserstein_distance(mine, other), unit=unit))
    prints = [fingerprints(each) for each in (valid, [s for s in reference if s])]
    count = min(map(len, prints))
    if count > FINGERPRINT:
        unit = f"squared, counts of Morgan's environments of radius {RADIUS}, folded to "
        unit += f"{FINGERPRINT}; {count:,} and {count:,}"
        found.append(FRECHET.of(frechet_distance(*(each[:count] for each in prints)), unit=unit))
    return by_name(*found)


def properties(smiles: Sequence[str]) -> np.ndarray:
    """QED, logP and weight of molecules: [N, 3]."""
    return np.array([qm9.properties(qm9.molecule(each)) for each in smiles])


def fingerprints(smiles: Sequence[str]) -> np.ndarray:
    """Counts of each molecule's Morgan environments (Rogers & Hahn 2010), folded: [N, 256]."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=FINGERPRINT)
    return np.array(
        [generator.GetCountFingerprintAsNumPy(qm9.molecule(each)) for each in smiles], np.float64
    )


def diversity(smiles: Sequence[str], seed: int = 0) -> np.ndarray:
    """1 - Tanimoto similarity of random pairs of molecules: [pairs]."""
    prints = fingerprints(smiles) > 0
    pairs = np.random.default_rng(seed).integers(0, len(smiles), (MOST_PAIRS, 2))
    a, b = (prints[column] for column in pairs[pairs[:, 0] != pairs[:, 1]].T)
    if not len(a):
        return np.zeros(1)
    return 1.0 - (a & b).sum(1) / np.maximum((a | b).sum(1), 1)


def picture(smiles: Sequence[str], columns: int = 6, side: int = 180) -> np.ndarray:
    """Structures of molecules in a grid: [H, W, 3] in [0, 1]."""
    from rdkit.Chem import Draw

    image = Draw.MolsToGridImage(
        [qm9.molecule(each) for each in smiles], molsPerRow=columns, subImgSize=(side, side),
        returnPNG=False,
    )  # fmt: skip
    return np.asarray(image.convert("RGB"), np.float32) / 255.0

"""Frey faces: 1,965 grey frames, 28 x 20, of one face (S. Roweis); the file of VampPrior's code."""

import hashlib
import pickle
import warnings
from pathlib import Path

import numpy as np

from vae.errors import UserError

URL = (
    "https://raw.githubusercontent.com/jmtomczak/vae_vampprior/master/datasets/Freyfaces/"
    "freyfaces.pkl"
)
SHA256 = "3b69410c6a5fd6e03f09012905168be3712373a094a776f7e58fcd0670d2138a"
SHAPE = (28, 20, 1)


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """`x`: uint8 [1965, 28, 20, 1].

    Raises:
      UserError: no such file, or another one.
    """
    path = folder / "freyfaces.pkl"
    if not path.is_file():
        raise UserError(f"no {path}: give --from the folder that holds freyfaces.pkl")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:  # a pickle can run anything: this one alone
        raise UserError(f"{path} is not the file known by that name: {URL}")
    with warnings.catch_warnings(action="ignore"):  # numpy has moved what it names
        (faces,) = pickle.loads(content, encoding="latin1")
    return {"x": faces.reshape(-1, *SHAPE)}

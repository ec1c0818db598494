"""ADBench's classical tables (Han et al. 2022): ordinary rows to train on, and anomalies.

The split is that of the semi-supervised comparisons (Livernoche et al. 2024): the first half of the
ordinary rows, in the order of the file, trains; the rest and all anomalies test, with label 1. Of
more than 50,000 rows a fixed draw of so many is kept. Unlike there, small tables are not drawn up
to 1,000 rows with repetition, because that puts copies of training rows into the test.
"""

from pathlib import Path

import numpy as np

from vae import npz
from vae.errors import UserError

MOST = 50_000  # rows of a table
SEED = 0  # of the draw
_FILES = """
1_ALOI 2_annthyroid 3_backdoor 4_breastw 5_campaign 6_cardio 7_Cardiotocography 8_celeba 9_census
10_cover 11_donors 12_fault 13_fraud 14_glass 15_Hepatitis 16_http 17_InternetAds 18_Ionosphere
19_landsat 20_letter 21_Lymphography 22_magic.gamma 23_mammography 24_mnist 25_musk 26_optdigits
27_PageBlocks 28_pendigits 29_Pima 30_satellite 31_satimage-2 32_shuttle 33_skin 34_smtp 35_SpamBase
36_speech 37_Stamps 38_thyroid 39_vertebral 40_vowels 41_Waveform 42_WBC 43_WDBC 44_Wilt 45_wine
46_WPBC 47_yeast
""".split()
NAMES = {f"adbench/{file.partition('_')[2]}": f"{file}.npz" for file in _FILES}


def url(name: str) -> str:
    """Where the original .npz of a table is downloaded from."""
    root = "https://raw.githubusercontent.com/Minqi824/ADBench/main/adbench/datasets/Classical"
    return f"{root}/{NAMES[name]}"


def arrays(folder: Path, name: str) -> dict[str, np.ndarray]:
    """`x_train`, `x_test` [N, D] float64, and their labels, 1 for an anomaly.

    Raises:
      UserError: no such file, or it has no X and y.
    """
    path = folder / NAMES[name]
    if not path.is_file():
        raise UserError(f"no {path}: give --from the folder that holds {NAMES[name]}")
    try:
        content = npz.read(path)
        x, y = content["X"].astype(np.float64), content["y"].astype(np.int32)
    except npz.NOT_ARRAYS as error:
        raise UserError(f"{path} is no table of ADBench ({error})") from None
    if len(x) > MOST:
        rows = np.sort(np.random.default_rng(SEED).permutation(len(x))[:MOST])
        x, y = x[rows], y[rows]
    ordinary, anomalies = x[y == 0], x[y == 1]
    half = len(ordinary) // 2
    rest = len(ordinary) - half
    return {
        "x_train": ordinary[:half],
        "x_test": np.concatenate([ordinary[half:], anomalies]),
        "y_train": np.zeros(half, np.int32),
        "y_test": np.repeat([0, 1], [rest, len(anomalies)]).astype(np.int32),
    }

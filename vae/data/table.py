"""The table of data sets, one row each.

`sizes` are the splits of the source itself. A row without a test or validation split takes them
from the training set: the last rows, or rows drawn by a fixed seed where the order means something.
"""

import dataclasses
from typing import Any

from vae.choices import choose
from vae.data.adbench import NAMES as _ADBENCH

SEED = 20131220  # of every split, subset and static binarisation: the same in all runs


@dataclasses.dataclass(frozen=True)
class Row:
    """One data set: where it comes from, what it holds, how it is read."""

    source: str  # the room that reads it: 'bundled', 'rendered', 'files', 'tfds', 'arrays'
    version: str
    shape: tuple[int, ...]  # of an example as it is loaded; () for the user's own files
    sizes: dict[str, int]  # examples in the splits of the source
    kind: str = "grey"
    levels: int = 256
    validation: int = 0  # examples that make the validation set, unless the config says; 0: a tenth
    test: int = 0  # the same for the test set
    shuffle: bool = False  # take those by a fixed seed, because the order means something
    tfds: str = ""  # TFDS name, with its config
    image: str = "image"  # TFDS feature keys
    label: str = ""
    factors: tuple[tuple[str, int], ...] = ()  # TFDS feature key (or name), number of values
    crop: int = 0  # side of the centre that is kept before the image is resized
    transpose: bool = False  # stored with rows and columns exchanged
    ink: bool = False  # dark strokes on white in three channels: to bright on black in one


def _tfds(name: str, version: str, shape: tuple[int, ...], train: int, **rest: Any) -> Row:
    """A row read through TFDS; `rest` may give the source's `test_size` and `validation_size`."""
    sizes = {"train": train}
    for split in ("validation", "test"):
        if size := rest.pop(f"{split}_size", 0):
            sizes[split] = size
    return Row("tfds", version, shape, sizes, tfds=name, **rest)


def _movielens(users: int, validation: int, test: int) -> Row:
    return Row(
        "arrays", "1.0", (), {"train": users}, "counts", 0, validation, test, shuffle=True
    )


_QM9 = Row(
    "arrays", "1.0", (), {"train": 133_885}, "tokens", 0, validation=5_000, test=10_000,
    shuffle=True,
)  # fmt: skip
_SPRITES = (("shape", 3), ("scale", 6), ("orientation", 40), ("x", 32), ("y", 32))
_DSPRITES = (
    ("label_shape", 3),
    ("label_scale", 6),
    ("label_orientation", 40),
    ("label_x_position", 32),
    ("label_y_position", 32),
)
_SHAPES3D = (
    ("label_floor_hue", 10),
    ("label_wall_hue", 10),
    ("label_object_hue", 10),
    ("label_scale", 8),
    ("label_shape", 4),
    ("label_orientation", 15),
)
_SMALLNORB = (
    ("label_category", 5),
    ("instance", 10),
    ("label_elevation", 9),
    ("label_azimuth", 18),
    ("label_lighting", 6),
)
_SMALL = (28, 28, 1)
_GRID: dict[str, Any] = dict(kind="binary", levels=2, validation=36_864, test=36_864, shuffle=True)
_MNIST: dict[str, Any] = dict(test_size=10_000, validation=10_000, label="label")

ROWS = {
    "digits": Row(
        "bundled", "1.0", (8, 8, 1), {"train": 1_797}, levels=17, validation=200, test=300,
        shuffle=True,
    ),
    "breast_cancer": Row(
        "bundled", "1.0", (30,), {"train": 569}, "real", 0, validation=57, test=200, shuffle=True
    ),
    "sprites": Row("rendered", "1.0", (64, 64, 1), {"train": 737_280}, factors=_SPRITES, **_GRID),
    "files": Row("files", "local", (), {}, shuffle=True),
    "mnist": _tfds("mnist", "3.0.1", _SMALL, 60_000, **_MNIST),
    "fashion_mnist": _tfds("fashion_mnist", "3.0.1", _SMALL, 60_000, **_MNIST),
    "kmnist": _tfds("kmnist", "3.0.1", _SMALL, 60_000, **_MNIST),
    "emnist/letters": _tfds(
        "emnist/letters", "3.1.0", _SMALL, 88_800, test_size=14_800, validation=14_800,
        label="label", transpose=True,
    ),
    "binarized_mnist": _tfds(
        "binarized_mnist", "1.0.0", _SMALL, 50_000, validation_size=10_000, test_size=10_000,
        kind="binary", levels=2,
    ),
    "omniglot": _tfds(
        "omniglot", "3.0.0", _SMALL, 19_280, test_size=13_180, validation=2_000, label="label",
        ink=True,
    ),
    "cifar10": _tfds(
        "cifar10", "3.0.2", (32, 32, 3), 50_000, test_size=10_000, validation=5_000, label="label"
    ),
    "svhn_cropped": _tfds(
        "svhn_cropped", "3.1.0", (32, 32, 3), 73_257, test_size=26_032, validation=7_000,
        label="label",
    ),
    "celeb_a": _tfds(
        "celeb_a", "2.1.0", (64, 64, 3), 162_770, validation_size=19_867, test_size=19_962,
        crop=148,
    ),
    "dsprites": _tfds("dsprites", "2.0.0", (64, 64, 1), 737_280, factors=_DSPRITES, **_GRID),
    "shapes3d": _tfds(
        "shapes3d", "2.0.0", (64, 64, 3), 480_000, validation=24_000, test=24_000, shuffle=True,
        factors=_SHAPES3D,
    ),
    "smallnorb": _tfds(
        "smallnorb", "2.0.0", (96, 96, 1), 24_300, test_size=24_300, validation=2_400,
        label="label_category", factors=_SMALLNORB,
    ),
}  # fmt: skip


ROWS |= {
    "freyfaces": Row(
        "arrays", "1.0", (28, 20, 1), {"train": 1_965}, validation=200, test=200, shuffle=True
    ),
    "qm9": _QM9,
    "qm9_smiles": _QM9,
    "movielens_100k": _movielens(942, 100, 200),
    "movielens_1m": _movielens(6_034, 500, 1_000),
    "movielens_20m": _movielens(136_677, 10_000, 10_000),
    **{name: Row("arrays", "1.0", (), {}, "real", 0, shuffle=True) for name in _ADBENCH},
}


def row(name: str) -> Row:
    """Returns the row of that name.

    Raises:
      UserError: no such data set; the message lists them all.
    """
    return choose(ROWS, name, "data.name")

"""Which rows of a source make the training, validation and test sets."""

import numpy as np

from vae.data.table import SEED
from vae.errors import UserError


def partition(
    sizes: dict[str, int],
    validation: int,
    test: int,
    shuffle: bool,
    exact: int = -1,
    size: int = 0,
    number: int = 0,
) -> dict[str, tuple[str, np.ndarray]]:
    """Divides the rows of a source; no row is used twice.

    Args:
      sizes: examples in each split of the source; 'train' at least.
      validation: examples for validation where the source has no such split.
      test: the same for the test.
      shuffle: draw those from the training set by a fixed seed, instead of taking its end.
      exact: if not -1, the number of validation examples, whatever the rest says.
      size: if not 0, the number of examples in all: a fixed draw, in proportion.
      number: of the draw; another gives other sets.

    Returns:
      For 'train', 'validation' and 'test', a split of the source and its rows, ascending.

    Raises:
      UserError: there are not enough examples.
    """
    if exact < -1 or exact == 0:
        raise UserError(f"data.validation_size={exact}: give 1 or more, or -1 for the default")
    if size < 0:
        raise UserError(f"data.size={size}: give 0 for all examples, or how many to draw")
    if number and not (shuffle and {"validation", "test"} - set(sizes)):
        raise UserError(f"data.split={number}: these data have one split; set data.split=0")
    result = {split: (split, np.arange(count)) for split, count in sizes.items()}
    draw = number if shuffle else None
    if "test" not in result:
        _carve(result, "test", test, draw, f"a test set of {test}")
    if "validation" not in result:
        wanted = validation if exact == -1 else exact
        _carve(result, "validation", wanted, draw, f"data.validation_size={wanted}")
    elif exact != -1:
        source, rows = result["validation"]
        if exact > len(rows):
            raise UserError(f"data.validation_size={exact} is more than the {len(rows)} there are")
        result["validation"] = (source, rows[:exact])
    if size:
        counts = _proportions({key: len(rows) for key, (_, rows) in result.items()}, size, exact)
        for key, (source, rows) in result.items():
            result[key] = (source, np.sort(_shuffled(rows, number)[: counts[key]]))
    return {key: result[key] for key in ("train", "validation", "test")}


def _shuffled(rows: np.ndarray, number: int) -> np.ndarray:
    """The same shuffle in every run."""
    seed = [SEED, len(rows), number] if number else [SEED, len(rows)]
    return np.random.default_rng(seed).permutation(rows)


def _carve(result: dict, split: str, count: int, draw: int | None, what: str) -> None:
    """Moves `count` rows of the training set into a new split: the last, or the draw's."""
    source, rows = result["train"]
    if not 1 <= count < len(rows):
        have = f"{len(rows)} example{'s' * (len(rows) != 1)}"
        raise UserError(f"{what} does not leave a training set: of {have}; give more")
    rows = rows if draw is None else _shuffled(rows, draw)
    result["train"] = (source, np.sort(rows[:-count]))
    result[split] = (source, np.sort(rows[-count:]))


def _proportions(sizes: dict[str, int], size: int, exact: int) -> dict[str, int]:
    """Shares `size` out over the splits; all get one at least, and validation `exact` if not -1."""
    total = sum(sizes.values())
    if size > total:
        raise UserError(f"data.size={size} is more than the {total} examples there are")
    counts = {key: max(1, round(size * count / total)) for key, count in sizes.items()}
    if exact != -1:
        counts["validation"] = exact
        free = (size - exact) / (total - sizes["validation"])
        counts["test"] = max(1, round(free * sizes["test"]))
    counts["train"] = size - counts["validation"] - counts["test"]  # takes up the rounding
    if not 1 <= counts["train"] <= sizes["train"]:
        raise UserError(f"data.size={size} is too small for a training, validation and test set")
    return counts

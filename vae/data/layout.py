"""Which arrays of a file are what: splits by their names, channels by their axis."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae.data import images, pictures
from vae.errors import UserError

Arrays = dict[str, tuple[Any, Any, Any]]  # by split: examples, labels, context (or None)


def arrays(content: Mapping[str, Any], path: Path) -> Arrays:
    """The arrays of each split that there is, channels last.

    Args:
      content: the file's arrays, by name.

    Raises:
      UserError: none of them holds training examples.
    """
    return _channels_last(_by_split(content, path), path)


def _by_split(content: Mapping[str, Any], path: Path) -> Arrays:
    """Returns, for each split there is, its examples, its labels and its context (or None)."""
    unread = set(content) - {"columns", "vocabulary"}

    def first(*names: str) -> np.ndarray | None:
        name = next((name for name in names if name in content), None)
        unread.discard(name)
        return None if name is None else content[name]

    found: Arrays = {}
    for split in pictures.SPLITS:
        x = first(split, f"x_{split}", f"X_{split}")
        labels = first(f"{split}_labels", f"y_{split}")
        found[split] = (x, labels, first(f"{split}_context"))
    if found["train"][0] is None:
        found["train"] = (first("x", "X"), first("labels", "y", "Y"), first("context"))
    if found["train"][0] is None:
        raise UserError(
            f"{path} holds {', '.join(content) or 'nothing'}: name the array x or train"
        )
    if unread:
        names = ", ".join(sorted(unread))
        warnings.warn(f"{path} holds arrays that are not read: {names}", stacklevel=2)
    return {split: arrays for split, arrays in found.items() if arrays[0] is not None}


def _channels_last(arrays: Arrays, path: Path) -> Arrays:
    """Brings [N, C, H, W] to [N, H, W, C], and says so; `images.channels_first` tells which."""
    turned, said = {}, ""
    for split, (x, *rest) in arrays.items():
        if images.channels_first(x.shape):
            x = x.transpose(0, 2, 3, 1)
            said = "the channels are first, [N, C, H, W]: they are put last"
        elif x.ndim == 4 and x.shape[3] > images.CHANNELS:
            _, height, width, channels = x.shape
            said = f"taken for {height}x{width} pixels of {channels} channels, [N, H, W, C]"
        turned[split] = (x, *rest)
    if said:
        warnings.warn(f"{path}: {said}", stacklevel=2)
    return turned

"""The `recommend` verb: items for a user who was not in the data, by a run trained on likes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vae.choices import nearest
from vae.errors import UserError
from vae.evaluation.trained import Trained, load
from vae.scores.ranking import first


def score(run: Trained, shown: np.ndarray) -> np.ndarray:
    """log of each item's share at the posterior mean: [U, I], of likes shown [U, I]."""
    return np.log(np.maximum(run.reconstruct(shown), 1e-30))


def recommend(workdir: str | Path, user: Sequence[str], num: int = 10) -> list[tuple[str, float]]:
    """The items that the model expects most beside those that a user likes.

    Args:
      user: items, each by its title or a part of it that no other title has; where no title is a
        number, also by its number in the data.

    Returns:
      Titles and their shares of what the model expects, best first.

    Raises:
      UserError: no such run, one that was not trained on likes, or an unknown item.
    """
    run = load(workdir)
    if not run.facts.shares or len(run.shape) != 1:
        raise UserError(f"{workdir} is no run of likes: they need model.likelihood=multinomial")
    items = run.shape[0]
    titles = list(map(str, run.described.get("columns") or range(items)))
    shown = np.zeros((1, items), np.float32)
    for name in user:
        shown[0, _number(name, titles)] = 1.0
    if num < 1:
        raise UserError(f"--num={num}: give 1 or more")
    expected = run.reconstruct(shown)[0]
    ranked = np.where(shown[0] > 0, -np.inf, expected)[None]
    best = first(ranked, min(num, items - int(shown.sum())))[0]
    return [(titles[item], float(expected[item])) for item in best]


def _number(name: str, titles: Sequence[str]) -> int:
    """The number of an item.

    Raises:
      UserError: no such item; the message names the nearest.
    """
    if name in titles:
        return titles.index(name)
    named = any(map(_is_number, titles))  # then "7" is the one that is called so, or none
    if not named and _is_number(name) and int(name) < len(titles):
        return int(name)
    whole = named and _is_number(name)  # "1" is not short for "10"
    folded = [title for title in titles if name.lower() in title.lower() and not whole]
    if len(folded) == 1:
        return titles.index(folded[0])
    if len(folded) > 1:
        raise UserError(f"--user={name!r} may be {', '.join(map(repr, folded[:5]))}: give it whole")
    numbers = "" if named else f", or a number from 0 to {len(titles) - 1:,}"
    raise UserError(
        f"--user={name!r} is no item of the data{nearest(name, titles)}: give a title{numbers}"
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()

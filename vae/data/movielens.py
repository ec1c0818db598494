"""MovieLens (GroupLens): which films each user liked, a row a user.

As Liang et al. 2018: a rating above 3.5 is a like, and users with at least 5 likes are kept. Films
that nobody of them likes are left out.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vae.errors import UserError

LIKED = 3.5  # ratings above it
FEWEST = 5  # likes of a user
_ROOT = "https://files.grouplens.org/datasets/movielens"
SETS = {
    "movielens_100k": ("100k", f"{_ROOT}/ml-100k.zip"),
    "movielens_1m": ("1m", f"{_ROOT}/ml-1m.zip"),
    "movielens_20m": ("20m", f"{_ROOT}/ml-20m.zip"),
}
_FILES = {  # of the ratings and of the titles, and what separates their columns
    "100k": ("u.data", "\t", "u.item", "|"),
    "1m": ("ratings.dat", "::", "movies.dat", "::"),
    "20m": ("ratings.csv", ",", "movies.csv", ","),
}


def arrays(folder: Path, size: str) -> dict[str, np.ndarray]:
    """`x`: uint8 [users, films] of zeros and ones, users and films in the order of their numbers;
    `columns`: the films' titles, with the number of one that has another's title.

    Raises:
      UserError: the files are missing or are not MovieLens'.
    """
    ratings, by, titles, between = _FILES[size]
    try:
        likes = np.array([
            (int(user), int(film))
            for user, film, rating, *_ in _rows(folder / ratings, by)
            if float(rating) > LIKED
        ])  # fmt: skip
        named = {int(row[0]): row[1].strip() for row in _rows(folder / titles, between)}
    except (ValueError, IndexError) as error:
        raise UserError(f"{folder}: {ratings} and {titles} are not MovieLens' ({error})") from None
    if not len(likes):
        raise UserError(f"{folder / ratings} holds no rating above {LIKED}")
    users, counts = np.unique(likes[:, 0], return_counts=True)
    likes = likes[np.isin(likes[:, 0], users[counts >= FEWEST])]
    users, user = np.unique(likes[:, 0], return_inverse=True)
    films, film = np.unique(likes[:, 1], return_inverse=True)
    x = np.zeros((len(users), len(films)), np.uint8)
    x[user, film] = 1
    return {"x": x, "columns": np.array(_titles(films, named))}


def _titles(films: np.ndarray, named: dict[int, str]) -> list[str]:
    """A name for each film, no two the same: some films are in MovieLens under two numbers."""
    known = [named.get(int(film), f"film {film}") for film in films]
    often = Counter(known)
    return [
        title if often[title] == 1 else f"{title}, film {film}"
        for title, film in zip(known, films, strict=True)
    ]


def _rows(path: Path, by: str) -> Iterator[list[str]]:
    """The rows of a file but for a first one of names."""
    try:
        with open(path, encoding="latin-1", newline="") as file:
            rows = csv.reader(file) if by == "," else (line.rstrip("\n").split(by) for line in file)
            for number, row in enumerate(rows):
                if number or row[0].isdigit():
                    yield row
    except FileNotFoundError:
        raise UserError(f"no {path}: give --from the folder that holds {path.name}") from None

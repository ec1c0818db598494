"""The file of compressed data: what it takes to read it again, the bits, and a checksum.

    bytes 0-7     "vaebits" and the version, 2
    4             length of the header, H; all numbers are little-endian
    H             the header, JSON: see `Header`
    4 a word      the stacks' words, one stack after the other
    32            SHA-256 of all before
"""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from vae import npz
from vae.errors import UserError

MAGIC = b"vaebits\x02"
SUM = 32  # bytes of the checksum


@dataclasses.dataclass(frozen=True)
class Header:
    """What both sides have to agree on."""

    num: int  # examples
    shape: list[int]  # of one
    levels: int  # values of a number
    precision: int  # bits of a latent
    seed: int  # of the first bits
    words: list[int]  # of each stack
    first_words: int  # of those, random ones that each began with
    weights: str  # SHA-256 of the config and the weights
    jax: str
    device: str


def write(path: Path, header: Header, words: list[np.ndarray]) -> int:
    """Writes the file whole or not at all; returns its size in bytes."""
    text = json.dumps(dataclasses.asdict(header)).encode()
    parts = [MAGIC, len(text).to_bytes(4, "little"), text]
    content = b"".join([*parts, *(w.astype("<u4").tobytes() for w in words)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with npz.replacing(path) as temporary:
        temporary.write_bytes(content + hashlib.sha256(content).digest())
    return len(content) + SUM


def read(path: Path) -> tuple[Header, list[np.ndarray]]:
    """Header and words of each stack.

    Raises:
      UserError: no such file, another, or a damaged one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    if not content.startswith(MAGIC[:-1]):
        raise UserError(f"{path} is no file that compress wrote")
    if content[len(MAGIC) - 1] != MAGIC[-1]:
        raise UserError(
            f"{path} has version {content[len(MAGIC) - 1]} of the format, and this program reads "
            f"version {MAGIC[-1]}: use the program that wrote it"
        )
    body = content[:-SUM]
    if hashlib.sha256(body).digest() != content[-SUM:]:
        raise UserError(f"{path} is damaged: it is not as it was written; take another copy of it")
    start = len(MAGIC) + 4
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    try:
        header = Header(**json.loads(body[start:end]))
        words = np.frombuffer(body[end:], "<u4").astype(np.uint32)
        sizes = [header.num, header.precision, header.first_words, *header.words, *header.shape]
        if min(sizes) < 0 or sum(header.words) != len(words):
            raise ValueError("sizes that do not fit")
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is no file that compress wrote: its header: {error}") from None
    return header, np.split(words, np.cumsum(header.words)[:-1])

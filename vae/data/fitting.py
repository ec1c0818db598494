"""What `auto` in a config means for data at hand: keys of `data`, and the likelihood.

A data set of the table is seen as it always was: grey images binarised at every step, under a
Bernoulli likelihood. The user's own numbers are taken for what they look like, which the kinds of
`vae.data.files` cannot all tell by themselves: whole numbers of a table are counts there.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from vae.keys import AUTO

COUNTED = 2**24  # up to here float32 counts
WHITE = 255  # the largest grey level of 8 bits
OF_KIND = {  # a likelihood of each kind of numbers that a model sees
    "binary": "bernoulli",
    "grey": "discretized_logistic",
    "real": "gaussian_learned",
    "counts": "negative_binomial",
    "tokens": "categorical_tokens",
    "columns": "columns",
}
OF_COLOURS = "discretized_logistic_mixture"  # whose channels depend on each other


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of data before the config says how they are to be seen."""

    kind: str  # what they are where nobody says it; "" where that cannot be told
    shape: tuple[int, ...]  # of an example
    own: bool = False  # the user's, not of the table
    whole: bool = False  # no fractions; like what follows, known of the user's own arrays alone
    low: float = 0.0
    high: float = 0.0
    bytes: bool = False  # kept in the type that pictures are
    black_and_white: bool = False  # images of 0 and 255 alone
    mixed: bool = False  # a table with columns of text beside its numbers
    identifier: str = ""  # its column of identifiers
    axes: int = 0  # of the array in the file
    missing: int = 0  # numbers that are none, or not finite
    holes: bool = False  # vectors of which some numbers are missing

    @property
    def vectors(self) -> bool:
        return len(self.shape) < 2

    @property
    def fitted(self) -> str:
        """The kind that the user's own numbers look like."""
        if self.own and self.vectors and (self.mixed or self.holes):
            return "columns"
        if not (self.own and self.vectors and self.whole) or self.kind == "binary":
            return self.kind
        if self.low < 0 or self.high > COUNTED:
            return "real"
        return "grey" if self.high <= WHITE and (self.bytes or self.high == WHITE) else "counts"


def settled(
    data: Any, facts: Facts, likelihood: str = AUTO, kinds: Sequence[str] = ()
) -> dict[str, Any]:
    """Values for the keys that are left to the data: those of `config.data` by name, and
    "likelihood".

    Args:
      data: has the keys of `config.data`.
      likelihood: `config.model.likelihood`.
      kinds: of data that it is for, where it is given.
    """
    kind = data.kind or ("columns" if data.columns and not kinds else _kind(facts, kinds))
    found = dataclasses.replace(facts, kind=kind or facts.kind)
    values: dict[str, Any] = {"kind": kind}
    if data.id == AUTO:
        values["id"] = facts.identifier or "none"
    binarization = data.binarization
    if binarization == AUTO:
        binarization = values["binarization"] = _binarization(found, kinds)
    if data.standardize == AUTO:
        real = found.kind == "real" and found.vectors
        numbers = real and likelihood == AUTO and not data.stream
        values["standardize"] = numbers or found.kind == "columns"
    if likelihood == AUTO:
        values["likelihood"] = _likelihood(found, binarization)
    return values


def _kind(facts: Facts, kinds: Sequence[str]) -> str:
    """`data.kind` for the user's own numbers; "" where they are seen so anyway."""
    usual = {facts.kind, "binary"} if facts.kind == "grey" else {facts.kind}
    fitted = facts.fitted
    if not kinds:
        return "" if fitted == facts.kind else fitted
    if not facts.own and facts.vectors and facts.kind == "real" and "columns" in kinds:
        return "columns"  # a table among the data sets that have a name
    counts = fitted == "counts" and fitted in kinds
    if not facts.own or not facts.vectors or (usual & set(kinds) and not counts):
        return ""
    ways = (fitted, "counts", "tokens", "real", "columns")
    return next((kind for kind in ways if kind in kinds), "")


def _binarization(facts: Facts, kinds: Sequence[str]) -> str:
    """dynamic where the likelihood is one of zeros and ones, or, if that too is left to the data,
    of the table's grey images and its own zeros and ones."""
    of_bits = facts.kind in ("binary", "grey")
    if kinds:
        return "dynamic" if of_bits and "binary" in kinds else "none"
    if facts.black_and_white:
        return "static"  # black becomes 0 and white 1, without noise
    grey = len(facts.shape) == 3 and facts.shape[-1] == 1
    return "dynamic" if of_bits and not facts.own and (grey or facts.kind == "binary") else "none"


def _likelihood(facts: Facts, binarization: str) -> str:
    kind = "binary" if facts.kind == "grey" and binarization != "none" else facts.kind
    colours = kind == "grey" and not facts.vectors and facts.shape[-1] > 1
    return OF_COLOURS if colours else OF_KIND.get(kind, OF_KIND["real"])

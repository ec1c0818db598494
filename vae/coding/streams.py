"""Stacks of bits that symbols are pushed onto and popped from, several beside each other.

The entropy coder is ANS of the library `constriction`. What it is given is a table of whole numbers
a symbol, in proportion to its values' probabilities: see `whole`.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae.errors import UserError

WHOLE, CODED = 22, 24  # bits of a probability here, and of the coder's own
WORD = 32  # bits that stacks grow by


def library() -> Any:
    """The module `constriction`.

    Raises:
      UserError: it is not installed.
    """
    try:
        import constriction
    except ModuleNotFoundError:
        raise UserError("compress needs constriction: pip install 'vae[code]'") from None
    return constriction


class Shortage(Exception):  # noqa: N818
    """A stack had fewer bits than were to be popped."""


class Streams:
    """S stacks.

    Args:
      words: [n] of uint32 each: what lies on them at first.
      fresh: whether they are any bits, and not what other stacks held.
    """

    def __init__(self, words: Sequence[np.ndarray], fresh: bool = True):
        found = library()
        self._family = found.stream.model.Categorical(perfect=False)
        self._even = found.stream.model.Uniform
        self._stacks = [found.stream.stack.AnsCoder(w, seal=fresh) for w in words]

    @property
    def words(self) -> list[np.ndarray]:
        """What lies on each: [n] of uint32."""
        return [np.array(stack.get_compressed()) for stack in self._stacks]

    @property
    def bits(self) -> np.ndarray:
        """How much lies on each: [S]."""
        return np.array([stack.num_valid_bits() for stack in self._stacks])

    def push(self, symbols: np.ndarray, tables: np.ndarray, count: int) -> None:
        """Pushes symbols [S, n], by tables [S, n, K], onto the first `count` stacks."""
        for stack, row, table in zip(self._stacks[:count], symbols, tables, strict=False):
            stack.encode_reverse(np.ascontiguousarray(row, np.int32), self._family, table)

    def pop(self, tables: np.ndarray, count: int) -> np.ndarray:
        """Pops symbols that were pushed by tables [S, n, K], off the first `count`: [S, n], where
        zeros stand for those of the other stacks."""
        found = np.zeros(tables.shape[:2], np.int32)
        for number, stack in enumerate(self._stacks[:count]):
            found[number] = stack.decode(self._family, tables[number])
            if stack.num_valid_bits() <= 2 * WORD:
                raise Shortage
        return found

    def push_even(self, symbols: np.ndarray, bits: int, count: int) -> None:
        """Pushes symbols [S, n] of 2^bits that are as likely."""
        even = self._even(2**bits)
        for stack, row in zip(self._stacks[:count], symbols, strict=False):
            stack.encode_reverse(np.ascontiguousarray(row, np.int32), even)

    def pop_even(self, bits: int, num: int, count: int) -> np.ndarray:
        """Pops such symbols: [S, num]."""
        even = self._even(2**bits)
        found = np.zeros((len(self._stacks), num), np.int32)
        for number, stack in enumerate(self._stacks[:count]):
            found[number] = stack.decode(even, num)
        return found


def whole(probabilities: Any) -> Any:
    """Probabilities [..., K] as whole numbers of 2^-WHOLE, of 1 at least, in single precision,
    which has them exactly: what both sides code by. Most of a float's last digits are gone then."""
    found = (probabilities * 2.0**WHOLE).round()
    return found.clip(1.0).astype("float32")


def log2(tables: Sequence[np.ndarray], symbols: Sequence[np.ndarray]) -> np.ndarray:
    """log2 of the probabilities that symbols [S, n] are coded by, by tables [S, n, K], all summed:
    [S].

    The coder gives every value one 2^-CODED before it shares out the rest.
    """
    return np.asarray(_log2(tuple(tables), tuple(symbols)), np.float64)


@jax.jit
def _log2(tables: Sequence[jax.Array], symbols: Sequence[jax.Array]) -> jax.Array:
    found = jnp.zeros(len(tables[0]))
    for table, symbol in zip(tables, symbols, strict=True):
        chosen = jnp.take_along_axis(table, symbol[..., None].astype(jnp.int32), axis=-1)[..., 0]
        rest = 1.0 - table.shape[-1] / 2**CODED
        found += jnp.log2(rest * chosen / table.sum(-1) + 2.0**-CODED).sum(-1)
    return found

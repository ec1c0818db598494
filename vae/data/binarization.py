"""Grey pixels to zeros and ones, each pixel 1 with the probability of its brightness.

Both ways spend 16 random bits a pixel: a pixel is 1 when u + 1/2 < 65536 raw / (levels - 1) for u
uniform on 0..65535, so P(1) is off by at most 1/131072, black stays 0 and white stays 1.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax

_BLOCK = 16  # draws of 16 bits in one step of the Philox counter
_CHUNK = 1024  # examples binarised together: bounds the memory for draws and thresholds


def scale(raw: Any, levels: int) -> Any:
    """Returns the brightness in [0, 1], float32: raw / (levels - 1)."""
    return raw.astype(np.float32) / np.float32(levels - 1)


def static(
    raw: np.ndarray, levels: int, seed: int | list[int], rows: np.ndarray | None = None
) -> np.ndarray:
    """Binarises once and for all.

    Args:
      raw: uint8 [N, ...], values 0..levels-1.
      levels: number of grey levels.
      seed: fixes the noise.
      rows: int [N], which noise each example gets (0..N-1 if not given). With the numbers that they
        have in the whole data set, a part's examples are binarised as in the whole.

    Returns:
      uint8 0/1, shaped like `raw`.
    """
    rows = np.arange(len(raw)) if rows is None else rows
    thresholds = (np.arange(levels) * (65536 / (levels - 1)) - 0.5).astype(np.float32)
    pixels = math.prod(raw.shape[1:])
    result = np.empty(raw.shape, np.uint8)
    for start in range(0, len(raw), _CHUNK):
        part = slice(start, start + _CHUNK)
        draws = _draws(rows[part], pixels, seed).reshape(raw[part].shape)
        result[part] = draws < thresholds[raw[part]]
    return result


def _draws(rows: np.ndarray, pixels: int, seed: int | list[int]) -> np.ndarray:
    """Returns uint16 [N, pixels]; a row of it depends on (seed, its entry in `rows`) alone."""
    blocks = -(-pixels // _BLOCK)
    generator = np.random.Philox(key=np.random.SeedSequence(seed).generate_state(2, np.uint64))
    words = np.empty((len(rows), 4 * blocks), np.uint64)
    position = 0
    for place, row in enumerate(rows.tolist()):
        if row * blocks != position:  # a Philox generator jumps anywhere at no cost
            generator.advance((row * blocks - position) % 2**256)
        words[place] = generator.random_raw(4 * blocks)
        position = (row + 1) * blocks
    return words.view(np.uint16)[:, :pixels]


def dynamic(keys: "jax.Array", raw: "jax.Array", levels: int) -> "jax.Array":
    """Binarises afresh, on the device.

    Args:
      keys: typed keys [B], one for each example, so that the noise an example sees depends neither
        on the batch around it nor on the device that holds it.
      raw: uint8 [B, ...], values 0..levels-1.
      levels: number of grey levels.

    Returns:
      float32 0/1, shaped like `raw`.
    """
    import jax
    import jax.numpy as jnp

    pixels = math.prod(raw.shape[1:])
    words = jax.vmap(lambda key: jax.random.bits(key, (-(-pixels // 2),), jnp.uint32))(keys)
    # Low halves then high halves: each word serves two pixels, faster than asking for 16 bits.
    draws = jnp.concatenate([words & 0xFFFF, words >> 16], axis=1)[:, :pixels]  # [B, pixels]
    threshold = raw.reshape(draws.shape).astype(jnp.float32) * (65536 / (levels - 1)) - 0.5
    return (draws.astype(jnp.float32) < threshold).astype(jnp.float32).reshape(raw.shape)

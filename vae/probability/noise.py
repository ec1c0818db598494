"""Per-example randomness.

The noise that an example sees depends on (key, its position in the global batch) and on nothing
else, so one device and many draw the same numbers. Keys are threefry's, derived and never stored.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vae.programs import Kept


def example_keys(key: jax.Array, index: jax.Array | np.ndarray) -> jax.Array:
    """Keys [B], one an example: `key` with each entry of `index` [B] folded in."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, index)


def fold(keys: jax.Array, number: jax.Array | int) -> jax.Array:
    """Keys [B] with one number folded into each: the k-th of several independent uses."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def normal(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Standard normal noise [B, *shape] from keys [B]."""
    return jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(keys)


def normals(keys: jax.Array, first: jax.Array | int, count: int, size: int) -> jax.Array:
    """Draws number `first` to `first + count - 1` of each example: [count, B, size].

    A draw is a function of its own number, so cutting K draws into chunks changes none of them.
    """
    numbers = first + jnp.arange(count)
    return jax.vmap(lambda number: normal(fold(keys, number), (size,)))(numbers)


PURPOSES = ("init", "train", "validate", "evaluate", "sample")


def key_for(seed: jax.Array | int, purpose: str) -> jax.Array:
    """The root key of one purpose; the seed may be traced."""
    number = PURPOSES.index(purpose)
    if isinstance(seed, int) and 0 <= seed < 2**31:  # by a program that is kept between processes
        # Its numbers alone: a key that is read from a file has a copy of threefry's implementation,
        # and JAX knows its own by identity where it draws from a Poisson.
        numbers = _root(np.uint32(seed), np.uint32(number))
        return jax.random.wrap_key_data(numbers, impl="threefry2x32")
    return jax.random.fold_in(jax.random.key(seed), number)


def _derived(seed: jax.Array, number: jax.Array) -> jax.Array:
    return jax.random.key_data(jax.random.fold_in(jax.random.key(seed), number))


_root = Kept(lambda: jax.jit(_derived), "root key", "")

"""Binarisation: the right probabilities, and noise that belongs to the example."""

import functools

import jax
import numpy as np
import pytest

from tests.margins import within
from vae.data import binarization


@functools.partial(jax.jit, static_argnums=1)
def _dynamic_at(raw: np.ndarray, levels: int, index: np.ndarray, seed: int) -> jax.Array:
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(index)
    return binarization.dynamic(keys, raw, levels)


def _dynamic(raw: np.ndarray, levels: int, seed: int = 0) -> np.ndarray:
    return np.asarray(_dynamic_at(raw, levels, np.arange(len(raw)), seed))


def _static(raw: np.ndarray, levels: int, seed: int = 0) -> np.ndarray:
    return binarization.static(raw, levels, seed)


@pytest.mark.parametrize("binarize", [_static, _dynamic])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_pixel_is_one_with_the_probability_of_its_brightness(binarize, levels):
    raw = np.tile(np.arange(levels, dtype=np.uint8), (4000, 1))
    ones = binarize(raw, levels)
    assert set(np.unique(ones)) == {0, 1}
    p = np.arange(levels) / (levels - 1)
    within(ones.mean(0, dtype=np.float64), p, np.sqrt(p * (1 - p) / 4000 + 1e-12))
    assert (ones[:, 0] == 0).all() and (ones[:, -1] == 1).all()


@pytest.mark.parametrize("levels", [17, 256])
def test_probability_is_exact_to_two_in_100000(levels):
    raw = np.arange(levels)
    threshold = (raw.astype(np.float32) * np.float32(65536 / (levels - 1)) - 0.5)[:, None]
    ones = np.arange(65536, dtype=np.float32)[None] < threshold  # every draw there is, once
    np.testing.assert_allclose(ones.mean(1, dtype=np.float64), raw / (levels - 1), atol=1e-5)


@pytest.mark.parametrize("binarize", [_static, _dynamic])
def test_neighbouring_pixels_are_independent(binarize):
    raw = np.full((4000, 7, 7, 1), 128, np.uint8)  # an odd number of pixels
    ones = binarize(raw, 256).reshape(4000, 49)
    correlation = np.corrcoef(ones.T) - np.eye(49)
    within(correlation, 0.0, 1 / np.sqrt(4000))


@pytest.mark.parametrize("binarize", [_static, _dynamic])
def test_seed_fixes_the_noise(binarize):
    raw = np.full((20, 8, 8, 1), 100, np.uint8)
    np.testing.assert_array_equal(binarize(raw, 256, 3), binarize(raw, 256, 3))
    assert (binarize(raw, 256, 3) != binarize(raw, 256, 4)).any()


def test_static_noise_belongs_to_the_row_whatever_is_read_with_it():
    raw = np.random.default_rng(0).integers(0, 256, (3000, 5, 5, 1)).astype(np.uint8)
    whole = binarization.static(raw, 256, 1)
    for rows in ([7], [2999, 0, 5], np.arange(1020, 1030), np.arange(0, 3000, 7)):
        rows = np.asarray(rows)
        np.testing.assert_array_equal(binarization.static(raw[rows], 256, 1, rows), whole[rows])
    assert (binarization.static(np.full_like(raw, 128), 256, 1)[0] != whole[1]).any()


def test_dynamic_noise_belongs_to_the_key_whatever_the_batch():
    raw = np.random.default_rng(0).integers(0, 256, (16, 5, 5, 3)).astype(np.uint8)
    whole = _dynamic(raw, 256)
    assert whole.dtype == np.float32 and whole.shape == raw.shape
    rows = np.asarray([3, 11, 4])
    np.testing.assert_array_equal(_dynamic_at(raw[rows], 256, rows, 0), whole[rows])


def test_different_examples_get_different_noise():
    raw = np.full((50, 8, 8, 1), 128, np.uint8)
    for ones in (_static(raw, 256), _dynamic(raw, 256)):
        assert len(np.unique(ones.reshape(50, -1), axis=0)) == 50


def test_scale_maps_levels_onto_zero_to_one():
    np.testing.assert_array_equal(binarization.scale(np.uint8([0, 8, 16]), 17), [0, 0.5, 1])
    assert binarization.scale(np.uint8([255]), 256).dtype == np.float32

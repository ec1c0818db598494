"""The order of examples is a pure function of (seed, step), and the stream follows it."""

import numpy as np
import pytest
from scipy import stats

from tests.margins import likely
from vae.data import order, stream
from vae.data.dataset import Lazy, Split
from vae.errors import UserError


def test_each_epoch_sees_each_example_at_most_once_and_drops_the_remainder():
    epochs = order.batch_indices(0, 0, 3 * 10, 103, 10).reshape(3, 100)
    for rows in epochs:
        assert len(set(rows.tolist())) == 100
        assert rows.min() >= 0 and rows.max() < 103
    missing = [set(range(103)) - set(rows.tolist()) for rows in epochs]
    assert missing[0] != missing[1]  # another remainder in each epoch


def test_epochs_and_seeds_differ():
    one = order.batch_indices(0, 0, 20, 100, 10).reshape(2, 100)
    other = order.batch_indices(1, 0, 10, 100, 10).reshape(100)
    assert (one[0] != one[1]).any() and (one[0] != other).any()


def test_order_after_a_resume_is_the_order_without():
    whole = order.batch_indices(5, 0, 50, 64, 7)
    assert whole.dtype == np.int32 and whole.shape == (50, 7)
    for first in (0, 1, 8, 9, 10, 33):
        order.permutation.cache_clear()
        part = order.batch_indices(5, first, 50 - first, 64, 7)
        np.testing.assert_array_equal(part, whole[first:])


def test_every_example_is_equally_likely_in_every_place():
    counts = np.zeros((10, 10))
    for epoch in range(2000):
        counts[np.arange(10), order.permutation(0, epoch, 10)] += 1
    chi2 = ((counts - 200) ** 2 / 200).sum() * 9 / 10  # a matrix of permutations: 81 degrees
    likely(stats.chi2(81).sf(chi2))


@pytest.mark.parametrize("batch_size", [0, 11])
def test_batch_that_does_not_fit_the_data_is_refused(batch_size):
    with pytest.raises(UserError, match=f"train.batch_size={batch_size}.*10 training examples"):
        order.batch_indices(0, 0, 1, 10, batch_size)


def _split(num=50):
    x = np.random.default_rng(0).integers(0, 256, (num, 3, 3, 1)).astype(np.uint8)
    return Split(x), Split(Lazy(lambda rows: x[rows], x.shape, x.dtype))


@pytest.mark.parametrize("first_step", [0, 3, 17])
def test_streamed_batches_are_those_in_memory(first_step):
    array, lazy = _split()
    rows = order.batch_indices(9, first_step, 20, 50, 8)
    for split in (array, lazy):
        streamed = stream.batches(split, 9, first_step, 8)
        for step in range(20):  # over the end of epochs, six steps each
            np.testing.assert_array_equal(next(streamed), array.x[rows[step]])


def test_processes_share_a_batch_without_overlap():
    array, lazy = _split()
    whole = stream.batches(array, 9, 2, 8)
    parts = [stream.batches(lazy, 9, 2, 8, index, 4) for index in range(4)]
    for _ in range(10):
        np.testing.assert_array_equal(next(whole), np.concatenate([next(part) for part in parts]))


def test_stream_refuses_what_cannot_be_shared_and_passes_errors_on():
    _, lazy = _split()
    with pytest.raises(UserError, match="train.batch_size=8 does not divide among 3 processes"):
        stream.batches(lazy, 0, 0, 8, 0, 3)
    with pytest.raises(UserError, match="train.batch_size=51"):
        stream.batches(lazy, 0, 0, 51)

    def damaged(rows):
        raise UserError("this file is damaged")

    with pytest.raises(UserError, match="this file is damaged"):
        next(stream.batches(Split(Lazy(damaged, (10, 2), np.uint8)), 0, 0, 2))

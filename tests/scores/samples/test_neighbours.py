"""Precision, recall, density and coverage on planted manifolds; distances against brute force."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tests.margins import above, mean_is, near
from vae.errors import UserError
from vae.scores.samples import neighbours

NAMES = ("precision", "recall", "density", "coverage")


def normals(num, size, seed=0, mean=0.0):
    return mean + np.random.default_rng(seed).standard_normal((num, size))


def modes(num, which, seed):
    """So many points about each of the modes, which are 100 apart."""
    rng = np.random.default_rng(seed)
    return np.concatenate([100.0 * mode + rng.standard_normal((num, 3)) for mode in which])


def shares(samples, data, k=5, **more):
    found = neighbours.manifold(samples, data, k, **more)
    return [found[name].mean() for name in NAMES]


def test_a_set_beside_itself():
    x = normals(300, 4)
    precision, recall, density, coverage = shares(x, x.copy())
    assert precision == recall == coverage == 1.0
    # Each is in its own ball, and in one ball for each of which it is one of the k nearest.
    np.testing.assert_allclose(density, (300 + 300 * 5) / (300 * 5))


def test_sets_that_do_not_touch():
    assert shares(normals(200, 4), normals(150, 4, 1, 100.0)) == [0.0, 0.0, 0.0, 0.0]


def test_half_of_the_modes():
    precision, recall, density, coverage = shares(modes(400, (0, 1), 0), modes(400, range(4), 1))
    above(precision, 0.95)
    for share in (recall, coverage):  # of the other half there is nothing
        assert share <= 0.5
        above(share, 0.42)
    # Twice as many samples a mode as a uniform share would be.
    near(density, 1.0, 0.2)


def test_modes_that_the_data_lack():
    precision, recall, density, _ = shares(modes(400, range(4), 0), modes(400, (0, 1), 1))
    assert precision <= 0.5
    above(precision, 0.45)
    above(recall, 0.92)
    near(density, 0.5, 0.1)


@pytest.mark.parametrize("counts", ((60, 60), (40, 100), (100, 40)))
@pytest.mark.parametrize("k", (1, 5))
def test_equal_distributions_have_the_expected_density_and_coverage(counts, k):
    def one(seed):
        samples, data = normals(counts[0], 3, 2 * seed), normals(counts[1], 3, 2 * seed + 1)
        return shares(samples, data, k)[2:]

    found = np.array([one(seed) for seed in range(300)])
    mean_is(found, (1.0, neighbours.expected_coverage(*counts, k)))


def test_expected_coverage_of_few():
    # One neighbour: the nearest of N - 1 + M others is one of the data.
    np.testing.assert_allclose(neighbours.expected_coverage(30, 11, 1), 1.0 - 10 / 40)
    # As many neighbours as there are: all data come before all samples in one of C(4, 2) orders.
    np.testing.assert_allclose(neighbours.expected_coverage(2, 3, 2), 1.0 - 1 / 6)


def test_by_brute_force_and_in_chunks_of_any_size():
    samples, data, k = normals(70, 3), normals(90, 3, 1, 0.3), 3
    found = neighbours.manifold(samples, data, k)
    around_data = np.sort(cdist(data, data), 1)[:, k]
    around_samples = np.sort(cdist(samples, samples), 1)[:, k]
    inside = cdist(samples, data) <= around_data
    np.testing.assert_array_equal(found["precision"], inside.any(1))
    np.testing.assert_allclose(found["density"], inside.sum(1) / k)
    np.testing.assert_array_equal(found["coverage"], inside.any(0))
    near = cdist(samples, data) <= around_samples[:, None]
    np.testing.assert_array_equal(found["recall"], near.any(0))
    for held in (1, 90, 1000):
        chunked = neighbours.manifold(samples, data, k, held=held)
        for name in NAMES:
            np.testing.assert_array_equal(chunked[name], found[name])
        for got, whole in zip(
            neighbours.nearest(samples, data, held), neighbours.nearest(samples, data), strict=True
        ):
            np.testing.assert_array_equal(got, whole)
        got = neighbours.mean_distance(samples, held)
        np.testing.assert_allclose(got, cdist(samples, samples).sum(1) / 69, rtol=1e-9)


def test_what_is_at_the_edge_is_inside():
    # Binary examples, whose distances are equal more often than not.
    rng = np.random.default_rng(0)
    samples, data = (rng.integers(0, 2, (80, 12)) for _ in range(2))
    exact = cdist(samples, data, "sqeuclidean")
    inside = exact <= np.sort(cdist(data, data, "sqeuclidean"), 1)[:, 2]
    for offset, held in ((0.0, 2**20), (0.1, 7), (1e3, 300)):
        found = neighbours.manifold(samples + offset, data + offset, 2, held)
        np.testing.assert_allclose(found["density"], inside.sum(1) / 2)
        np.testing.assert_array_equal(found["coverage"], inside.any(0))


def test_nearest_are_found_and_copies_are_at_zero():
    reference = normals(500, 20, mean=1e3).astype(np.float32)
    queries = np.concatenate([reference[40:60], normals(30, 20, 1, 1e3).astype(np.float32)])
    index, far = neighbours.nearest(queries, reference)
    np.testing.assert_array_equal(index[:20], np.arange(40, 60))
    assert (far[:20] == 0.0).all()
    exact = cdist(queries.astype(np.float64), reference.astype(np.float64))
    np.testing.assert_array_equal(index, exact.argmin(1))
    np.testing.assert_allclose(far, exact.min(1), rtol=1e-12)


@pytest.mark.parametrize("k", (0, 20, 50))
def test_neighbours_that_are_not_there_are_refused(k):
    with pytest.raises(UserError, match="from 1 to 19"):
        neighbours.manifold(normals(20, 2), normals(30, 2), k)


def test_features_of_two_kinds_are_refused():
    with pytest.raises(UserError, match="one extractor"):
        neighbours.manifold(normals(20, 2), normals(30, 3), 2)
    with pytest.raises(UserError, match="one extractor"):
        neighbours.nearest(normals(20, 2), normals(30, 3))

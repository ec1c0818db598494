"""Distances of sets against closed forms, and what they are of equal and of shifted sets."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from tests.margins import above, below, mean_is, near, within
from vae.errors import UserError
from vae.scores.samples import distances


def normals(num, size, seed=0, mean=0.0, scale=1.0):
    return mean + scale * np.random.default_rng(seed).standard_normal((num, size))


def with_moments(mean, covariance, num=50, seed=0):
    """Features whose sample mean and covariance are exactly these."""
    x = normals(num, len(mean), seed)
    x = x - x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return mean + x @ np.linalg.cholesky(covariance).T


def test_frechet_of_diagonal_gaussians():
    mean, other = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    std, other_std = np.array([1.0, 2.0, 0.3]), np.array([2.0, 2.0, 0.9])
    exact = np.square(mean - other).sum() + np.square(std - other_std).sum()
    got = distances.frechet(mean, np.diag(std**2), other, np.diag(other_std**2))
    np.testing.assert_allclose(got, exact, rtol=1e-12)
    features = with_moments(mean, np.diag(std**2)), with_moments(other, np.diag(other_std**2))
    np.testing.assert_allclose(distances.frechet_distance(*features), exact, rtol=1e-9)


def test_frechet_of_covariances_that_commute():
    axes = ortho_group.rvs(6, random_state=0)
    a, b = np.random.default_rng(1).uniform(0.1, 3.0, (2, 6))
    got = distances.frechet(
        np.zeros(6), axes * a**2 @ axes.T, np.ones(6), axes * b**2 @ axes.T
    )  # fmt: skip
    np.testing.assert_allclose(got, 6.0 + np.square(a - b).sum(), rtol=1e-12)


def test_frechet_of_covariances_that_do_not_commute():
    # In two dimensions the trace of the root of a product P is sqrt(tr P + 2 sqrt(det P)).
    a, b = np.array([[2.0, 0.6], [0.6, 1.0]]), np.array([[0.5, -0.3], [-0.3, 3.0]])
    assert not np.allclose(a @ b, b @ a)
    root = np.sqrt(np.trace(a @ b) + 2.0 * np.sqrt(np.linalg.det(a @ b)))
    exact = np.trace(a) + np.trace(b) - 2.0 * root
    mean = np.zeros(2)
    np.testing.assert_allclose(distances.frechet(mean, a, mean, b), exact, rtol=1e-12)
    np.testing.assert_allclose(distances.frechet(mean, b, mean, a), exact, rtol=1e-12)


def test_frechet_of_singular_covariances():
    rng, zero = np.random.default_rng(0), np.zeros(40)
    axes = ortho_group.rvs(40, random_state=0)
    u, v = axes[0], axes[1]
    apart = distances.frechet(zero, 4.0 * np.outer(u, u), zero, 9.0 * np.outer(v, v))
    np.testing.assert_allclose(apart, 13.0, rtol=1e-12)
    line = distances.frechet(zero, 4.0 * np.outer(u, u), zero, 9.0 * np.outer(u, u))
    np.testing.assert_allclose(line, 1.0, rtol=1e-9)
    points = distances.frechet(zero, np.zeros((40, 40)), zero + 1.0, np.zeros((40, 40)))
    np.testing.assert_allclose(points, 40.0, rtol=1e-12)
    # Rank 5 of 40, by sums of features that never vary: what a border of black pixels is.
    narrow, wide = rng.standard_normal((2, 100, 5)) * [[[1.0]], [[3.0]]]
    padded = [np.pad(x, ((0, 0), (0, 35))) @ axes for x in (narrow, wide)]
    exact = distances.frechet_distance(narrow, wide)
    np.testing.assert_allclose(distances.frechet_distance(*padded), exact, rtol=1e-9)


def test_frechet_is_of_pooled_moments():
    left, right, other = normals(60, 3), normals(90, 3, 1, 4.0), normals(80, 3, 2)
    whole = np.concatenate([left, right])
    mean, covariance = distances.moments(whole)
    np.testing.assert_allclose(mean, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(whole.T), rtol=1e-12)
    found = distances.frechet_distance(whole, other)
    shuffled = np.random.default_rng(0).permutation(whole)
    np.testing.assert_allclose(distances.frechet_distance(shuffled, other), found, rtol=1e-9)
    parts = [distances.frechet_distance(part, other) for part in (left, right)]
    assert abs(np.average(parts, weights=(60, 90)) - found) > 1.0


def test_frechet_of_a_set_with_itself_is_zero():
    x = normals(300, 20, scale=50.0, mean=7.0)
    assert distances.frechet_distance(x, x[::-1].astype(np.float64)) < 1e-8
    flat = np.concatenate([x, np.ones((300, 2))], 1)  # singular
    assert distances.frechet_distance(flat, flat) < 1e-8
    assert distances.frechet_distance(x.astype(np.float32), x + 1.0) == pytest.approx(20.0, 1e-3)


def test_too_few_examples_for_a_covariance_are_refused():
    with pytest.raises(UserError, match="more than 20 examples.*one has 20.*give more"):
        distances.frechet_distance(normals(100, 20), normals(20, 20))
    with pytest.raises(UserError, match="2 or more"):
        distances.moments(normals(1, 3))
    with pytest.raises(UserError, match="cannot be compared"):
        distances.frechet_distance(normals(100, 3), normals(100, 4))


def test_mmd_of_few_points_by_hand():
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [-1.0]])

    def k(a, b):
        return (a * b + 1.0) ** 3

    within_x = np.mean([k(0, 1), k(0, 2), k(1, 2)])
    across = np.mean([k(a, b) for a in (0, 1, 2) for b in (1, -1)])
    exact = within_x + k(1, -1) - 2.0 * across
    np.testing.assert_allclose(distances.unbiased_mmd(x, y), exact, rtol=1e-12)


def test_kernel_distance_in_one_dimension_is_that_of_three_moments():
    # (xy + 1)^3 = 1 + 3 xy + 3 x^2 y^2 + x^3 y^3: the squared differences of moments, weighted.
    mean, std = 0.4, 1.3
    cubed = mean**3 + 3.0 * mean * std**2
    exact = 3.0 * mean**2 + 3.0 * (mean**2 + std**2 - 1.0) ** 2 + cubed**2
    got, stderr = distances.kernel_distance(
        normals(60_000, 1), normals(60_000, 1, 1, mean, std), block=300
    )
    assert 0.0 < stderr
    below(stderr, 0.1 * exact)
    within(got, exact, stderr)


def test_kernel_distance_is_unbiased():
    found = [
        distances.kernel_distance(normals(60, 4, 2 * seed), normals(80, 4, 2 * seed + 1), seed)
        for seed in range(800)
    ]
    values, errors = np.array(found).T
    mean_is(values, 0.0)
    above((values < 0.0).mean(), 0.25)
    # The standard error of one is right on average.
    near(np.sqrt(np.square(errors).mean()), values.std(), rel=0.25)


def test_kernel_distance_of_a_shift_is_positive():
    value, stderr = distances.kernel_distance(normals(4000, 8), normals(3000, 8, 1, 1.0))
    assert stderr > 0.0
    above(value / stderr, 10.0)


def test_kernel_distance_follows_its_seed():
    sets = normals(300, 5), normals(300, 5, 1)
    one, again, other = (distances.kernel_distance(*sets, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_too_few_examples_for_blocks_are_refused():
    with pytest.raises(UserError, match="20 examples.*one has 19"):
        distances.kernel_distance(normals(100, 2), normals(19, 2))

"""Sharpness falls with blur; diversity and class entropy against closed forms."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist

from tests.margins import mean_is, near
from vae.errors import UserError
from vae.scores.samples import picture_scores


def test_sharpness_falls_with_blur():
    images = (np.random.default_rng(0).random((20, 16, 16, 3)) < 0.5).astype(np.float32)
    found = [
        picture_scores.sharpness(gaussian_filter(images, (0, width, width, 0))).mean()
        for width in (0.0, 0.3, 0.5, 0.8, 1.2, 2.0, 4.0)
    ]
    assert (np.diff(found) < 0.0).all() and found[-1] < 0.01 * found[0]


def test_sharpness_of_known_images():
    side = np.linspace(0.0, 1.0, 6)
    ramp = np.tile(side, (6, 1))
    board = np.indices((6, 6)).sum(0) % 2  # its Laplacian is 4 and -4
    point = np.zeros((3, 6, 1))
    point[1, 2] = 1.0  # at the four pixels there are, 1, -4, 1, 0
    images = np.stack([np.full((6, 6), 0.7), ramp, board])[..., None]
    np.testing.assert_allclose(picture_scores.sharpness(images), (0.0, 0.0, 16.0), atol=1e-12)
    expected = np.var((1.0, -4.0, 1.0, 0.0))
    np.testing.assert_allclose(picture_scores.sharpness(point[None]), expected)
    colours = np.concatenate([images, images, 0.0 * images], -1)  # brightness is the channels' mean
    found = picture_scores.sharpness(colours)
    np.testing.assert_allclose(found, (0.0, 0.0, 64.0 / 9.0), atol=1e-12)


@pytest.mark.parametrize(
    ("images", "message"),
    (
        (np.zeros((5, 16)), "images"),
        (np.zeros((5, 2, 9, 1)), "3x3"),
        (np.full((5, 8, 8, 1), 255, np.uint8), "reach from 255 to 255: divide"),
    ),
)
def test_sharpness_refuses(images, message):
    with pytest.raises(UserError, match=message):
        picture_scores.sharpness(images)


def test_diversity_is_the_mean_distance_and_knows_its_error():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 3)) + 100.0
    np.testing.assert_allclose(picture_scores.diversity(x)[0], pdist(x).mean(), rtol=1e-9)
    # Of two standard normals in one dimension: sqrt(4 / pi).
    found = np.array([picture_scores.diversity(rng.standard_normal((100, 1))) for _ in range(1000)])
    mean_is(found[:, 0], np.sqrt(4.0 / np.pi))
    near(found[:, 1].mean(), found[:, 0].std(), rel=0.2)


def test_samples_that_are_all_the_same_have_no_diversity():
    assert picture_scores.diversity(np.full((30, 4), 0.3)) == (0.0, 0.0)
    with pytest.raises(UserError, match="2 or more"):
        picture_scores.diversity(np.ones((1, 4)))


def test_entropy_of_classes():
    value, stderr = picture_scores.class_entropy(np.tile(np.arange(10), 30))
    np.testing.assert_allclose((value, stderr), (np.log(10.0), 0.0), atol=1e-9)
    assert picture_scores.class_entropy(np.full(30, 7)) == (0.0, 0.0)
    shares = np.array([0.7, 0.2, 0.1])
    rng = np.random.default_rng(0)
    found = np.array(
        [picture_scores.class_entropy(rng.choice(3, 1000, p=shares)) for _ in range(1000)]
    )  # fmt: skip
    near(found[:, 0].mean(), -(shares * np.log(shares)).sum(), rel=0.01)
    near(found[:, 1].mean(), found[:, 0].std(), rel=0.2)
    with pytest.raises(UserError, match="2 or more"):
        picture_scores.class_entropy(np.ones(1, int))

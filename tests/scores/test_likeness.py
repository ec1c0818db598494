"""PSNR, SSIM and MS-SSIM: closed forms, and scikit-image's."""

import numpy as np
import pytest

from tests.margins import above
from vae.scores import likeness

SIZES = [(11, 11, 1), (28, 28, 1), (32, 32, 3), (45, 61, 3)]


def pair(shape, num=3, seed=0):
    """Smooth images and worse copies of them."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]][..., None] / 6.0
    phase = rng.uniform(0, 6, (num, 1, 1, shape[2]))
    data = 0.5 + 0.4 * np.sin(rows + phase) * np.cos(columns - phase)
    made = np.clip(0.8 * data + 0.1 + 0.05 * rng.standard_normal(data.shape), 0.0, 1.0)
    return made.astype(np.float32), data.astype(np.float32)


def by_skimage(made, data, **settings):
    metrics = pytest.importorskip("skimage.metrics")
    return np.array([
        metrics.structural_similarity(
            x, y, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            channel_axis=-1, **settings,
        )
        for x, y in zip(np.asarray(made, np.float64), np.asarray(data, np.float64), strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize("offset", [0.5, 0.1, 1e-3])
def test_a_constant_offset_has_its_psnr(offset):
    data = np.full((2, 5, 4, 3), 0.25)
    found = likeness.psnr(data + [[[[offset]]], [[[2 * offset]]]], data)
    np.testing.assert_allclose(found, -20 * np.log10([offset, 2 * offset]), rtol=1e-9)


def test_equal_images_are_as_good_as_can_be_and_finite():
    data = pair((22, 22, 3))[1]
    np.testing.assert_array_equal(likeness.psnr(data, data), 100.0)
    for similarity in (likeness.ssim, likeness.ms_ssim):
        np.testing.assert_allclose(similarity(data, data), 1.0, rtol=1e-12)


@pytest.mark.parametrize("shape", SIZES)
def test_similarity_is_that_of_scikit_image(shape):
    made, data = pair(shape)
    np.testing.assert_allclose(likeness.ssim(made, data), by_skimage(made, data), rtol=1e-7)


@pytest.mark.parametrize(
    ("shape", "scales"), [((28, 28, 1), 2), ((32, 44, 3), 2), ((45, 61, 3), 3)]
)
def test_scales_are_those_of_scikit_image_to_their_powers(shape, scales):
    """Of its similarity without the factor of brightness, by a constant that outweighs it."""
    transform = pytest.importorskip("skimage.transform")
    made, data = pair(shape, num=2)
    assert likeness.scales(shape) == scales
    powers = np.array([0.0448, 0.2856, 0.3001][:scales])
    powers /= powers.sum()
    expected = np.ones((2, shape[2]))
    for number, power in enumerate(powers):
        last = number == scales - 1
        for channel in range(shape[2]):
            each = (images[..., channel : channel + 1] for images in (made, data))
            expected[:, channel] *= by_skimage(*each, **({} if last else {"K1": 1e9})) ** power
        even = [images[:, : side(shape[0], number), : side(shape[1], number)]
                for images in (made, data)]  # fmt: skip
        made, data = (transform.downscale_local_mean(x, (1, 2, 2, 1)) for x in even)
    made, data = pair(shape, num=2)
    np.testing.assert_allclose(likeness.ms_ssim(made, data), expected.mean(1), rtol=1e-6)


def side(whole, number):
    """Of the scale of this number, cut to an even one."""
    return (whole >> number) // 2 * 2


@pytest.mark.parametrize(
    ("size", "scales"), [(8, 0), (10, 0), (11, 1), (21, 1), (22, 2), (43, 2), (64, 3), (176, 5)]
)
def test_scales_are_as_many_as_the_window_fits_in(size, scales):
    assert likeness.scales((size, size + 1, 3)) == likeness.scales((2 * size, size, 1)) == scales
    assert likeness.scales((9999, 9999, 3)) == 5


def test_negatives_have_no_similarity_of_many_scales():
    data = pair((28, 28, 1))[1]
    assert (likeness.ssim(1.0 - data, data) < 0).all()
    np.testing.assert_array_equal(likeness.ms_ssim(1.0 - data, data), 0.0)


@pytest.mark.parametrize("measure", [likeness.psnr, likeness.ssim, likeness.ms_ssim])
def test_worse_is_less_and_parts_are_the_whole(measure, monkeypatch):
    made, data = pair((28, 28, 3), num=7)
    whole = measure(made, data)
    above(whole - measure(0.5 * made, data), 0.0)
    monkeypatch.setattr(likeness, "PART", 3)
    np.testing.assert_allclose(measure(made, data), whole, rtol=1e-12)

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vae.reports.strips import shrink, strip, tiled


def pixels(packed):
    data = base64.b64decode(packed.address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)), float) / 255


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_frames_are_where_the_page_looks_for_them(channels):
    frames = np.random.default_rng(0).integers(0, 256, (5, 3, 4, channels)) / 255
    packed = strip(frames, 2)
    assert (packed.count, packed.columns, packed.width, packed.height) == (5, 2, 4, 3)
    sheet = pixels(packed).reshape(9, 8, channels)
    for number, frame in enumerate(frames):
        row, column = divmod(number, 2)
        found = sheet[3 * row : 3 * row + 3, 4 * column : 4 * column + 4]
        np.testing.assert_allclose(found, frame, atol=1e-9)


def test_values_outside_and_other_channels_are_shown_as_they_can_be():
    frames = np.array([-1.0, 2.0, np.nan])[:, None, None, None] * np.ones((1, 2, 2, 5))
    np.testing.assert_array_equal(pixels(strip(frames))[0], [0, 0, 1, 1, 0, 0])


@pytest.mark.parametrize(("side", "channels", "shrunk"), [(28, 1, 28), (64, 3, 32), (100, 3, 25)])
def test_large_images_are_averaged(side, channels, shrunk):
    images = np.random.default_rng(0).uniform(size=(2, side, side, channels))
    small = shrink(images)
    assert small.shape == (2, shrunk, shrunk, channels)
    np.testing.assert_allclose(small.mean(), images.mean(), atol=1e-9)


def test_tiles_are_apart_and_clear_between():
    images = np.ones((1, 4, 2, 2, 1)) * np.arange(4).reshape(1, 4, 1, 1, 1) / 4
    (picture,) = tiled(images, 2, 1)
    assert picture.shape == (5, 5, 2)
    np.testing.assert_array_equal(picture[..., 1], [[1, 1, 0, 1, 1]] * 2 + [[0] * 5]
                                  + [[1, 1, 0, 1, 1]] * 2)  # fmt: skip
    assert [picture[y, x, 0] for y in (0, 4) for x in (0, 4)] == [0, 0.25, 0.5, 0.75]

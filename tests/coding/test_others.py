"""Picture files of images: they hold what they were made of."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.margins import fixed_rng
from vae.coding import others


@pytest.mark.parametrize("form", others.FORMATS)
@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 256), (3, 32)])
def test_their_bytes_are_those_of_files_that_hold_the_image(form, channels, levels, monkeypatch):
    images = fixed_rng(0).integers(0, levels, (3, 9, 7, channels))
    files = []
    plain = Image.Image.save

    def save(picture, file, *args, **changes):
        plain(picture, file, *args, **changes)
        files.append(file.getvalue())

    monkeypatch.setattr(Image.Image, "save", save)
    assert others.picture_bytes(images, form) == sum(map(len, files))
    for image, file in zip(images, files, strict=True):
        found = np.asarray(Image.open(io.BytesIO(file)).convert("L" if channels == 1 else "RGB"))
        white = 255 if levels == 2 else 1
        np.testing.assert_array_equal(found, (image * white).squeeze())


def test_two_levels_take_a_bit_a_pixel():
    images = fixed_rng(0).integers(0, 2, (1, 256, 256, 1))
    assert 256 * 32 < others.picture_bytes(images, "PNG") < 256 * 36

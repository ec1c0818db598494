"""What other programs make of the same images, as bytes: a picture file of each."""

import io
from typing import Any

import numpy as np

FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True},
    "WebP": {"lossless": True, "quality": 100, "method": 6},
}


def are_pictures(shape: tuple[int, ...]) -> bool:
    """Whether examples of this shape can be picture files: grey or RGB."""
    return len(shape) == 3 and shape[-1] in (1, 3)


def picture_bytes(images: np.ndarray, form: str) -> int:
    """Bytes of lossless files of images [N, H, W, 1 or 3] of levels up to 255, one file an image.

    Args:
      form: one of `FORMATS`. Images of zeros and ones are PNGs of one bit a pixel.
    """
    from PIL import Image

    two, total = images.max(initial=0) <= 1, 0
    for image in images.astype(np.uint8):
        image = image[..., 0] if image.shape[-1] == 1 else image
        picture = Image.fromarray(image * 255 if two else image)
        file = io.BytesIO()
        bilevel = two and form == "PNG" and image.ndim == 2
        (picture.convert("1") if bilevel else picture).save(file, form, **FORMATS[form])
        total += len(file.getvalue())
    return total

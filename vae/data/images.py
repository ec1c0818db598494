"""Images as arrays: reading files, and one rule for size, crop and resize."""

import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vae.errors import UserError

CHANNELS = 4  # the most that an array of pictures is expected to have: red, green, blue, alpha


def fit(image: np.ndarray, size: int, levels: int = 256) -> np.ndarray:
    """Resizes an image to cover a square of `size`, then keeps its centre.

    Averages when it shrinks (a triangle filter), so no pixel is skipped.

    Args:
      image: uint8 [H, W, C] with values 0..levels-1, or float32 (`levels` 0).
      size: side of the result; 0 leaves the image alone.
      levels: with 2, averages become zeros and ones again, split at one half.

    Returns:
      [size, size, C], of the same type.
    """
    height, width, channels = image.shape
    if not size or (height, width) == (size, size):
        return image
    from PIL import Image

    factor = size / min(height, width)
    whole = (max(size, round(width * factor)), max(size, round(height * factor)))
    pixels = image * 255 if levels == 2 else image
    resized = [
        np.asarray(Image.fromarray(pixels[..., channel]).resize(whole, Image.Resampling.BILINEAR))
        for channel in range(channels)
    ]
    result = centre(np.stack(resized, axis=-1), size)
    return (result >= 128).astype(np.uint8) if levels == 2 else result


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether arrays of a shape are [N, C, H, W]: axis 1 may be channels, and the last may not."""
    return len(shape) == 4 and 1 <= shape[1] <= CHANNELS < shape[3]


def centre(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the middle [size, size, C] of an image that is at least as large."""
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


@dataclasses.dataclass(frozen=True)
class Header:
    """What a picture says of itself before it is decoded."""

    height: int  # as it is looked at
    width: int
    channels: int  # 1 grey, 3 colour
    alpha: bool  # whether some of it may be transparent
    frames: int


def header(path: Path) -> Header:
    """Reads what a picture says of itself, without decoding it.

    Raises:
      UserError: the file is no picture that `read` takes, has more than 8 bits a channel, or more
        pixels than Pillow accepts (89 million).
    """
    from PIL import Image

    bomb = Image.DecompressionBombWarning
    with warnings.catch_warnings(action="error", category=bomb), _opened(path) as image:
        deep = image.format in ("PNG", "TIFF") and any(";16" in str(t[3]) for t in image.tile)
        if image.mode[0] in "IF" or deep:
            raise UserError(f"{path} has more than 8 bits a channel: convert it to 8 bits")
        height, width = image.height, image.width
        if _turned(image) in _SIDEWAYS:
            height, width = width, height
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1  # MPO: previews
        return Header(height, width, 1 if _is_grey(image) else 3, _transparent(image), frames)


def read(path: Path, channels: int) -> np.ndarray:
    """Reads a picture as uint8 [H, W, channels], 1 (grey) or 3 (colour), turned as its EXIF says,
    and white where it is transparent.

    Raises:
      UserError: the file is not a picture, or is damaged.
    """
    from PIL import Image

    with _opened(path) as image:
        turn = _TURNS.get(_turned(image))
        if _transparent(image):
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
        image = image.convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(image if turn is None else image.transpose(turn))
    return pixels.reshape(*pixels.shape[:2], channels)


# The EXIF orientations, and what Pillow's `transpose` calls the turn that undoes each.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
_SIDEWAYS = (5, 6, 7, 8)
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")  # whatever a file is called


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Pillow's image of a file; a UserError names the file, whatever is wrong with it."""
    from PIL import Image

    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        size = str(error).partition(",")[0]
        raise UserError(f"{path} is too large: {size}; make it smaller") from error
    except Exception as error:  # Pillow raises anything on damaged files
        reason = str(error) or type(error).__name__
        raise UserError(
            f"{path} is not a readable picture ({reason}): replace or remove it"
        ) from error


def _is_grey(image: Any) -> bool:
    if image.mode == "P":
        colours = np.reshape(image.getpalette(), (-1, 3))
        return bool((colours == colours[:, :1]).all())
    return image.mode in ("1", "L", "LA", "La")


def _turned(image: Any) -> int:
    """The EXIF orientation, 1 (upright) to 8; of a TIFF Pillow minds it itself."""
    from PIL import ExifTags, Image

    if image.format == "TIFF":
        return 1
    # Not the method of a PNG, which decodes the whole picture for it.
    return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)


def _transparent(image: Any) -> bool:
    """Whether a picture has an alpha channel or a transparent colour."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info

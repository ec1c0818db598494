"""Images as arrays: reading files, and one rule for size, crop and resize."""

from pathlib import Path

import numpy as np

from vae.errors import UserError


def fit(image: np.ndarray, size: int, levels: int = 256) -> np.ndarray:
    """Resizes an image to cover a square of `size`, then keeps its centre.

    Averages when it shrinks (a triangle filter), so no pixel is skipped.

    Args:
      image: uint8 [H, W, C] with values 0..levels-1, or float32 (`levels` 0).
      size: side of the result; 0 leaves the image alone.
      levels: 2 makes zeros and ones again of the averages, split at one half.

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


def centre(image: np.ndarray, size: int) -> np.ndarray:
    """Returns the middle [size, size, C] of an image that is at least as large."""
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]


def header(path: Path) -> tuple[int, int, int]:
    """Returns height, width and channels (1 grey, 3 colour) of a PNG or JPEG, without decoding it.

    Raises:
      UserError: the file is not an image, or one of more than 8 bits.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":
                raise UserError(f"{path} has more than 8 bits a channel: convert it to 8 bits")
            return image.height, image.width, 1 if image.mode in ("1", "L", "LA") else 3
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on damaged files
        raise _unreadable(path, error) from error


def read(path: Path, channels: int) -> np.ndarray:
    """Reads a PNG or JPEG as uint8 [H, W, channels], 1 (grey) or 3 (colour).

    Raises:
      UserError: the file is not an image, or is damaged.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error
    return pixels.reshape(*pixels.shape[:2], channels)


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} is not a readable picture ({error}): replace or remove it")

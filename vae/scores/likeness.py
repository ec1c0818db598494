"""How alike two images are, pixel by pixel: PSNR, SSIM and MS-SSIM of each pair.

Images are [N, H, W, C] in [0, 1]; what is said of a pair is the mean over its channels.
"""

from collections.abc import Callable

import numpy as np

LEAST_ERROR = 1e-10  # mean squared error that is told from 0: 100 dB
RADIUS, SIGMA = 5, 1.5  # of the Gaussian window, 11 x 11 pixels
K1, K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of five scales, the finest first
PART = 500  # images that are compared at a time


def psnr(made: np.ndarray, data: np.ndarray) -> np.ndarray:
    """-10 log10 of the mean squared error of each image: [N] dB.

    An error below LEAST_ERROR counts as that, so that equal images have 100 dB and not infinity.
    """
    apart = np.asarray(made, np.float64) - data
    error = np.square(apart).reshape(len(apart), -1).mean(1)
    return -10.0 * np.log10(np.maximum(error, LEAST_ERROR))


def ssim(made: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Structural similarity of each pair, 1 where they are equal: [N] (Wang et al. 2004, eq. 13).

    The window is Gaussian, 11 x 11 pixels with a standard deviation of 1.5, at every place where it
    fits (section III C); images have 11 pixels or more a side.
    """
    return _in_parts(lambda x, y: _similarity(x, y)[0].mean(1), made, data)


def ms_ssim(made: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Multi-scale structural similarity of each pair: [N] (Wang et al. 2003, eq. 7).

    Contrast and structure at each of `scales` resolutions, and brightness at the coarsest, to the
    powers of WEIGHTS, which are renormalised where fewer than five scales fit. What is negative
    counts as 0, as it has no power. A scale is half of the one before, by means of 2 x 2 pixels.
    """
    count = scales(data.shape[1:])
    weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])

    def each(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        product = np.ones((len(x), x.shape[-1]))
        for number, weight in enumerate(weights):
            whole, structure = _similarity(x, y)
            product *= np.maximum(whole if number == count - 1 else structure, 0.0) ** weight
            x, y = _halved(x), _halved(y)
        return product.mean(1)

    return _in_parts(each, made, data)


def scales(shape: tuple[int, ...]) -> int:
    """Resolutions of an image [H, W, C], each half of the one before, that the window fits in: at
    most five, and 0 where it does not even fit in the first."""
    return sum(min(shape[:2]) >> number >= 2 * RADIUS + 1 for number in range(len(WEIGHTS)))


def _similarity(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarity, and its factor of contrast and structure, of each channel: [N, C], means over
    places."""
    mean_x, mean_y = _local(x), _local(y)
    squares = np.square(mean_x) + np.square(mean_y)
    variances = _local(np.square(x) + np.square(y)) - squares
    product = mean_x * mean_y
    covariance = _local(x * y) - product
    structure = (2.0 * covariance + K2**2) / (variances + K2**2)
    brightness = (2.0 * product + K1**2) / (squares + K1**2)
    return (brightness * structure).mean((1, 2)), structure.mean((1, 2))


def _local(x: np.ndarray) -> np.ndarray:
    """Means of x [N, H, W, C] in the window, where it fits."""
    from scipy.ndimage import correlate1d

    window = np.exp(-0.5 * np.square(np.arange(-RADIUS, RADIUS + 1) / SIGMA))
    window /= window.sum()
    x = correlate1d(x, window, axis=1)[:, RADIUS:-RADIUS]
    return correlate1d(x, window, axis=2)[:, :, RADIUS:-RADIUS]


def _halved(x: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels; a last odd row or column is left out."""
    height, width = (side - side % 2 for side in x.shape[1:3])
    x = x[:, :height, :width].reshape(len(x), height // 2, 2, width // 2, 2, -1)
    return x.mean((2, 4))


def _in_parts(
    each: Callable[[np.ndarray, np.ndarray], np.ndarray], made: np.ndarray, data: np.ndarray
) -> np.ndarray:
    """A function of pairs of images, in float64, a part of them at a time."""
    parts = (slice(start, start + PART) for start in range(0, len(data), PART))
    return np.concatenate([
        each(*(np.asarray(images[part], np.float64) for images in (made, data))) for part in parts
    ])  # fmt: skip

"""Metrics of reconstructed images beside the images, by name: of arrays, whatever made them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from vae.errors import UserError
from vae.metrics import Kind, Metric, by_name
from vae.scores import likeness
from vae.scores.samples import families, feature_choice
from vae.scores.samples.features import BATCH, Extractor, is_classifier, maps

PSNR = Kind("psnr", "PSNR", "up", "dB", shown="sweep")
SSIM = Kind("ssim", "SSIM", "up", shown="run")
MS_SSIM = Kind("ms_ssim", "MS-SSIM", "up")
FEATURES = Kind("feature_distance", "Feature distance of reconstructions", "down", shown="run")
FRECHET = Kind(
    "reconstruction_frechet_distance", "Fréchet distance of reconstructions", "down", shown="sweep"
)
KERNEL = Kind("reconstruction_kernel_distance", "Kernel distance of reconstructions", "down")
PRECISION = Kind("reconstruction_precision", "Precision of reconstructions", "up")
RECALL = Kind("reconstruction_recall", "Recall of reconstructions", "up")
DENSITY = Kind("reconstruction_density", "Density of reconstructions", "up")
COVERAGE = Kind("reconstruction_coverage", "Coverage of reconstructions", "up")
LEAST = 20  # images, of a distance of sets
AS_SETS = {  # of what samples are measured by
    families.FRECHET.name: FRECHET,
    families.KERNEL.name: KERNEL,
    families.PRECISION.name: PRECISION,
    families.RECALL.name: RECALL,
    families.DENSITY.name: DENSITY,
    families.COVERAGE.name: COVERAGE,
}


def scores(
    made: np.ndarray,
    data: np.ndarray,
    extractor: Extractor | Callable | str | None = None,
    k: int = 5,
    seed: int = 0,
) -> dict[str, Metric]:
    """What reconstructions are like: each beside its image, and all of them beside all images.

    Args:
      made, data: images in [0, 1], [N, H, W, C] each, in one order.
      extractor: of the features that are compared (`feature_choice.extractor`); None: pixels.
      k: neighbours, of precision, recall, density and coverage.
      seed: of the blocks of the kernel distance.

    Returns:
      Metrics by name; SSIM and MS-SSIM of images that their window fits in (at one scale, and at
      two or more), and distances of sets where there are more images than features.

    Raises:
      UserError: they are no such images.
    """
    _check(made, data)
    extractor = feature_choice.extractor(extractor)
    about = f"squared distance on the unit sphere, not LPIPS; features: {extractor.name}"
    found = by_name(
        *pairs(made, data),
        FEATURES(apart(made, data, extractor), f"{about}; mean over {len(data):,} images"),
    )
    sets = families.Sets(made, data, None, extractor, k, seed, made="reconstructions")
    enough = len(data) > max(LEAST, k, sets.features[0].shape[1])
    for group in (families.frechet, families.kernel, families.manifold) if enough else ():
        of_set = group(sets).values()
        found |= by_name(*(AS_SETS[m.name].of(m.value, m.stderr, m.unit) for m in of_set))
    return found


def pairs(made: np.ndarray, data: np.ndarray) -> list[Metric]:
    """PSNR, and SSIM and MS-SSIM where they can be asked for."""
    count, scales = len(data), likeness.scales(data.shape[1:])
    side = f"{data.shape[1]}x{data.shape[2]} pixels"
    over = f"images in [0, 1], mean over {count:,}"
    found = [PSNR(likeness.psnr(made, data), f"dB, of {over}; no error counts as 100 dB")]
    if scales > 0:
        unit = f"1 for equal images; Gaussian window of 11x11, {over}"
        found.append(SSIM(likeness.ssim(made, data), unit))
    if scales > 1:
        weights = ", weights renormalised" if scales < len(likeness.WEIGHTS) else ""
        unit = f"1 for equal images; {scales} scales of {side}{weights}; {over}"
        found.append(MS_SSIM(likeness.ms_ssim(made, data), unit))
    return found


def apart(made: np.ndarray, data: np.ndarray, extractor: Extractor) -> np.ndarray:
    """The squared distance of each pair in features on the unit sphere (`realism.apart_in`): [N].

    Of a classifier of this project it is the sum over its convolutions and its last layer but one,
    as `objective.features=classifier` has it; of any other extractor, of its features.
    """
    from vae.estimators.batches import PerExample
    from vae.objectives.realism import apart_in
    from vae.probability import noise

    if is_classifier(extractor):
        seen, pairs = maps(extractor), (made, data)
    else:
        seen, pairs = _as_they_are, (extractor.features(made), extractor.features(data))
    compared = PerExample(lambda _, both, keys: apart_in(seen, both[:, 0], both[:, 1]))
    both = np.stack(pairs, axis=1).astype(np.float32)
    return compared((), both, noise.key_for(0, "evaluate"), BATCH)


def _as_they_are(features: Any) -> list[Any]:
    return [features]


def _check(made: np.ndarray, data: np.ndarray) -> None:
    shapes = made.shape == data.shape and data.ndim == 4
    if not shapes or min(made.min(), data.min()) < 0 or max(made.max(), data.max()) > 1:
        raise UserError(
            f"reconstructions of shape {made.shape} and data of shape {data.shape} are not images "
            "[N, H, W, C] in [0, 1] of one size: give such images"
        )

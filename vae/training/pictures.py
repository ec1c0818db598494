"""What a run in training makes of images, as small pictures for its writers."""

import numpy as np

from vae.data.dataset import Dataset
from vae.data.observe import observed
from vae.estimators.compiled import Compiled
from vae.probability import noise

COLUMNS = 8  # images in a row, and reconstructions
SAMPLES = 16


class Pictures:
    """Reconstructions of the first validation images, and samples; compiled at the first call.

    Args:
      compiled: of the model that the runs share.
    """

    def __init__(self, compiled: Compiled, dataset: Dataset):
        self.compiled, self.dataset = compiled, dataset

    def __call__(self, params: object, latent_size: int) -> dict[str, np.ndarray]:
        """Pictures uint8 [H, W, 1 or 3] by name: `reconstructions`, each under its image, and
        `samples` of p(x|z) means with z from the prior; none of data that are no images."""
        if len(self.dataset.shape) != 3:
            return {}
        compiled, part = self.compiled, self.dataset.splits["validation"]
        x = np.asarray(observed(self.dataset, "validation")[:COLUMNS])
        given = part.context if compiled.facts.conditional else None
        context = None if given is None else np.asarray(given[:COLUMNS])
        weights, key = compiled.variables(params, latent_size), noise.key_for(0, "sample")
        z = compiled.encode(weights, x, key, SAMPLES, context)[0]
        again = compiled.decode(weights, z, key, SAMPLES, context)
        more = None if context is None else np.resize(context, (SAMPLES, context.shape[1]))
        drawn = compiled.prior(weights, np.ones(SAMPLES, np.float32), key, SAMPLES, more)
        new = compiled.decode(weights, drawn, key, SAMPLES, more)
        low, high = (0.0, 1.0) if self.dataset.kind in ("binary", "grey") else (x.min(), x.max())

        def tiled(images: np.ndarray) -> np.ndarray:
            return tile((images.reshape(-1, *x.shape[1:]) - low) / max(high - low, 1e-6))

        return {"reconstructions": tiled(np.concatenate([x, again.reshape(x.shape)])),
                "samples": tiled(new)}  # fmt: skip


def tile(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] in [0, 1] in rows of COLUMNS, or of N where they are fewer than two rows:
    uint8 [R * H, columns * W, 1 or 3]; of other than three channels the first is shown."""
    columns = min(COLUMNS, len(images) // 2)
    count, height, width, _ = images.shape
    images = images if images.shape[-1] == 3 else images[..., :1]
    levels = np.rint(255.0 * np.clip(np.nan_to_num(images), 0.0, 1.0)).astype(np.uint8)
    rows = levels.reshape(count // columns, columns, height, width, -1).swapaxes(1, 2)
    return rows.reshape(-1, columns * width, levels.shape[-1])

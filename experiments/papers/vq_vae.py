"""van den Oord et al. 2017 (arXiv 1711.00937): discrete codes, and a prior over them.

Protocol here: the convolutional VQ-VAE of configs/vq_mnist.py, codebooks by running means and by
gradients, on MNIST. The published numbers (CIFAR-10, normalised squared error 0.056 and perplexity
327 of 512 after 10,000 steps, in the authors' notebook) need that data set, which `prepare cifar10`
downloads. Here both kinds of codebook are expected to use more than half of their codes.

Full and cpu: 20 epochs, half an hour. quick: the digits that come with the package, 2 minutes.

    ./launch.sh reproduce vq_vae --data_dir=DATA [--scale=quick]
"""

from experiments.protocol import OURS, Expected, Mean, Study
from vae.configs import base, vq_mnist

SOURCE = "van den Oord et al. 2017, section 4"
POINTS = [{"model.codebook_update": name} for name in ("ema", "gradient")]


def study(scale: str) -> Study:
    """Both updates of the codebook, and the number of codes that each should use."""
    if scale == "quick":
        config = base.get_config()
        config.model.name, config.objective.name = "vqvae", "vq"
        config.model.latent_size, config.model.codes, config.model.code_size = 8, 32, 8
        config.eval.checkpoint = "last"
    else:
        config = vq_mnist.get_config()
        config.train.epochs, config.train.eval_epochs = 20, 2.0
    config.eval.iwae_samples = (1,)
    codes = config.model.codes
    expected = [
        Expected(f"codes used, {point['model.codebook_update']}, of {codes}",
                 Mean("codes_used", point), codes / 2, 0.0, "above", SOURCE, OURS, "codes")
        for point in POINTS
    ]  # fmt: skip
    reduced = "the 8 x 8 digits, 32 codes" if scale == "quick" else ""
    return Study(config, POINTS, expected, reduced)

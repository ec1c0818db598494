"""Bits per dimension in colour: CIFAR-10, the same files as `bits`.

Convolutional encoders and decoders for one layer of latents, a chain and a ladder of two, and
configs/cifar10_top_down.py; each with a mixture of discretised logistics in 256 levels.

Published, from memory: as bounds, IAF 3.11 (Kingma et al. 2016), NVAE 2.91 (Vahdat and Kautz 2020),
VDVAE 2.87 (Child 2021); as files, Bit-Swap 3.78 (Kingma et al. 2019), PNG about 5.87.

Full: 100 epochs, `small`, for an accelerator. cpu: 3 epochs, `cpu`, files of 1,000 test images; an
hour of 2 cores. quick: 2,000 images, two epochs.

    ./launch.sh prepare cifar10 --data_dir=DATA
    ./launch.sh reproduce bits_color --data_dir=DATA [--scale=cpu]
"""

from experiments.applications.bits import MODELS, evaluated, layered, of_files
from experiments.protocol import Study
from vae.configs import cifar10_top_down

NAME = "CIFAR-10"
FEW = 1_000  # images that files are written of, at less than full scale
EPOCHS = {"full": 100, "cpu": 3, "quick": 2}


def study(scale: str) -> Study:
    """Every model, and what is expected of its files."""
    grid = []
    for model in MODELS:
        if model == "top_down":
            config = cifar10_top_down.get_config("small" if scale == "full" else "cpu")
        else:
            config = layered(model)
            config.data.name, config.data.binarization = "cifar10", "none"
            config.model.encoder = config.model.decoder = "conv"
            config.model.latent_size = 64
            config.model.likelihood = "discretized_logistic_mixture"
        config.train.epochs = EPOCHS[scale]
        config.data.size = 2_000 if scale == "quick" else 0
        grid.append(evaluated(config))
    reduced = {
        "full": "", "cpu": "3 of 100 epochs, a small top_down, files of 1,000 images",
        "quick": "2,000 images, two epochs",
    }[scale]  # fmt: skip
    beaten = () if scale == "quick" else ("xz", "PNG", "WebP")
    return of_files([NAME], grid, beaten, reduced, 0 if scale == "full" else FEW)

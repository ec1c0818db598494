"""Generation in colour: CIFAR-10, the same measures as `apps_generation`.

Residual VAE with one learnt standard deviation, the same given the class, a VQ-VAE with a learnt
prior over its 8 x 8 codes, and the first with its latents drawn from a second VAE or a mixture.
Likelihoods are densities of colours in [0, 1]: nats, and no bits per dimension.

Full: 100 epochs, for an accelerator. cpu: 10 epochs. quick: 5,000 images, two epochs.

    ./launch.sh prepare cifar10 --data_dir=DATA
    ./launch.sh reproduce apps_generation_color --data_dir=DATA [--scale=quick]
"""

from experiments.applications.apps_generation import generators
from experiments.protocol import Study
from vae.configs import cifar10

VQ = {
    "model.name": "vqvae", "objective.name": "vq", "model.dense": 0, "model.filters": (64, 128),
    "eval.checkpoint": "last",
}  # fmt: skip
EPOCHS = {"full": 100, "cpu": 10, "quick": 2}


def study(scale: str) -> Study:
    """The convolutional model beside a VQ-VAE, on CIFAR-10."""
    config = cifar10.get_config()
    if scale != "full":
        config.model.filters = (32, 64, 128)
    reduced = {"full": "", "cpu": "10 of 100 epochs, half the width",
               "quick": "5,000 images, two epochs, half the width"}[scale]  # fmt: skip
    return generators(config, [VQ], EPOCHS[scale], scale == "quick", reduced)

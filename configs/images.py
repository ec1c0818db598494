"""A folder of one's own images at 32 pixels a side, or as many as `images.py:SIZE` says, 32 to 256:
a spatial autoencoder with a KL bottleneck.

    ./launch.sh train --config=configs/images.py:64 --config.data.path=FOLDER --workdir=runs/photos
    ./launch.sh sample --workdir=runs/photos --sampler=flow_matching
    ./launch.sh train --config=configs/images.py --config.data.path=FOLDER --workdir=runs/photos

As cifar10_kl.py otherwise: four numbers at each of 8 x 8 to 32 x 32 positions, f = 4 times fewer a
side up to 64 pixels, f = 8 above. `--config.data.stream=True` for folders that memory does not
hold. `--config.objective.adversarial=0.5` adds a critic of patches and, where sub-folders are
classes, `--config.objective.features=classifier` features of a classifier of them.
"""

from ml_collections import ConfigDict

from vae.configs import cifar10_kl
from vae.errors import UserError


def get_config(size: str = "32") -> ConfigDict:
    if not size.isdecimal() or not 32 <= int(size) <= 256:
        raise UserError(f"its argument {size!r} should be pixels a side, 32 to 256")
    config = cifar10_kl.get_config()
    config.data.name, config.data.image_size = "files", int(size)
    config.model.filters = (64, 128) if int(size) <= 64 else (64, 128, 128)
    config.train.epochs, config.train.eval_epochs = 50, 5.0
    return config

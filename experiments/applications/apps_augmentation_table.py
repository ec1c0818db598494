"""Augmentation of a table: do rows of a conditional VAE help a classifier that has few labels?

The same as `apps_augmentation`, of 30 measurements of tumours, malignant or benign (UCI breast
cancer, bundled): 10, 50 and 100 rows of each class, ten draws. Ordinary augmentation is noise of a
tenth of a column's standard deviation.

Full and cpu: as above, 30 minutes of 2 cores. quick: 10 and 50 rows, three draws, 4 minutes.

    ./launch.sh reproduce apps_augmentation_table [--scale=quick]
"""

from experiments.applications.apps_augmentation import augmented
from experiments.protocol import Study
from vae.configs import base


def study(scale: str) -> Study:
    """30 measurements of tumours in two classes; at scale quick 10 and 50 rows a class."""
    config = base.get_config()
    config.data.name, config.data.binarization = "breast_cancer", "none"
    config.data.standardize = True
    config.model.likelihood = "gaussian_learned"
    config.model.latent_size, config.model.hidden = 8, (64, 64)
    if scale == "quick":
        return augmented(config, (10, 50), 3, "10 and 50 rows of a class, three draws", classes=2)
    return augmented(config, (10, 50, 100), 10, classes=2)

"""Counts of single cells, by scVI's conventions (Lopez et al. 2018): the user's own `.h5ad`, or an
`.npz` of `x` [cells, genes], `genes` and `cells`.

    ./launch.sh train --config=configs/cells.py --data=cells.h5ad --workdir=runs/cells
    ./launch.sh encode --workdir=runs/cells --input=cells.h5ad --output=latents.h5ad

A gene's mean is its share, a softmax, times the sum of the cell's counts; one dispersion a gene;
10 latents and a layer of 128, as scvi-tools has them by default. Encoder and decoder are given
columns of `obs` by `--config.data.covariates="('batch',)"`. 10,000 cells of 1,000 genes take a
minute or two on 2 CPU cores; experiments/applications/apps_cells.py compares with scvi-tools, and
docs/cells.md says what differs.
"""

from ml_collections import ConfigDict

from vae.configs import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.data.name, config.data.kind = "files", "counts"
    config.model.likelihood = "negative_binomial"
    config.model.library, config.model.dispersion = "observed", "gene"
    config.model.latent_size, config.model.hidden = 10, (128,)
    config.model.activation = "relu"
    config.optimizer.learning_rate = 3e-3
    config.train.epochs, config.train.batch_size = 100, 128
    config.train.eval_epochs, config.train.patience = 5.0, 10
    return config

"""CIFAR-10 in bits per dimension: a top-down residual hierarchy (Child 2021) with a mixture of
discretised logistics, whose channels know those before them (Salimans et al. 2017).

    ./launch.sh train --config=configs/cifar10_top_down.py:cpu --config.data.dir=DATA \\
        --workdir=runs/colour
    ./launch.sh train --config=configs/cifar10_top_down.py:cpu --config.data.bits=5 ...

Sizes: `cpu`, 9 groups of latents, for 2 cores; `small`, 20 groups, for one accelerator and a night;
`paper`, 43 groups of 384 channels and 650 epochs, about what the paper trains. Levels are whole
numbers, never dequantised: `bpd` is a bound of their probability. Steps whose gradient is too long
are skipped and counted, as in the paper; the averaged weights are evaluated.
"""

from ml_collections import ConfigDict

from vae.choices import choose
from vae.configs import base

SIZES = {  # filters, groups, latents a position, bottom-up blocks a level, mixtures, epochs
    "cpu": ((32, 64, 64, 64), (3, 3, 2, 1), 8, 1, 5, 8),
    "small": ((96, 128, 192, 192), (8, 6, 4, 2), 16, 2, 10, 150),
    "paper": ((384, 384, 384, 384), (21, 12, 7, 3), 16, 4, 10, 650),
}


def get_config(size: str = "small") -> ConfigDict:
    filters, groups, latents, blocks, mixtures, epochs = choose(SIZES, size, "size")
    config = base.get_config()
    config.data.name, config.data.binarization = "cifar10", "none"
    config.model.name = "top_down"
    config.model.filters, config.model.groups, config.model.latent_size = filters, groups, latents
    config.model.blocks, config.model.mixtures, config.train.epochs = blocks, mixtures, epochs
    config.model.likelihood = "discretized_logistic_mixture"
    config.optimizer.learning_rate = 1e-3 if size == "cpu" else 2e-4
    config.optimizer.warmup_epochs = 0.25
    config.optimizer.clip_norm, config.optimizer.skip_norm = 1e4, 1e6
    config.train.skip_steps = 100
    config.train.batch_size = 32
    config.train.ema = 0.999 if size == "cpu" else 0.9999
    config.train.eval_epochs = max(1.0, config.train.epochs / 20)
    config.eval.iwae_samples, config.eval.checkpoint = (10,), "last"
    return config

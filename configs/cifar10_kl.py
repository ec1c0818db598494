"""CIFAR-10, a spatial autoencoder with a KL bottleneck, f = 4: latents of 8 x 8 x 4.

    ./launch.sh train --config=configs/cifar10_kl.py --config.data.dir=DATA --workdir=runs/kl

The first stage of a latent generator: `sample --sampler=flow_matching` learns the density of its
latents. The rate weighs little, so the ELBO is not the point: the page says which numbers are of a
bound. With `--config.objective.features=classifier --config.objective.adversarial=0.5` features of
the project's own classifier and a critic of patches join in. No score has been recorded for it yet.

Losses are of 3,072 numbers in nats, and their gradient is about 30,000 long: the clip is there for
what is far from that. Features of images that are not yet alike are 2 apart: a weight of 0.2 gives
them, times 3,072, about as much to say as the pixels.
"""

from ml_collections import ConfigDict

from vae.configs import base


def get_config() -> ConfigDict:
    config = base.get_config()
    config.data.name = "cifar10"
    config.data.binarization = "none"
    config.model.name, config.model.bottleneck = "autoencoder_kl", "kl"
    config.model.encoder = config.model.decoder = "attention_resnet"
    config.model.filters = (64, 128)
    config.model.latent_size = 4
    config.model.likelihood = "gaussian_learned"
    config.model.sigma = 0.1
    config.objective.name = "perceptual"
    config.objective.beta = 0.1
    config.objective.feature = 0.2
    config.objective.critic_start, config.objective.critic_learning_rate = 2.0, 5e-4
    config.optimizer.learning_rate = 1e-3
    config.optimizer.clip_norm = 1e5
    config.train.epochs = 20
    config.train.batch_size = 64
    config.train.ema = 0.999
    config.train.eval_epochs = 2.0
    config.eval.iwae_samples = (1,)
    config.eval.checkpoint = "last"
    return config

"""The model: encoder, posterior, prior, decoder and likelihood in one Flax module."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vae import networks
from vae.choices import build, choose
from vae.networks.layers import widened
from vae.probability import likelihoods, noise, posteriors, priors


class VAE(nn.Module):
    """p(z) p(x|z) with the approximate posterior q(z|x) (Kingma & Welling 2014).

    x is [B, *shape] in the likelihood's own space: {0, 1} for a Bernoulli, [0, 1] for grey images,
    whole numbers for counts and tokens.
    `keys` [B] carry dropout's noise, one key an example; None turns dropout off.

    Bound with a mask of latents (see `variables`) it is exactly the model of so many latents: those
    that are masked out have q(z|x) = N(0, 1), a KL of 0 and no way to the decoder.
    """

    encoder: nn.Module  # what the likelihood makes of x for it -> features [B, F]
    decoder: nn.Module  # z [B, L] -> theta [B, H, W, channels]
    posterior: Any  # a class of probability.posteriors
    prior: Any  # an instance of probability.priors
    likelihood: Any  # an instance of probability.likelihoods
    latent_size: int
    critic: nn.Module | None = None  # z -> logits [...]: for objectives that train one

    def setup(self) -> None:
        features = self.posterior.features_per_latent * self.latent_size
        self.head = nn.Dense(features, name="posterior")
        if self.likelihood.num_scalars:
            initial = self.likelihood.initial_scalars()
            self.scalars = self.param("likelihood", lambda key: jnp.asarray(initial))

    @property
    def mask(self) -> jax.Array | None:
        """Ones and zeros [L]: the latents that there are; None for all."""
        return self.get_variable("latents", "mask")

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> Any:
        """q(z|x), with float32 parameters whatever the networks compute in."""
        features = self.encoder(self.likelihood.encoder_input(x), keys)
        features = self.head(widened(features))
        features = features.reshape(x.shape[0], self.latent_size, -1)
        if self.mask is not None:
            features = features * self.mask[:, None]
        return self.posterior.from_features(features)

    def decode(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """The likelihood's parameters theta [..., H, W, channels] for z [..., L].

        Dropout's keys are those of the B examples; each of several draws z [K, B, L] has its own.
        """
        z = z if self.mask is None else z * self.mask
        if keys is not None and z.ndim > 2:
            keys = jax.vmap(lambda k: noise.fold(keys, k))(jnp.arange(z.shape[0])).reshape(-1)
        theta = self.decoder(z.reshape(-1, z.shape[-1]), keys)
        theta = theta.reshape(*z.shape[:-1], *theta.shape[1:])
        if self.likelihood.num_scalars:  # one block of channels for each learned scalar
            scalars = [jnp.broadcast_to(scalar, theta.shape) for scalar in self.scalars]
            theta = jnp.concatenate([theta, *scalars], axis=-1)
        return theta

    def log_likelihood(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z) for theta [..., B, *] and x [B, *shape]: [..., B] nats."""
        return self.likelihood.log_prob(theta, x.reshape(x.shape[0], *image_shape(x.shape[1:])))

    def judge(self, z: jax.Array) -> jax.Array:
        """The critic's logits [...] for z [..., L]."""
        return self.critic(z if self.mask is None else z * self.mask)

    def mean(self, z: jax.Array) -> jax.Array:
        """E[x|z]: [..., H, W, C]."""
        return self.likelihood.mean(self.decode(z))

    def __call__(self, x: jax.Array, keys: jax.Array) -> tuple[Any, jax.Array]:
        """Encode, draw one z by reparameterisation, decode: touches every weight, for `init`."""
        q = self.encode(x)  # 1. q(z|x) = N(mu, sigma^2)
        z = q.sample(keys)  # 2. z = mu + sigma * eps: [1, B, L]
        if self.critic is not None:
            self.judge(z)
        return q, self.decode(z)  # 3. p(x|z)


def initialise(model: VAE, shape: tuple[int, ...], seed: jax.Array | int = 0) -> Any:
    """Initial parameters for examples of `shape`, a pure function of the seed."""
    init_key, draw_key = jax.random.split(noise.key_for(seed, "init"))
    return model.init(init_key, jnp.zeros((1, *shape), jnp.float32), draw_key[None])["params"]


def variables(model: VAE, params: Any, latent_size: jax.Array | int | None = None) -> Any:
    """What `model.bind` takes: parameters, and a mask where only some latents are to count.

    Args:
      latent_size: how many; may be traced, so that one compiled program serves many sizes.
    """
    if latent_size is None:
        return {"params": params}
    mask = (np.arange(model.latent_size) < latent_size).astype(np.float32)
    return {"params": params, "latents": {"mask": mask}}


def fit(tree: Any, like: Any) -> Any:
    """Cuts every array, or fills it up with zeros, at the end of each axis to the shape in `like`.

    What a model of L latents has learnt becomes the masked part of a larger one's, and back: the
    axes that grow with L are counted in latents, first to last.
    """

    def to(array: jax.Array, shaped: jax.Array) -> np.ndarray:
        if array.shape == shaped.shape:
            return array
        common = tuple(slice(min(pair)) for pair in zip(array.shape, shaped.shape, strict=True))
        result = np.zeros(shaped.shape, array.dtype)
        result[common] = np.asarray(array)[common]
        return result

    return jax.tree.map(to, tree, like)


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One example's shape with a channel axis: vectors [D] count as [D, 1]."""
    return tuple(shape) if len(shape) > 1 else (*shape, 1)


def bias_initialiser(bias: np.ndarray) -> Callable[..., jax.Array]:
    """Initialiser of the decoder's last bias: `bias` itself, or its mean over pixels where the
    bias is one number a channel."""

    def initialise(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        del key
        values = bias if tuple(shape) == bias.shape else bias.reshape(-1, bias.shape[-1]).mean(0)
        return jnp.asarray(values.reshape(shape), dtype)

    return initialise


def from_config(
    config: ConfigDict,
    shape: tuple[int, ...],
    data_mean: np.ndarray | None = None,
    critic: nn.Module | None = None,
    levels: int = 256,
) -> VAE:
    """Builds the model for examples of `shape`.

    Args:
      config: the run's `config.model`.
      shape: of one example: (H, W, C) or (D,).
      data_mean: mean of the training data in the likelihood's space, [*shape]; the decoder's last
        bias starts there. None where trained weights will be loaded over it.
      critic: of the objectives that train one beside the model.
      levels: the data set's: grey levels or tokens, for the likelihoods that count them.
    """
    values = dict(config.items()) | {"levels": levels}
    likelihood = build(likelihoods, config.likelihood, "model.likelihood", values)
    mean = np.full(shape, 0.5) if data_mean is None else np.asarray(data_mean)
    bias = likelihood.output_bias(mean.reshape(image_shape(shape)))
    values |= {
        "dtype": jnp.dtype(config.dtype),
        "shape": tuple(shape),
        "channels": likelihood.channels(image_shape(shape)[-1]),
        "bias_init": bias_initialiser(bias),
    }
    return VAE(
        encoder=build(networks.encoders, config.encoder, "model.encoder", values),
        decoder=build(networks.decoders, config.decoder, "model.decoder", values),
        posterior=choose(posteriors, config.posterior, "model.posterior"),
        prior=build(priors, config.prior, "model.prior", values),
        likelihood=likelihood,
        latent_size=config.latent_size,
        critic=critic,
    )

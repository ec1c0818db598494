"""From a run's `config.model` to the model."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vae import networks
from vae.choices import build, choose
from vae.columns import Column
from vae.errors import UserError
from vae.models import bottlenecks
from vae.models.autoencoder import autoencoder_kl
from vae.models.base import Model, image_shape
from vae.models.flat import VAE
from vae.models.layered import chain, ladder
from vae.models.top_down import top_down
from vae.models.vqvae import vqvae
from vae.networks.layers import Network, check_image, map_sizes
from vae.probability import likelihoods, posteriors, priors
from vae.protocols import Posterior, Prior


def bias_initialiser(bias: np.ndarray) -> Callable[..., jax.Array]:
    """Initialiser of the decoder's last bias: `bias` itself, or its mean over pixels where the
    bias is one number a channel."""

    def initialise(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        del key
        values = bias if tuple(shape) == bias.shape else bias.reshape(-1, bias.shape[-1]).mean(0)
        return jnp.asarray(values.reshape(shape), dtype)

    return initialise


KINDS: dict[str, type[Model]] = {
    "vae": VAE, "chain": chain, "ladder": ladder, "top_down": top_down, "vqvae": vqvae,
    "autoencoder_kl": autoencoder_kl,
}  # fmt: skip
ENDS = {
    "encoder": networks.encoders,
    "decoder": networks.decoders,
    "posterior": posteriors,
    "prior": priors,
    "bottleneck": bottlenecks,
}


def check_pair(
    config: ConfigDict, posterior: type[Posterior], prior: type[Prior], kind: str
) -> None:
    """Raises UserError where the prior cannot go with the posterior, or with data of `kind`."""
    if posterior.euclidean != prior.euclidean:
        raise UserError(
            f"model.posterior={config.posterior!r} and model.prior={config.prior!r} are not on the "
            "same space: von_mises_fisher goes with sphere, and nothing else does"
        )
    if not prior.euclidean and config.latent_size < 2:
        raise UserError("model.prior='sphere' needs a sphere: set model.latent_size above 1")
    if not prior.takes_posterior:
        return
    if not posterior.distribution.has_density:
        raise UserError(
            f"model.prior={config.prior!r} is made of densities q(z|x) at any z, and "
            f"model.posterior={config.posterior!r} has only those of its own draws: "
            "set model.posterior=diagonal"
        )
    if kind in ("tokens", "columns"):
        raise UserError(
            f"model.prior={config.prior!r} learns inputs by their gradient, and {kind} have none: "
            "set model.prior=mixture"
        )


def check_context(config: ConfigDict, prior: type[Prior], context_size: int) -> None:
    """Raises UserError where what depends on a context has none, or cannot have one."""
    if prior.takes_context and not context_size:
        raise UserError(
            f"model.prior={config.prior!r} depends on a context: set data.context, for instance to "
            "labels"
        )
    if prior.takes_posterior and context_size:
        raise UserError(
            f"model.prior={config.prior!r} learns inputs, which have no context of their own: set "
            "model.prior=conditional, or data.context=''"
        )
    if prior.takes_context and config.regressor:
        raise UserError(
            f"model.prior={config.prior!r} is given the context, which model.regressor is to "
            "predict: set model.prior=normal, or model.regressor=''"
        )
    if config.regressor and not context_size:
        raise UserError("model.regressor predicts the context: set data.context, such as scaled")
    if config.classifier and not context_size:
        raise UserError("model.classifier is for the context: set data.context=labels")


def check_sequence(config: ConfigDict, model: type[Model], kind: str) -> None:
    """Raises UserError where networks along sequences have none, or a model cannot use them."""
    encoder, decoder = ends(config)
    if not (encoder.sequential or decoder.sequential):
        return
    if kind != "tokens":
        raise UserError("model.encoder and model.decoder 'gru' are for tokens: set both to mlp")
    if not config.hidden:
        raise UserError("model.hidden=() has no width for a gru: set it, such as (256,)")
    if decoder.sequential and not model.takes_sequences:
        raise UserError(
            f"model.name={config.name!r} cannot decode by {config.decoder!r}: set model.name=vae"
        )


def check_place(config: ConfigDict, model: type[Model], context_size: int) -> None:
    """Raises UserError where a model is given what it has no place for."""
    if context_size and not config.regressor and not model.takes_context:
        raise UserError(f"model.name={config.name!r} takes no context: set data.context=''")
    for key, default in (("posterior", "diagonal"), ("prior", "normal")):
        if key not in fields(model) and config[key] != default:
            raise UserError(
                f"model.name={config.name!r} has a {key} of its own: set model.{key}={default}"
            )
    if config.name != "top_down":
        return
    if len(config.groups) != len(config.filters):
        raise UserError(
            f"model.groups={config.groups} should have an entry for each level, as "
            f"model.filters={config.filters} has"
        )
    if config.dropout > 0:
        raise UserError("model.name='top_down' has no dropout: set model.dropout=0.0")


def check_library(config: ConfigDict, model: type[Model], classes: int) -> None:
    """Raises UserError where conventions of counts are asked of what has none, or no place for
    them."""
    likelihood = choose(likelihoods, config.likelihood, "model.likelihood")
    for key, default in (("library", ""), ("dispersion", "cell")):
        if config[key] != default and key not in fields(likelihood):
            raise UserError(
                f"model.{key}={config[key]!r} is for model.likelihood=negative_binomial and "
                f"zero_inflated_negative_binomial: set model.{key}={default!r}"
            )
    if config.dispersion == "gene_batch" and not classes:
        raise UserError(
            "model.dispersion='gene_batch' is by the context, and the model is given none: set "
            "data.context, or model.dispersion=gene"
        )
    if config.library != "latent":
        return
    if not issubclass(model, VAE) or config.prior == "sphere":
        raise UserError(
            "model.library='latent' takes one of the latents of model.name=vae, any number: set "
            "model.library=observed"
        )
    if config.latent_size < 2:
        raise UserError("model.library='latent' takes one of the latents: set model.latent_size "
                        "above 1")  # fmt: skip


def ends(config: ConfigDict) -> tuple[type[Network], type[Network]]:
    """The networks that model.encoder and model.decoder choose."""
    encoder = choose(networks.encoders, config.encoder, "model.encoder")
    return encoder, choose(networks.decoders, config.decoder, "model.decoder")


def fields(part: type[Any]) -> set[str]:
    """Names of what a model, or another part, is built of."""
    return {field.name for field in dataclasses.fields(part)}


def map_of(config: ConfigDict, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width of the encoder's map of features.

    Raises:
      UserError: the data are no images, or a network of config.model gives or takes no map.
    """
    check_image(config.encoder, shape)
    for key, network in zip(("encoder", "decoder"), ends(config), strict=True):
        if not network.spatial:
            raise UserError(
                f"model.name={config.name!r} has latents in space, and model.{key}="
                f"{config[key]!r} has no map: set it to attention_resnet, or to conv"
            )
    return map_sizes(shape, len(config.filters))[-1]


def has_codes(config: ConfigDict) -> bool:
    """Whether the latents of such a model are codes."""
    if config.name == "autoencoder_kl":
        chosen = choose(bottlenecks, config.bottleneck, "model.bottleneck")
        return chosen.discrete
    return choose(KINDS, config.name, "model.name").codes > 0


def layout(config: ConfigDict, shape: tuple[int, ...]) -> dict[str, Any]:
    """How the latents are laid out: `latent_size`, of all of them, and what goes with it."""
    if config.name in ("chain", "ladder"):
        sizes = (config.latent_size, *config.upper_sizes)
        return {"latent_size": sum(sizes), "layer_sizes": sizes}
    if config.name == "top_down":
        check_image("top_down", shape)
        maps = top_down.map_sizes(shape, len(config.filters))
        positions = sum(
            height * width * count
            for (height, width), count in zip(maps, config.groups, strict=True)
        )
        return {
            "latent_size": positions * config.latent_size,
            "latent_channels": config.latent_size,
        }
    if config.name == "autoencoder_kl":
        size = config.latent_size
        if config.bottleneck == "fsq":
            size = len(config.code_levels)
        grid = map_of(config, shape)
        return {
            "latent_size": math.prod(grid) * size, "size": size, "grid": grid, "maps": True,
            "dense": 0,
        }  # fmt: skip
    if config.name == "vqvae":
        spatial = not config.dense and all(network.spatial for network in ends(config))
        grid = (config.latent_size,)
        if spatial:
            grid = map_of(config, shape)
        return {
            "latent_size": math.prod(grid) * config.code_size, "grid": grid, "maps": spatial
        }  # fmt: skip
    return {"latent_size": config.latent_size}


def from_config(
    config: ConfigDict,
    shape: tuple[int, ...],
    data_mean: np.ndarray | None = None,
    critic: nn.Module | None = None,
    levels: int = 256,
    kind: str = "",
    context_size: int = 0,
    never_first: tuple[int, ...] = (),
    columns: tuple[Column, ...] = (),
    libraries: tuple[float, float] = (0.0, 1.0),
) -> Model:
    """Builds the model for examples of `shape`.

    Args:
      config: the run's `config.model`.
      shape: of one example: (H, W, C) or (D,).
      data_mean: mean of the training data in the likelihood's space, [*shape]; the decoder's last
        bias starts there. None where trained weights will be loaded over it.
      critic: of the objectives that train one beside the model.
      levels: the data set's: grey levels or tokens, for the likelihoods that count them.
      kind: of the data as the model sees them; by default the first that the likelihood is for.
      context_size: numbers of an example's context; 0 where there is none.
      never_first: ids that no sequence of tokens begins with, for decoders along sequences.
      columns: of a table whose columns are of several kinds; by default all are Gaussian.
      libraries: of counts: mean and deviation of the training examples' log sums.

    Raises:
      UserError: a name that is no choice, or parts that do not go together.
    """
    values = dict(config.items()) | {"levels": levels, "never_first": never_first}
    values["columns"] = columns or (Column(),) * math.prod(shape)
    classes = 0 if config.regressor else context_size
    values |= {"genes": math.prod(shape), "classes": classes, "libraries": libraries}
    likelihood = build(likelihoods, config.likelihood, "model.likelihood", values)
    kind = kind or likelihood.kinds[0]
    chosen = choose(KINDS, config.name, "model.name")
    wanted = fields(chosen)
    check_sequence(config, chosen, kind)
    check_place(config, chosen, context_size)
    check_library(config, chosen, classes)
    if "prior" in wanted:
        posterior = choose(posteriors, config.posterior, "model.posterior")
        prior = choose(priors, config.prior, "model.prior")
        check_pair(config, posterior, prior, kind)
        check_context(config, prior, context_size)
    mean = np.full(shape, 0.5) if data_mean is None else np.asarray(data_mean)
    bias = likelihood.output_bias(mean.reshape(image_shape(shape)))
    values |= layout(config, shape) | {
        "likelihood": likelihood,
        "critic": critic,
        "context_size": context_size,
        "classifier": None,
        "regressor": None,
        "dtype": jnp.dtype(config.dtype),
        "shape": tuple(shape),
        "num_codes": config.codes,
        "channels": likelihood.channels(image_shape(shape)[-1]),
        "bias_init": bias_initialiser(bias),
        "kind": kind,
        "data_mean": lambda: jnp.asarray(mean, jnp.float32),
    }
    of_end = {"decoder": {"shape": likelihood.decoded(tuple(shape))}}
    parts = {
        name: build(options, config[name], f"model.{name}", values | of_end.get(name, {}))
        for name, options in ENDS.items()
        if name in wanted
    }
    if config.classifier:
        parts["classifier"] = build(
            networks.encoders, config.classifier, "model.classifier", values
        )
    if config.regressor:
        parts["regressor"] = build(networks.encoders, config.regressor, "model.regressor", values)
    return build(KINDS, config.name, "model.name", values | parts)

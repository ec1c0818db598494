"""The chosen objective: its static settings, its critic, what it logs, what it cannot go with.

The facts of an objective are read from `vae.objectives.facts`; no objective is named here.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict

from vae import models, objectives
from vae.choices import choose
from vae.errors import UserError
from vae.models.build import has_codes
from vae.networks import decoders, encoders
from vae.objectives import facts, require
from vae.probability import noise
from vae.protocols import Hyper, Objective, Terms

MAPS = "maps"  # the argument of an objective that compares features of images


def chosen(config: ConfigDict) -> Callable[..., Terms]:
    """The objective of that name; raises UserError where there is none."""
    return choose(objectives, config.objective.name, "objective.name")


def static(function: Callable[..., Any], config: ConfigDict) -> dict[str, Any]:
    """A function's keyword-only arguments, read from the keys of `config.objective` of the same
    names."""
    arguments = inspect.signature(function).parameters.values()
    names = [a.name for a in arguments if a.kind is inspect.Parameter.KEYWORD_ONLY]
    return {name: config.objective[name] for name in names if name != MAPS}


def build(config: ConfigDict, maps: Callable[..., Any] | None = None) -> Objective:
    """The chosen objective with its static settings.

    Args:
      maps: features of images, of an objective that takes them.
    """
    objective = chosen(config)
    settings = static(objective, config)
    if MAPS in inspect.signature(objective).parameters:
        settings[MAPS] = maps
    return functools.partial(objective, **settings)


def critic(config: ConfigDict) -> nn.Module | None:
    """The network that the objective trains beside the model, if it has one."""
    network = facts.of(chosen(config)).critic
    return network and network(**static(network, config))


def trainers(part: str) -> list[str]:
    """Names of the objectives that state that they train a part of the model."""
    stated = {name: facts.of(getattr(objectives, name)) for name in objectives.__all__}
    return [name for name, each in stated.items() if part in each.parts]


def check(config: ConfigDict, num_examples: int) -> None:
    """Raises UserError where the objective does not go with these sizes, or with this model.

    Args:
      num_examples: of the training set.
    """
    name, model, batch = config.objective.name, config.model, config.train.batch_size
    objective = chosen(config)
    needs = facts.of(objective)
    if batch < needs.examples:
        raise UserError(
            f"objective.name={name!r} compares examples of a batch: set train.batch_size above "
            f"{needs.examples - 1}"
        )
    if model.latent_size < needs.latents:
        raise UserError(
            f"objective.name={name!r} is about several latents: set model.latent_size above "
            f"{needs.latents - 1}"
        )
    if needs.codebook is not None and needs.codebook != has_codes(model):
        bottleneck = f" with model.bottleneck={model.bottleneck!r}"
        kind = f"model.name={model.name!r}{bottleneck * (model.name == 'autoencoder_kl')}"
        raise UserError(
            f"objective.name={name!r} and {kind} do not go together: a "
            f"codebook is trained by {' or '.join(trainers('codebook'))}, and by nothing else"
        )
    if not needs.codebook and model.name == "vqvae" and model.codebook_update == "ema":
        raise UserError(
            f"objective.name={name!r} never moves a codebook of running means: set "
            "model.codebook_update=gradient"
        )
    if needs.classifier and not (model.classifier and config.data.context == "labels"):
        raise require.missing(name, "classifier")
    if needs.regressor != bool(model.regressor):
        names = [name] if needs.regressor else trainers("regressor")
        raise UserError(
            f"objective.name={' or '.join(map(repr, names))} and model.regressor go together: set "
            "both, or neither"
        )
    exact = static(objective, config).get("estimator") == "exact"
    if exact and batch != num_examples:
        raise UserError(
            "objective.estimator='exact' needs the whole training set in a batch: set "
            f"train.batch_size={num_examples}, or choose stratified or weighted"
        )
    check_accumulate(config)


def check_accumulate(config: ConfigDict) -> None:
    """Raises UserError where parts of a batch, one by one, are not the batch."""
    count, batch = config.train.accumulate, config.train.batch_size
    if count == 1:
        return
    if batch % count:
        raise UserError(
            f"train.batch_size={batch} does not divide into train.accumulate={count} parts: take a "
            f"multiple of {count}"
        )
    coupled = {
        "objective.name": facts.of(chosen(config)).couples,
        "model.encoder": choose(encoders, config.model.encoder, "model.encoder").coupled,
        "model.decoder": choose(decoders, config.model.decoder, "model.decoder").coupled,
    }
    if config.model.classifier:
        classifier = choose(encoders, config.model.classifier, "model.classifier")
        coupled["model.classifier"] = classifier.coupled
    for key, couples in coupled.items():
        if couples:
            group, name = key.split(".")
            raise UserError(
                f"{key}={config[group][name]!r} needs the whole batch at once: set "
                "train.accumulate=1"
            )


class _Read(dict):
    """Hyperparameters that remember which of them were asked for."""

    def __init__(self, values: Hyper):
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> jax.Array:
        self.names.add(name)
        return super().__getitem__(name)


def terms(
    config: ConfigDict,
    model: models.Model,
    objective: Objective,
    hyper: Hyper,
    params: Any,
    shape: tuple[int, ...],
) -> tuple[list[str], list[str]]:
    """Names of a step's logged terms, in the order in which one is blamed for a non-finite value,
    and names of the hyperparameters that the objective reads.

    Nothing is computed: the objective is traced with a batch's shapes.

    Args:
      params: the model's, or their shapes.
      shape: of one example.
    """
    batch = config.train.batch_size
    x = jax.ShapeDtypeStruct((batch, *shape), np.float32)
    keys = jax.eval_shape(lambda: noise.example_keys(jax.random.key(0), np.arange(batch)))
    context = None
    if model.context_size:
        context = jax.ShapeDtypeStruct((batch, model.context_size), np.float32)
    hyper = _Read(hyper | {"num_examples": np.float32(batch)})

    def traced(params: Any, x: jax.Array, keys: jax.Array, context: Any) -> Terms:
        bound = model.bind(models.variables(model, params, context=context))
        return objective(bound, x, keys, hyper)

    names = jax.eval_shape(traced, params, x, keys, context)
    parts = sorted(set(names) - set(facts.SHARED))
    logged = ["distortion", "rate", "elbo", *parts, "loss", "gradient_norm"]
    return logged, sorted(hyper.names)

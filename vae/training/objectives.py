"""The chosen objective: its static settings, its critic, what it logs, what it cannot go with."""

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
from vae.networks import critics
from vae.probability import noise
from vae.training.program import Hyper

Objective = Callable[..., dict[str, jax.Array]]

# Objectives whose terms are estimated from pairs of examples, and of latents.
PAIRS_OF_EXAMPLES = ("beta_tcvae", "dip_i", "dip_ii", "factor_vae", "info_vae", "wae")
PAIRS_OF_LATENTS = ("beta_tcvae", "factor_vae")


def build(config: ConfigDict) -> Objective:
    """The chosen objective with its static settings: its keyword-only arguments, which are read
    from the keys of `config.objective` of the same names."""
    chosen = choose(objectives, config.objective.name, "objective.name")
    arguments = inspect.signature(chosen).parameters.values()
    static = [a.name for a in arguments if a.kind is inspect.Parameter.KEYWORD_ONLY]
    return functools.partial(chosen, **{name: config.objective[name] for name in static})


def critic(config: ConfigDict) -> nn.Module | None:
    """The network that the objective trains beside the model, if it has one."""
    if config.objective.name not in objectives.WITH_CRITIC:
        return None
    return critics.mlp(tuple(config.objective.critic_hidden))


def check(config: ConfigDict, num_examples: int) -> None:
    """Raises UserError where the objective cannot be estimated with these sizes.

    Args:
      num_examples: of the training set.
    """
    name, batch = config.objective.name, config.train.batch_size
    if name in PAIRS_OF_EXAMPLES and batch < 2:
        raise UserError(
            f"objective.name={name!r} compares examples of a batch: set train.batch_size above 1"
        )
    if name in PAIRS_OF_LATENTS and config.model.latent_size < 2:
        raise UserError(
            f"objective.name={name!r} is about several latents: set model.latent_size above 1"
        )
    if (config.model.name == "vqvae") != (name == "vq"):
        raise UserError(
            f"objective.name={name!r} and model.name={config.model.name!r} do not go together: a "
            "codebook is trained by vq, and by nothing else"
        )
    labels = config.model.classifier and config.data.context == "labels"
    if name in ("m2", "supervised") and not labels:
        raise UserError(
            f"objective.name={name!r} trains a classifier: set data.context=labels and "
            "model.classifier=mlp"
        )
    if (name == "property_vae") != bool(config.model.regressor):
        raise UserError(
            "objective.name='property_vae' and model.regressor go together: set both, or neither"
        )
    exact = name == "beta_tcvae" and config.objective.estimator == "exact"
    if exact and batch != num_examples:
        raise UserError(
            "objective.estimator='exact' needs the whole training set in a batch: set "
            f"train.batch_size={num_examples}, or choose stratified or weighted"
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
    """Names of what a step logs, in the order in which a non-finite value is blamed on one of them,
    and of the hyperparameters that the objective reads.

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

    def traced(params: Any, x: jax.Array, keys: jax.Array, context: Any) -> dict[str, jax.Array]:
        bound = model.bind(models.variables(model, params, context=context))
        return objective(bound, x, keys, hyper)

    names = jax.eval_shape(traced, params, x, keys, context)
    parts = sorted(set(names) - {"distortion", "rate", "elbo", "loss"})
    logged = ["distortion", "rate", "elbo", *parts, "loss", "gradient_norm"]
    return logged, sorted(hyper.names)

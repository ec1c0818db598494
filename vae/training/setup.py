"""From a checked config and its data to what the loop needs, before anything is written."""

import functools
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vae import model as models
from vae import objectives
from vae.choices import choose
from vae.data import order
from vae.data.dataset import Dataset
from vae.data.observe import observed_kind, training_mean
from vae.errors import UserError
from vae.networks import critics
from vae.probability import likelihoods, noise
from vae.training import optimizers, schedules
from vae.training.program import Hyper, Program


def resolve_parallel(config: ConfigDict) -> str:
    """'jit' or 'pmap': what train.parallel means on the devices at hand.

    Raises:
      UserError: the batch does not divide over the devices, or jit is asked of several processes.
    """
    devices, processes = jax.device_count(), jax.process_count()
    chosen = config.train.parallel
    if chosen == "auto":
        chosen = "pmap" if devices > 1 else "jit"
    if chosen == "jit" and processes > 1:
        raise UserError(f"train.parallel=jit is for one process, there are {processes}: use pmap")
    if chosen == "pmap" and config.train.batch_size % devices:
        raise UserError(
            f"train.batch_size={config.train.batch_size} does not divide over {devices} devices: "
            f"take a multiple of {devices}, or train.parallel=jit"
        )
    return chosen


def check_data(config: ConfigDict, dataset: Dataset) -> None:
    """Raises UserError where the likelihood is not one for this data."""
    kind = observed_kind(dataset.kind, config.data.binarization)
    chosen = choose(likelihoods, config.model.likelihood, "model.likelihood")
    if kind in chosen.kinds:
        return
    fitting = [name for name in likelihoods.__all__ if kind in getattr(likelihoods, name).kinds]
    remedy = f"set model.likelihood to one of: {', '.join(fitting)}"
    if kind == "grey" and "binary" in chosen.kinds:
        remedy = f"set data.binarization to dynamic or static, or {remedy}"
    if kind == "binary" and dataset.kind == "grey":
        remedy = f"set data.binarization=none, or {remedy}"
    raise UserError(
        f"model.likelihood={config.model.likelihood!r} is for {' or '.join(chosen.kinds)} data; "
        f"{dataset.name} with data.binarization={config.data.binarization!r} is {kind}:\n{remedy}"
    )


class _Read(dict):
    """Hyperparameters that remember which of them were asked for."""

    def __init__(self, values: Hyper):
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> jax.Array:
        self.names.add(name)
        return super().__getitem__(name)


def logged(
    config: ConfigDict, model: models.VAE, objective: Callable[..., Any], shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Names of what a step logs, in the order in which a non-finite value is blamed on one of them.

    Nothing is computed: the objective is traced with a batch's shapes.

    Raises:
      UserError: a weight is set that the objective does not read.
    """
    params = jax.eval_shape(lambda: models.initialise(model, shape))
    batch = config.train.batch_size
    x = jax.ShapeDtypeStruct((batch, *shape), np.float32)
    keys = jax.eval_shape(lambda: noise.example_keys(jax.random.key(0), np.arange(batch)))
    hyper = _Read(hyperparameters(config) | {"num_examples": np.float32(batch)})

    def terms(params: Any, x: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
        return objective(model.bind(models.variables(model, params)), x, keys, hyper)

    names = jax.eval_shape(terms, params, x, keys)
    fixed = config.objective.beta == 1.0 and config.objective.beta_schedule == "constant"
    if "beta" not in hyper.names and not fixed:
        raise UserError(
            f"objective.name={config.objective.name!r} has no beta: "
            "set objective.beta=1.0 and objective.beta_schedule=constant"
        )
    if "capacity" not in hyper.names and config.objective.capacity_epochs > 0.0:
        raise UserError(
            f"objective.name={config.objective.name!r} has no capacity: "
            "set objective.capacity_epochs=0.0"
        )
    parts = sorted(set(names) - {"distortion", "rate", "elbo", "loss"})
    return ("distortion", "rate", "elbo", *parts, "loss", "gradient_norm")


def objective(config: ConfigDict) -> Callable[..., dict[str, jax.Array]]:
    """The chosen objective with its static settings: its keyword-only arguments, which are read
    from the keys of `config.objective` of the same names."""
    chosen = choose(objectives, config.objective.name, "objective.name")
    arguments = inspect.signature(chosen).parameters.values()
    static = [a.name for a in arguments if a.kind is inspect.Parameter.KEYWORD_ONLY]
    return functools.partial(chosen, **{name: config.objective[name] for name in static})


def hyperparameters(config: ConfigDict) -> Hyper:
    """The traced scalars of a run: every real number of `objective` and `optimizer`, the decay of
    averaged weights, the number of latents and the seed."""
    values = {**config.objective, **config.optimizer, "ema": config.train.ema}
    values["latent_size"] = float(config.model.latent_size)
    numbers = {k: np.float32(v) for k, v in values.items() if isinstance(v, float)}
    return numbers | {"seed": np.uint32(config.seed)}


def program(config: ConfigDict, dataset: Dataset) -> Program:
    """Everything static of a run: model, objective, optimiser, schedules.

    Raises:
      UserError: a name that is no choice, a likelihood that does not fit the data, or a batch
        larger than the training set.
    """
    check_data(config, dataset)
    if config.train.wandb and importlib.util.find_spec("wandb") is None:
        raise UserError("train.wandb is set and wandb is missing: pip install -e '.[wandb]'")
    train = dataset.splits["train"]
    shape = tuple(train.x.shape[1:])
    optimizer = choose(optimizers, config.optimizer.name, "optimizer.name")
    if config.optimizer.name == "adam" and config.optimizer.weight_decay > 0:
        raise UserError("optimizer.weight_decay with adam is adamw: set optimizer.name=adamw")
    choose(schedules.LEARNING_RATE, config.optimizer.schedule, "optimizer.schedule")
    critic = None
    if config.objective.name in objectives.WITH_CRITIC:
        critic = critics.mlp(tuple(config.objective.critic_hidden))
    model = models.from_config(config.model, shape, training_mean(dataset), critic=critic)
    chosen = objective(config)
    return Program(
        model=model,
        objective=chosen,
        terms=logged(config, model, chosen, shape),  # what cannot be built fails here
        optimizer=optimizer,
        beta_schedule=config.objective.beta_schedule,
        learning_rate_schedule=config.optimizer.schedule,
        num_examples=len(train),
        steps_per_epoch=order.steps_per_epoch(len(train), config.train.batch_size),
        epochs=config.train.epochs,
        binarize=observed_kind(dataset.kind, config.data.binarization) == "binary"
        and dataset.kind == "grey",
        levels=dataset.levels,
        ema=config.train.ema > 0,
        skip_nonfinite=config.train.skip_nonfinite,
    )

"""From a checked config and its data to what the loop needs, before anything is written."""

import functools
import hashlib
import importlib.util
import json
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vae import config as configs
from vae import keys, models, parts, programs, rules
from vae.choices import choose
from vae.data import order
from vae.data.dataset import Dataset
from vae.data.observe import observed_kind, training_libraries, training_mean
from vae.errors import UserError
from vae.probability import likelihoods
from vae.protocols import Likelihood
from vae.training import schedules, sharding, warm_start
from vae.training.program import Hyper, Parts, Program

LARGE = 10.0  # root mean square of a number of an example: at 30 the first step is not finite
MOST = 20_000  # examples that it is taken over


def check_data(config: ConfigDict, dataset: Dataset) -> None:
    """Raises UserError where the likelihood is not one for this data."""
    kind = observed_kind(dataset.kind, config.data.binarization)
    chosen = choose(likelihoods, config.model.likelihood, "model.likelihood")
    images = len(dataset.shape) > 1
    if images and dataset.shape[-1] > 1 and dataset.binarized:
        raise UserError(
            f"data.binarization={config.data.binarization!r} would make zeros and ones of each of "
            f"the {dataset.shape[-1]} colours of {dataset.name}:\nset data.binarization=none and a "
            "likelihood of grey levels, such as model.likelihood=discretized_logistic_mixture"
        )

    def fits(likelihood: type[Likelihood]) -> bool:
        return kind in likelihood.kinds and not (images and likelihood.vectors)

    if fits(chosen):
        return
    fitting = [name for name in likelihoods.__all__ if fits(getattr(likelihoods, name))]
    remedy = f"set model.likelihood to one of: {', '.join(fitting)}"
    if kind in chosen.kinds:
        raise UserError(
            f"model.likelihood={config.model.likelihood!r} is for vectors [N, D], and "
            f"{dataset.name} holds images:\n{remedy}"
        )
    if kind == "grey" and "binary" in chosen.kinds:
        remedy = f"set data.binarization to dynamic or static, or {remedy}"
    said = {"counts", "tokens"}.intersection(chosen.kinds)
    if config.data.name == "files" and kind not in said and said and not images:
        remedy = f"set data.kind to {' or '.join(sorted(said))}, or {remedy}"
    if kind == "binary" and dataset.kind == "grey":
        remedy = f"set data.binarization=none, or {remedy}"
    raise UserError(
        f"model.likelihood={config.model.likelihood!r} is for {' or '.join(chosen.kinds)} data; "
        f"{dataset.name} with data.binarization={config.data.binarization!r} is {kind}:\n{remedy}"
    )


def check_scale(dataset: Dataset) -> None:
    """Warns of real numbers so large that networks and steps, made for numbers about 1, may
    fail."""
    if dataset.kind != "real" or dataset.scaler is not None:
        return
    size = np.sqrt(np.square(np.asarray(dataset.splits["train"].x[:MOST], np.float64)).mean(0))
    worst = int(np.argmax(size))
    if size.flat[worst] <= LARGE:
        return
    name = dataset.columns[worst] if dataset.columns else f"number {worst} of an example"
    vectors = len(dataset.shape) == 1
    remedy = "set data.standardize=True" if vectors else "divide them in the file"
    warnings.warn(
        f"{name} is about {size.flat[worst]:.3g} in size, and training is for numbers about 1: it "
        f"may stop or learn badly; {remedy}",
        stacklevel=2,
    )


def check_size(params: Any) -> None:
    """Raises UserError where this machine's memory cannot hold parameters of such shapes, their
    gradient and the two moments of most optimisers."""
    sizes = {
        jax.tree_util.keystr(path, simple=True, separator="/"): math.prod(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    needed = 4 * 4 * sum(sizes.values())
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        largest = max(sizes, key=lambda name: sizes[name])
        raise UserError(
            f"the model has {sum(sizes.values()):,} weights, {sizes[largest]:,} of them in "
            f"{largest}: training takes {needed / 2**30:,.1f} GiB and this machine has "
            f"{there / 2**30:,.1f}; make it smaller"
        )


def hyperparameters(config: ConfigDict) -> Hyper:
    """The traced scalars of a run: every real number of `objective` and `optimizer`, the decay of
    averaged weights, the number of latents and the seed."""
    found = dict(configs.flatten(config))
    traced = keys.traced(keys.known(found))
    values = {key.rpartition(".")[2]: found[key] for key in traced}
    values |= {"ema": config.train.ema, "latent_size": config.model.latent_size}
    numbers: Hyper = {name: np.float32(value) for name, value in values.items()}
    return numbers | {"seed": np.uint32(config.seed)}


def check_read(config: ConfigDict, names: Sequence[str]) -> None:
    """Raises UserError where a weight is set that the objective does not read.

    Args:
      names: of the hyperparameters that it reads.
    """
    fixed = config.objective.beta == 1.0 and config.objective.beta_schedule == "constant"
    if "beta" not in names and not fixed:
        raise UserError(
            f"objective.name={config.objective.name!r} has no beta: "
            "set objective.beta=1.0 and objective.beta_schedule=constant"
        )
    if "capacity" not in names and config.objective.capacity_epochs > 0.0:
        raise UserError(
            f"objective.name={config.objective.name!r} has no capacity: "
            "set objective.capacity_epochs=0.0"
        )


def static(config: ConfigDict) -> dict[str, Any]:
    """The keys of a config that are fixed when a step is compiled: neither traced
    (`hyperparameters`) nor read by the host alone."""
    fixed = dict(configs.flatten(config))
    fixed["train.ema"] = config.train.ema > 0
    traced = ("seed", *keys.traced(keys.known(fixed)))
    return {k: v for k, v in fixed.items() if k not in traced and not k.startswith(keys.HOST)}


def libraries(config: ConfigDict, dataset: Dataset) -> tuple[float, float]:
    """What a likelihood is told of the sums of counts, where it models shares of them."""
    counted = config.model.library and dataset.kind == "counts"
    return training_libraries(dataset) if counted else (0.0, 1.0)


def key(config: ConfigDict, dataset: Dataset) -> str:
    """All that the programs of a run depend on beside traced values, for `vae.programs`."""
    train = dataset.splits["train"]
    data = (
        *(dataset.shape, str(train.x.dtype), train.binarized, len(train), dataset.kind),
        *(dataset.levels, dataset.context_size, dataset.vocabulary, dataset.never_first),
        dataset.column_kinds, libraries(config, dataset),
    )  # fmt: skip
    mean = hashlib.sha256(training_mean(dataset).tobytes()).hexdigest()
    sources = parts.origins(configs.outside(config))
    return json.dumps([static(config), repr(data), mean, *sources.items()], sort_keys=True)


def program(
    config: ConfigDict, dataset: Dataset, key: str | None = None, here: bool = True
) -> Program:
    """Everything static of a run: model, objective, optimiser, schedules.

    Args:
      key: of this config and data, under which facts found once are kept: model and objective are
        then built only if they are traced again.
      here: it is to be trained on this machine, whose memory must hold it.

    Raises:
      UserError: a name that is no choice, a likelihood that does not fit the data, or a batch
        larger than the training set.
    """
    if jax.config.jax_enable_x64:  # type: ignore[attr-defined]  # set when JAX is imported
        raise UserError("jax_enable_x64 is set, and a run is of float32: train without it")
    check_data(config, dataset)
    check_scale(dataset)
    if config.train.wandb and importlib.util.find_spec("wandb") is None:
        raise UserError("train.wandb is set and wandb is missing: pip install 'vae[wandb]'")
    train = dataset.splits["train"]
    steps_per_epoch = order.steps_per_epoch(len(train), config.train.batch_size)
    if config.train.epochs * steps_per_epoch > rules.MOST:
        raise UserError(
            f"train.epochs={config.train.epochs} of {steps_per_epoch:,} steps each is more than "
            f"the {rules.MOST:,} steps that a run counts: train for fewer"
        )
    if config.optimizer.name == "adam" and config.optimizer.weight_decay > 0:
        raise UserError("optimizer.weight_decay with adam is adamw: set optimizer.name=adamw")
    kind = observed_kind(dataset.kind, config.data.binarization)
    parts = functools.cache(lambda: build(config, dataset))

    def traced() -> tuple[list[str], list[str]]:  # what cannot be built fails here
        from vae.training import chosen_objective

        model, objective, _ = parts()
        shape, hyper = dataset.shape, hyperparameters(config)
        params = jax.eval_shape(lambda: models.initialise(model, shape))
        if here:
            check_size(params)
        sharding.check(params, config.train.model_axis)
        warm_start.check_parts(config.train.freeze, params)
        return chosen_objective.terms(config, model, objective, hyper, params, shape)

    terms, read = programs.value("terms", key, traced)
    check_read(config, read)
    return Program(
        parts=parts,
        terms=tuple(terms),
        beta_schedule=config.objective.beta_schedule,
        learning_rate_schedule=config.optimizer.schedule,
        num_examples=len(train),
        steps_per_epoch=steps_per_epoch,
        epochs=config.train.epochs,
        binarize=kind == "binary" and dataset.kind == "grey",
        levels=dataset.grey_levels,
        ema=config.train.ema > 0,
        accumulate=config.train.accumulate,
        skip_steps=config.train.skip_steps,
        freeze=tuple(config.train.freeze),
    )


def build(config: ConfigDict, dataset: Dataset) -> Parts:
    """Model, objective and optimiser.

    Raises:
      UserError: a name that is no choice, or parts that do not go together.
    """
    from vae.training import chosen_objective, feature_maps, optimizers

    optimizer = choose(optimizers, config.optimizer.name, "optimizer.name")
    choose(schedules.LEARNING_RATE, config.optimizer.schedule, "optimizer.schedule")
    critic = chosen_objective.critic(config)
    model = models.from_config(
        config.model, dataset.shape, training_mean(dataset), critic, dataset.levels,
        observed_kind(dataset.kind, config.data.binarization), dataset.context_size,
        dataset.never_first, dataset.column_kinds, libraries(config, dataset),
    )  # fmt: skip
    chosen = chosen_objective.build(config, feature_maps.of(config, dataset))
    chosen_objective.check(config, len(dataset.splits["train"]))
    return Parts(model, chosen, optimizer)

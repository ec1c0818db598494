"""Densities that are fitted to all training examples, and their classes where they have labels.

A fit takes minutes, so it is kept in the user's cache, by all that it depends on.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae import runs
from vae.errors import UserError
from vae.estimators.fitted_densities import Sampler
from vae.estimators.learned_densities import CHECKS
from vae.evaluation import training_latents
from vae.evaluation.training_latents import Run, encoded, points

if TYPE_CHECKING:
    from vae.estimators.code_density import CodeDensity

MOST_DRAWS, MOST_VALUES = 16, 2**26  # of each example, and of all, that flow matching holds at once
PASSES = 2  # of the encoder, in a fit by flow matching


def by_flow_matching(run: Run, seed: int, **settings: Any) -> Sampler:
    """Flow matching of latents, with fresh draws of q(z|x) as it goes on.

    Raises:
      UserError: the model takes a context that is not the labels of all examples.
    """
    import jax

    from vae.estimators.flow_matching import matched
    from vae.estimators.velocity_density import VelocityDensity
    from vae.probability import noise

    if run.facts.conditional and (run.config.data.context != "labels" or run.config.data.labelled):
        raise UserError(
            "sampler='flow_matching' knows no context but the labels of all examples: use prior"
        )
    rows, key = training_latents.order(run, seed), noise.key_for(seed, "evaluate")
    count = MOST_VALUES // (len(rows) * run.latent_size)
    count = 1 if points(run) else min(max(count, 1), MOST_DRAWS)

    def fresh(number: int) -> np.ndarray | None:
        if points(run) or number % (CHECKS // PASSES):
            return None
        return encoded(run, rows, count, jax.random.fold_in(key, number))

    def build(folder: Path) -> None:
        z, labels = encoded(run, rows, count, key), training_latents.classes(run, rows)
        matched(z, seed, labels, run.model.latent_shape, fresh, **settings).save(folder)

    arrays = _kept(run, "flow_matching", seed, settings, build)
    return VelocityDensity.of_arrays(arrays).sampler()


def of_codes(
    run: Run, fit: "Callable[..., CodeDensity]", name: str, seed: int, **settings: Any
) -> Sampler:
    """A density of codes, which `fit` fits: its draws are z, its log p is of codes."""
    import jax

    from vae.estimators import code_density
    from vae.estimators.batches import PerExample
    from vae.probability import noise

    model = run.model

    def build(folder: Path) -> None:
        rows = training_latents.order(run, seed)
        codes = training_latents.codes(run, rows, noise.key_for(seed, "evaluate"))
        labels = training_latents.classes(run, rows)
        fit(codes, seed, labels=labels, number=model.codes, streams=model.streams, **settings).save(
            folder
        )

    def embed(weights: Any, codes: jax.Array, keys: jax.Array) -> jax.Array:
        return model.bind(weights).embed(codes.reshape(len(codes), -1, model.streams))

    found = code_density.of_arrays(_kept(run, name, seed, settings, build)).sampler()
    embedded = PerExample(embed)

    def sample(num: int, *given: Any, **more: Any) -> np.ndarray:
        codes = found.sample(num, *given, **more)
        key = noise.key_for(seed, "evaluate")
        return np.asarray(embedded(run.variables, codes, key, code_density.BATCH))

    return Sampler(sample, found.log_prob, found.classes)


def _kept(
    run: Run, name: str, seed: int, settings: dict[str, Any], build: Callable[[Path], None]
) -> dict[str, np.ndarray]:
    """What `build` writes into a folder, from the cache where it is there."""
    import jax

    from vae.data import cache

    about = [run.described, seed, settings, run.config.data.to_dict(), run.config.model.to_dict()]
    about.append(runs.source("estimators", "networks"))
    digest = hashlib.sha256(json.dumps(about, default=str, sort_keys=True).encode())
    for leaf in jax.tree.leaves(run.variables):
        digest.update(np.asarray(leaf).tobytes())
    return cache.arrays(cache.root() / f"{name}-{digest.hexdigest()[:16]}", build)

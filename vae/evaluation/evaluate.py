"""Every metric that a run's config names, of one split, in `evaluation.json`."""

import dataclasses
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from vae import npz, parts, runs
from vae.choices import choose
from vae.errors import UserError, needed
from vae.estimators import bounds
from vae.evaluation.groups import GROUPS
from vae.evaluation.subject import SEED, Subject
from vae.evaluation.trained import Trained, load
from vae.metrics import Kind, Metric, by_name, checked
from vae.probability import noise
from vae.scores import latents

PER_LATENT = ("kl_per_latent", "posterior_mean")
ELBO = Kind("elbo", "ELBO", "up", "nats", shown="sweep")
DISTORTION = Kind("distortion", "Distortion", "down", "nats", shown="sweep")
# What a model trades: less is collapse, more is overfitting.
RATE = Kind("rate", "Rate", "none", "nats", shown="sweep")
NLL_IWAE = Kind(
    "nll_iwae_{:d}", "−log p(x), IWAE bound, K = {:,}", "down", "nats", shown="sweep"
)
CLASSIFICATION = Kind("classification_error", "Classification error", "down", shown="sweep")
BPD = Kind("bpd", "Bits per dimension", "down", shown="run")


def evaluate(
    workdir: str | Path, split: str | None = None, metrics: Sequence[str] | None = None
) -> dict[str, Any]:
    """Evaluates the run in a directory: `evaluate_run` of what `load` gives."""
    _groups(metrics or ())
    return evaluate_run(load(workdir), split, metrics)


def evaluate_run(
    run: Trained, split: str | None = None, metrics: Sequence[str] | None = None
) -> dict[str, Any]:
    """Evaluates a run on all examples of a split, each exactly once.

    Args:
      split: "validation" or "test"; by default the run's `eval.split`.
      metrics: groups of metrics beside the bounds, names of `vae.evaluation.groups`; by default the
        run's `eval.metrics`.

    Returns:
      What is written to `evaluation.json`: `metrics` maps a name to value, stderr (over examples,
      where its unit says nothing else; None where it has none), unit, better and label, as
      `vae.metrics.Metric` has them. The bounds of each example are written beside it,
      to `per_example.npz`: elbo and nll_iwae_K, [N] nats.

    Raises:
      UserError: no such split or group, or a group that the model or its data have no use for.
      RunError: a value is not finite.
    """
    split = split or run.config.eval.split
    if split not in ("validation", "test"):
        raise UserError(f"split={split!r} is not one of: test, validation")
    names = run.config.eval.metrics if metrics is None else metrics
    subject, found, arrays = measure(run, split, names)
    result = {
        "split": split,
        "num_examples": len(subject.x),
        "step": run.step,
        "seed": SEED,
        "checkpoint": run.config.eval.checkpoint,
        "metrics": {name: metric.entry() for name, metric in found.items()},
        "arrays": {name: np.asarray(array).tolist() for name, array in arrays.items()},
        "environment": runs.environment(),
    }
    npz.write(run.workdir / "per_example.npz", subject.per_example)
    runs.write_json(run.workdir / "evaluation.json", result)
    return result


def measure(
    run: Trained, split: str, names: Sequence[str]
) -> tuple[Subject, dict[str, Metric], dict[str, np.ndarray]]:
    """The bounds of a split and the groups named: what was measured, metrics and arrays."""
    groups = _groups(names)
    subject, metrics, arrays = bounds_of(run, split)
    for group in groups:
        _say(group.__name__)
        more, drawn = group(subject)
        place = f"{group.__module__}.{group.__name__}"
        metrics, arrays = {**metrics, **checked(more, place)}, arrays | drawn
    return subject, metrics, arrays


def _say(what: str) -> None:
    """Tells who waits at a terminal what is being computed."""
    if sys.stderr.isatty():
        print(f"evaluating: {what}", file=sys.stderr, flush=True)


def _groups(names: Sequence[str]) -> list[Any]:
    return [choose(GROUPS, name, "eval.metrics") for name in names]


def bounds_of(
    run: Trained, split: str
) -> tuple[Subject, dict[str, Metric], dict[str, np.ndarray]]:
    """The bounds, what the latents carry, and the arrays that other groups start from.

    With a context [N, C] they are of p(x|c); where the model has a classifier, it is asked for c.
    """
    x, context = run.examples(split), run.context(split)
    settings, key = run.config.eval, noise.key_for(SEED, "evaluate")
    evaluator = run.compiled(bounds.elbo, settings.elbo_samples)
    _say(f"elbo of {len(x):,} {split} examples")
    per_example = evaluator(run.variables, x, key, settings.batch_size, context)
    per_latent = {k: per_example[k][:, : run.latent_size] for k in PER_LATENT if k in per_example}
    unit = unit_of_bounds(run.config)
    found = [kind(per_example[kind.name], unit) for kind in (ELBO, DISTORTION)]
    found.append(RATE(per_example[RATE.name]))
    found[-1] = dataclasses.replace(found[-1], estimate=run.facts.kl_estimate)
    threshold = settings.active_threshold
    active, variance = latents.active_units(per_latent["posterior_mean"], threshold)
    over = f"latents of {len(variance)}, variance of the posterior mean > {threshold:g}"
    found.append(latents.ACTIVE_UNITS.of(active, unit=over))
    kept = {"elbo": per_example["elbo"]}
    best = -per_example["elbo"]
    for samples in sorted(settings.iwae_samples):
        bound = run.compiled(bounds.iwae, samples)
        _say(f"nll_iwae_{samples}")
        best = -bound(run.variables, x, key, settings.batch_size, context)
        found.append(NLL_IWAE[samples](best, unit))
        kept[found[-1].name] = best
    shares: dict[str, np.ndarray] = {}
    if run.facts.codes:
        indices = run.compiled.codes(run.variables, x, key, settings.batch_size)
        used, shares = latents.codebook(indices, run.facts.codes)
        found += used.values()
    if run.facts.classifies:
        log_q = run.compiled.classify(run.variables, x, key, settings.batch_size)
        wrong = log_q.argmax(1) != np.argmax(needed(context, "context"), 1)
        found.append(CLASSIFICATION(wrong, "share wrong"))
    if run.facts.discrete:
        bits = best / (math.log(2.0) * math.prod(run.shape))
        found.append(BPD(bits, "bits per dimension, of the tightest bound above"))
    arrays = {"posterior_mean_variance": variance, **shares}
    if "kl_per_latent" in per_latent:
        arrays = {"kl_per_latent": per_latent["kl_per_latent"].mean(0), **arrays}
    if run.facts.layers > 1:
        arrays["kl_per_layer"] = per_example["kl_per_layer"].mean(0)
        arrays["latents_per_layer"] = np.asarray(run.facts.sizes)
    subject = Subject(run, split, x, context, kept, per_latent["posterior_mean"], key)
    return subject, by_name(*found), arrays


def unit_of_bounds(config: ConfigDict) -> str:
    """Nats; and, where the objective minimised another distance of x than -log p(x|z), that their
    likelihood was not trained."""
    from vae import programs

    name = config.objective.name

    def find() -> str:
        from vae import objectives
        from vae.objectives import facts

        return facts.of(choose(objectives, name, "objective.name")).distance

    # Kept, as objectives import much that evaluation needs for nothing else.
    key = find() if parts.is_outside(name) else programs.value("distance", name, find)
    if not key or config.objective[key] == "likelihood":
        return "nats"
    return f"nats, of a likelihood that was not trained: objective.{key}={config.objective[key]}"

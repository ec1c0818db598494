"""What a reader must know of a run before its figures, as sentences: functions of its files."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae.reports.summary import tightest_nll
from vae.reports.tables import typeset_metric

EARLY = 0.7  # of training: a best validation before it is long before the end
WORSE = 0.002  # of the best bound, by which the last one has to be below it
GAP = 0.03  # of the validation bound, by which the training bound has to be above it
LITTLE = 0.01  # nats: a layer with less carries nothing
SPREAD = 0.1  # of the codes, that a codebook in use is worth at least

COLLAPSED = (
    "Try a warm-up of β (objective.beta_schedule=linear), objective.name=free_bits, a smaller "
    "objective.beta, or a decoder that can do less."
)
UNUSED = (
    "Try objective.revive with model.codebook_update=ema, a smaller model.codes, a smaller "
    "objective.commitment, or a smaller optimizer.learning_rate."
)
OVERFITTED = (
    "Try model.dropout, optimizer.weight_decay, a smaller network or train.patience; evaluate "
    "takes the best checkpoint where eval.checkpoint=best."
)
DIVERGED = "Try a smaller optimizer.learning_rate, optimizer.clip_norm, or train.skip_steps."


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Something to know, whether it is a problem, and what may be done about it."""

    text: str
    is_problem: bool = False
    remedy: str = ""


def verdict(
    evaluation: Mapping[str, Any] | None,
    records: Sequence[Mapping[str, Any]],
    failure: str = "",
) -> list[Sentence]:
    """Everything there is to say, the bound first, then how it trained and what its latents carry.

    Args:
      evaluation: what evaluation.json holds; None where it has not been written.
      records: the lines of metrics.jsonl, oldest first.
      failure: why training failed for good; "" where it did not.
    """
    found = [bound(evaluation), file(evaluation), collapse(evaluation)] if evaluation else []
    found += [broken(records, failure), skipped(records), overfitting(records)]
    return [sentence for sentence in found if sentence]


def bound(evaluation: Mapping[str, Any]) -> Sentence | None:
    """The ELBO and the tightest bound on -log p(x), with their standard errors; and, where it was
    not trained, that their likelihood was not."""
    metrics = evaluation.get("metrics", {})
    if "elbo" not in metrics:
        return None
    split, count = evaluation.get("split", "test"), evaluation.get("num_examples", 0)
    text = (
        f"{split.capitalize()} ELBO: {typeset_metric(metrics['elbo'])} nats (± standard error over "
        f"{count:,} examples)"
    )
    tightest = tightest_nll([evaluation])
    if tightest:
        samples = int(tightest.rsplit("_", 1)[1])
        nll = typeset_metric(metrics[tightest])
        text += f"; −log p(x) is at most {nll} nats (IWAE, K = {samples:,})"
    _, _, about = metrics["elbo"].get("unit", "").partition(", ")
    if about:
        text += f". Both are {about}" if tightest else f". It is {about}"
    return Sentence(text + ".")


def file(evaluation: Mapping[str, Any]) -> Sentence | None:
    """The length of a lossless file of the split, beside its PNG files, where it was measured."""
    metrics = evaluation.get("metrics", {})
    if "bits_png" not in metrics:
        return None
    length, png = (metrics[name]["value"] for name in ("bits_net", "bits_png"))
    whole = length + metrics["bits_first"]["value"]
    return Sentence(
        f"This model compresses the images to {length / png:.1%} of their PNG files ({length:.4g} "
        f"bits per dimension; {whole / png:.1%} with the random bits that a file begins with)."
    )


def collapse(evaluation: Mapping[str, Any]) -> Sentence | None:
    """How many latents carry something about x, or layers of them, or how many codes are used."""
    arrays, metrics = evaluation.get("arrays", {}), evaluation.get("metrics", {})
    if "codes_used" in metrics:
        return _codes(metrics, len(arrays.get("code_share", ())))
    if "kl_per_layer" in arrays:
        return _layers(np.asarray(arrays["kl_per_layer"], float))
    if "active_units" not in metrics or not arrays.get("posterior_mean_variance"):
        return None
    total = len(arrays["posterior_mean_variance"])
    active = int(metrics["active_units"]["value"])
    if active == 0:
        text = "Posterior collapse: no latent is active: the decoder ignores z."
        return Sentence(text, is_problem=True, remedy=COLLAPSED)
    idle = total - active
    if idle == 0:
        few = {1: "The latent is", 2: "Both latents are"}
        return Sentence(f"{few.get(total, f'All {total} latents are')} active.")
    return Sentence(
        f"{idle} of {total} latents carr{'ies' if idle == 1 else 'y'} nothing about x; "
        f"{active} {'is' if active == 1 else 'are'} active."
    )


def _codes(metrics: Mapping[str, Any], total: int) -> Sentence:
    """Of a codebook of `total` codes, 0 where it is not known: they are its latents."""
    used = int(metrics["codes_used"]["value"])
    worth = metrics.get("codebook_perplexity", {}).get("value", used)
    text = f"{used:,} of {total:,} codes are in use" if total else f"{used:,} codes are in use"
    text += f", as if {_number(worth)} were used alike (their perplexity)."
    if used == 1:
        text = "Posterior collapse: one code stands for everything: the decoder ignores z."
    elif worth < SPREAD * total:
        text = f"Codebook collapse: {text}"
    is_problem = used == 1 or worth < SPREAD * total
    return Sentence(text, is_problem, UNUSED if is_problem else "")


def _layers(kl: np.ndarray) -> Sentence:
    idle = int((kl < LITTLE).sum())
    if idle == len(kl):
        text = "Posterior collapse: no layer of latents carries anything: the decoder ignores z."
        return Sentence(text, is_problem=True, remedy=COLLAPSED)
    if idle == 0:
        return Sentence(f"All {len(kl)} layers of latents carry something about x.")
    return Sentence(
        f"{idle} of {len(kl)} layers of latents carr{'ies' if idle == 1 else 'y'} nothing about x "
        f"(below {LITTLE:g} nats).",
        is_problem=True,
        remedy=COLLAPSED,
    )


def overfitting(records: Sequence[Mapping[str, Any]]) -> Sentence | None:
    """Whether the validation bound was better long ago, or stays far below the training bound."""
    validation = _bounds(records, "validation")
    if not validation:
        return None
    last, best = validation[-1], max(validation, key=lambda record: record["elbo"])
    train = [r for r in _bounds(records, "train") if r["step"] <= last["step"]]
    gap = train[-1]["elbo"] - last["elbo"] if train else 0.0
    fallen = best["elbo"] - last["elbo"]
    is_early = best["step"] <= EARLY * last["step"] and fallen > WORSE * abs(best["elbo"])
    is_apart = gap > GAP * abs(last["elbo"])
    at = f"{_when(best)} of {_when(last).split()[-1]}"
    parts = []
    if is_early:
        parts.append(
            f"the validation ELBO was best at {at} ({_number(best['elbo'])} nats) and has fallen "
            f"by {fallen:.3g} nats since"
        )
    if is_apart:
        parts.append(
            f"the last training ELBO ({_number(train[-1]['elbo'])} nats) is {gap:.3g} nats above "
            f"the last validation ELBO ({_number(last['elbo'])} nats)"
        )
    if parts:
        text = f"Overfitting: {'; '.join(parts)}."
        return Sentence(text, is_problem=True, remedy=OVERFITTED)
    side = "below" if gap < 0 else "above"
    beside = f"; the training ELBO is {abs(gap):.3g} nats {side} it" if train else ""
    text = f"No overfitting seen: the validation ELBO was best at {at}{beside}."
    return Sentence(text)


def skipped(records: Sequence[Mapping[str, Any]]) -> Sentence | None:
    """How many steps were left out because their gradient was bad."""
    count = max((int(record.get("skipped_steps") or 0) for record in records), default=0)
    if not count:
        return None
    last = max(int(record["step"]) for record in records)
    text = f"{count:,} of {last:,} steps {'was' if count == 1 else 'were'} skipped: the gradient "
    return Sentence(text + "was not finite or too large.", is_problem=True, remedy=DIVERGED)


def broken(records: Sequence[Mapping[str, Any]], failure: str) -> Sentence | None:
    """Whether training failed for good, or its loss left the finite numbers."""
    if failure:
        return Sentence(f"Training failed: {failure}", is_problem=True, remedy=DIVERGED)
    for record in records:
        for name in ("loss", "elbo"):
            value = record.get(name)
            if isinstance(value, float) and not math.isfinite(value):
                text = f"Training diverged: the {record['split']} {name} is {value} at "
                return Sentence(text + f"{_when(record)}.", is_problem=True, remedy=DIVERGED)
    return None


def _bounds(records: Sequence[Mapping[str, Any]], split: str) -> list[Mapping[str, Any]]:
    """The lines of a split with a finite bound."""
    found = [r for r in records if r.get("split") == split and r.get("elbo") is not None]
    return [record for record in found if math.isfinite(record["elbo"])]


def _when(record: Mapping[str, Any]) -> str:
    return f"epoch {record['epoch']:.4g}" if "epoch" in record else f"step {record['step']}"


def _number(value: float) -> str:
    return f"{value:,.5g}".replace("-", "−")

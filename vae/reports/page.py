"""The report of one run, read from its directory: figures/*.png and report.html."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae import runs
from vae.choices import choose
from vae.errors import UserError
from vae.evaluation import samplers
from vae.reports import figures, images, markup
from vae.reports.markup import Section

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained

COLUMNS = 10
NUM_TRAVERSED = 8  # latents
STEPS = 11  # of a traversal or an interpolation
REACH = 3.0  # a traversal runs from -REACH to REACH
NUM_RANKED = 1000  # examples that rank the latents where the run has not been evaluated
MOST_SHOWN = 400  # samples in one picture


def report(workdir: str | Path) -> Path:
    """Writes the figures and the page of the run in a directory: `report_run` of what it holds."""
    import vae

    return report_run(vae.load(workdir), Path(workdir))


def report_run(run: "Trained", workdir: Path) -> Path:
    """Writes the figures and the page of a trained run.

    Returns:
      The path of `report.html`.

    Raises:
      UserError: a damaged file.
    """
    evaluation = _read(workdir / "evaluation.json")
    split = evaluation["split"] if evaluation else run.config.eval.split
    x = np.asarray(run.examples(split, NUM_RANKED))
    sections = [
        *_training(workdir),
        *(_pictures(run, x, split, evaluation, workdir) if x.ndim == 4 else [_no_pictures(x)]),
        *_latents(run, evaluation, workdir),
    ]
    text = markup.render(
        title=workdir.resolve().name,
        summary=_summary(run, x.shape[1:]),
        evaluation=evaluation,
        notes=_notes(run, evaluation),
        sections=sections,
        config=run.config,
        environment=_read(workdir / "environment.json") or {},
        workdir=str(workdir),
    )
    return markup.write(workdir / "report.html", text)


def sample(
    workdir: str | Path, num: int = 64, seed: int = 0, sampler: str = "prior"
) -> list[Path]:
    """Draws z and writes the means of p(x|z): an .npz, and a grid for images.

    Args:
      num: how many; the picture shows the first 400.
      seed: of the draws; what is fitted for them does not depend on it.
      sampler: what z is drawn from: the prior, or another of `vae.evaluation.samplers`, which is
        first fitted to the training set.

    Returns:
      The paths: `samples.npz` with `mean` [num, *shape], `seed`, `step` and `sampler`; and, where
      the data are images, `figures/samples.png`, or `figures/samples_NAME.png` of another sampler
      than the prior.

    Raises:
      UserError: no trained run there, `num` below 1, or no such sampler.
    """
    import vae

    if num < 1:
        raise UserError(f"num={num} should be a whole number of at least 1")
    choose(samplers.SAMPLERS, sampler, "sampler")
    workdir = Path(workdir)
    run = vae.load(workdir)
    if sampler == "prior":
        mean = run.sample(num, seed=seed, context=run.contexts(num))
    else:
        mean = run.decode(samplers.fit(run, sampler).sample(num, seed))
    mean = np.asarray(mean, np.float32)
    path = workdir / "samples.npz"
    temporary = workdir / f".samples.{os.getpid()}.npz"
    try:
        np.savez_compressed(temporary, mean=mean, seed=seed, step=run.step, sampler=sampler)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if mean.ndim != 4:
        return [path]
    shown = scaled(run, mean)[:MOST_SHOWN]
    grid = images.grid(shown, columns=math.ceil(math.sqrt(len(shown))))
    name = "samples" if sampler == "prior" else f"samples_{sampler}"
    return [path, figures.save(grid, workdir / "figures" / f"{name}.png")]


def _training(workdir: Path) -> list[Section]:
    records = runs.read_metrics(workdir)
    if not any(record.get("split") in ("train", "validation") for record in records):
        return [Section("Training", "metrics.jsonl holds nothing to draw.")]
    path = figures.save(figures.training_curves(records), workdir / "figures" / "training.png")
    caption = (
        "Means over examples. The loss is what was minimised; ELBO, distortion and rate are at "
        "β = 1 whatever was. Axes are scaled to what follows the first tenth of training."
    )
    return [Section("Training", caption, path, is_chart=True)]


def _pictures(
    run: "Trained", x: np.ndarray, split: str, evaluation: Mapping[str, Any] | None, workdir: Path
) -> list[Section]:
    """The sections that show images; x [N, H, W, C] are examples of `split`."""
    low, high = _range(run, x)
    context = run.context(split, len(x))
    mean = np.asarray(run.encode(x, context)[0])  # [N, L]

    def shown(values: np.ndarray) -> np.ndarray:
        return (np.asarray(values) - low) / (high - low)

    def decode(z: np.ndarray, rows: np.ndarray) -> np.ndarray:  # [R, ..., L] -> [R, ..., H, W, C]
        given = context
        if context is not None:  # each row's is that of the example that it is about
            given = np.repeat(context[rows], z[0].size // z.shape[-1], axis=0)
        decoded = shown(run.decode(z.reshape(-1, z.shape[-1]), given))
        return decoded.reshape(*z.shape[:-1], *x.shape[1:])

    def section(title: str, name: str, figure: Any, caption: str) -> Section:
        return Section(title, caption, figures.save(figure, workdir / "figures" / f"{name}.png"))

    told = ""
    if context is not None:
        by_turns = run.config.data.context == "labels"
        told = " Classes by turns." if by_turns else " Contexts of the first test examples."
    count = min(3 * COLUMNS, len(x) // COLUMNS * COLUMNS or len(x))
    starts, ends, paths = _pairs(mean)
    order, scores, ranked_by = _ranking(mean, evaluation)
    lines = np.repeat(mean[:1, None], STEPS, axis=1).repeat(len(order), axis=0)  # [R, K, L]
    values = np.linspace(-REACH, REACH, STEPS)
    centre, scale = (moment[order, None] for moment in run.prior_moments)
    lines[np.arange(len(order)), :, order] = centre + scale * values
    standard = run.config.model.prior == "normal"
    unit = "" if standard else " of the prior's standard deviations from its mean"
    labels = [f"$z_{{{j}}}$\n{score:.2f}" for j, score in zip(order, scores, strict=True)]
    return [
        section(
            "Reconstructions", "reconstructions",
            images.reconstructions(
                shown(x[:count]), decode(mean[:count], np.arange(count)), COLUMNS
            ),
            f"The first {count} {split} examples, and under each the mean of p(x|z) at the mean of "
            "q(z|x).",
        ),
        section(
            "Samples", "samples",
            images.grid(shown(run.sample(COLUMNS**2, context=run.contexts(COLUMNS**2))), COLUMNS),
            f"Means of p(x|z) for z drawn from the prior, seed 0; not selected.{told}",
        ),
        section(
            "Interpolations", "interpolations",
            images.interpolations(shown(x[starts]), decode(paths, starts), shown(x[ends])),
            f"Pairs of {split} examples, at the two ends; between them the mean of p(x|z) along "
            "the straight line from one posterior mean to the other.",
        ),
        section(
            "Latent traversals", "traversals",
            images.traversals(decode(lines, np.zeros(len(order), int)), labels, values),
            f"The first {split} example with one latent at a time set to values from "
            f"−{REACH:g} to {REACH:g}{unit}, the others at their posterior mean. Latents, numbered "
            f"from 0 as in the arrays, by {ranked_by}, which stands under each name.",
        ),
    ]  # fmt: skip


def _pairs(mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which examples are joined, [R] and [R], and the lines between their means [R, STEPS, L]."""
    count = max(1, min(6, len(mean) // 2))
    starts = np.arange(count)
    ends = np.minimum(starts + count, len(mean) - 1)
    weight = np.linspace(0.0, 1.0, STEPS)[:, None]
    return starts, ends, mean[starts, None] * (1 - weight) + mean[ends, None] * weight


def _ranking(
    mean: np.ndarray, evaluation: Mapping[str, Any] | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """The most active latents, the score that ranks them, and what the score is."""
    kl = evaluation.get("arrays", {}).get("kl_per_latent") if evaluation else None
    scores = mean.var(0) if kl is None else np.asarray(kl)
    order = np.argsort(-scores, kind="stable")[:NUM_TRAVERSED]
    name = "variance of the posterior mean" if kl is None else "KL (nats)"
    return order, scores[order], name


def _latents(run: "Trained", evaluation: Mapping[str, Any] | None, workdir: Path) -> list[Section]:
    arrays = evaluation.get("arrays", {}) if evaluation else {}
    if "kl_per_layer" in arrays:
        return [_layers(np.asarray(arrays["kl_per_layer"]), evaluation, workdir)]
    if not {"kl_per_latent", "posterior_mean_variance"} <= arrays.keys():
        told = "posterior_mean_variance" not in arrays
        text = "Not in evaluation.json." if told else "The KL is known of all latents together."
        return [] if evaluation is None else [Section("KL per latent", text)]
    figure = figures.kl_per_latent(
        np.asarray(arrays["kl_per_latent"]),
        np.asarray(arrays["posterior_mean_variance"]),
        run.config.eval.active_threshold,
    )
    path = figures.save(figure, workdir / "figures" / "kl_per_latent.png")
    caption = (
        f"Means over the {evaluation['num_examples']:,} {evaluation['split']} examples. A latent "
        "is active where the variance of its posterior mean over the data is above the threshold "
        "(Burda et al. 2015); the others are grey."
    )
    return [Section("KL per latent", caption, path, is_chart=True)]


def _layers(kl: np.ndarray, evaluation: Mapping[str, Any], workdir: Path) -> Section:
    sizes = evaluation["arrays"]["latents_per_layer"]
    path = figures.save(figures.kl_per_layer(kl, sizes), workdir / "figures" / "kl_per_layer.png")
    caption = (
        f"Means over the {evaluation['num_examples']:,} {evaluation['split']} examples, from the "
        "layer next to x to the top; under each its number of latents. They add up to the rate."
    )
    return Section("KL per layer", caption, path, is_chart=True)


def _no_pictures(x: np.ndarray) -> Section:
    text = f"The data are vectors of {x.shape[-1]} values: there are no images to show."
    return Section("Reconstructions and samples", text)


def _notes(run: "Trained", evaluation: Mapping[str, Any] | None) -> list[str]:
    if evaluation is None or evaluation["step"] == run.step:
        return []
    return [
        f"The numbers are of step {evaluation['step']:,} and the pictures of step {run.step:,}: "
        "evaluate again, then report."
    ]


def _summary(run: "Trained", shape: tuple[int, ...]) -> str:
    config = run.config
    return (
        f"{config.data.name}, {'×'.join(map(str, shape))} · {config.model.encoder} encoder, "
        f"{config.model.decoder} decoder, {config.model.latent_size} latents, "
        f"{config.model.likelihood.replace('_', ' ')} likelihood · {config.objective.name}, "
        f"β = {config.objective.beta:g} · step {run.step:,}"
    )


def scaled(run: "Trained", values: np.ndarray) -> np.ndarray:
    """Values of the run's data as brightness, 0 black and 1 white."""
    low, high = _range(run, values)
    return (values - low) / (high - low)


def _range(run: "Trained", values: np.ndarray) -> tuple[float, float]:
    """What is drawn black and white: 0 and 1, or the extremes of data that are real numbers."""
    if run.described["observed"] != "real":
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return low, high if high > low else low + 1.0


def _read(path: Path) -> Any:
    return runs.read_json(path) if path.exists() else None

"""The report of one run, read from its directory: figures/*.png and report.html."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae import runs
from vae.errors import UserError
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


def sample(workdir: str | Path, num: int = 64, seed: int = 0) -> list[Path]:
    """Draws z from the prior and writes the means of p(x|z): an .npz, and a grid for images.

    Args:
      num: how many; the picture shows the first 400.

    Returns:
      The paths: `samples.npz` with `mean` [num, *shape], `seed` and `step`; and, where the data
      are images, `figures/samples.png`.

    Raises:
      UserError: no trained run there, or `num` below 1.
    """
    import vae

    if num < 1:
        raise UserError(f"num={num} should be a whole number of at least 1")
    workdir = Path(workdir)
    run = vae.load(workdir)
    mean = np.asarray(run.sample(num, seed=seed), np.float32)
    path = workdir / "samples.npz"
    temporary = workdir / f".samples.{os.getpid()}.npz"
    try:
        np.savez_compressed(temporary, mean=mean, seed=seed, step=run.step)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if mean.ndim != 4:
        return [path]
    shown = scaled(run, mean)[:MOST_SHOWN]
    grid = images.grid(shown, columns=math.ceil(math.sqrt(len(shown))))
    return [path, figures.save(grid, workdir / "figures" / "samples.png")]


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
    mean = np.asarray(run.encode(x)[0])  # [N, L]

    def shown(values: np.ndarray) -> np.ndarray:
        return (np.asarray(values) - low) / (high - low)

    def decode(z: np.ndarray) -> np.ndarray:  # [..., L] -> [..., H, W, C]
        decoded = shown(run.decode(z.reshape(-1, z.shape[-1])))
        return decoded.reshape(*z.shape[:-1], *x.shape[1:])

    def section(title: str, name: str, figure: Any, caption: str) -> Section:
        return Section(title, caption, figures.save(figure, workdir / "figures" / f"{name}.png"))

    count = min(3 * COLUMNS, len(x) // COLUMNS * COLUMNS or len(x))
    starts, ends, paths = _pairs(mean)
    order, scores, ranked_by = _ranking(mean, evaluation)
    lines = np.repeat(mean[:1, None], STEPS, axis=1).repeat(len(order), axis=0)  # [R, K, L]
    values = np.linspace(-REACH, REACH, STEPS)
    lines[np.arange(len(order)), :, order] = values
    labels = [f"$z_{{{j}}}$\n{score:.2f}" for j, score in zip(order, scores, strict=True)]
    return [
        section(
            "Reconstructions", "reconstructions",
            images.reconstructions(shown(x[:count]), decode(mean[:count]), COLUMNS),
            f"The first {count} {split} examples, and under each the mean of p(x|z) at the mean of "
            "q(z|x).",
        ),
        section(
            "Samples", "samples", images.grid(shown(run.sample(COLUMNS**2, seed=0)), COLUMNS),
            "Means of p(x|z) for z drawn from the prior, seed 0; not selected.",
        ),
        section(
            "Interpolations", "interpolations",
            images.interpolations(shown(x[starts]), decode(paths), shown(x[ends])),
            f"Pairs of {split} examples, at the two ends; between them the mean of p(x|z) along "
            "the straight line from one posterior mean to the other.",
        ),
        section(
            "Latent traversals", "traversals", images.traversals(decode(lines), labels, values),
            f"The first {split} example with one latent at a time set to values from "
            f"−{REACH:g} to {REACH:g}, the others at their posterior mean. Latents, numbered from "
            f"0 as in the arrays, by {ranked_by}, which stands under each name.",
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
    if not {"kl_per_latent", "posterior_mean_variance"} <= arrays.keys():
        return [] if evaluation is None else [Section("KL per latent", "Not in evaluation.json.")]
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

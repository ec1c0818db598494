"""The `sample` verb: draws of a trained run, as an .npz and a picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vae import npz
from vae.choices import choose
from vae.errors import UserError
from vae.evaluation import outputs, samplers, training_latents
from vae.reports import figures, mosaics
from vae.reports.view import brightness_range, class_heads

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained

MOST_SHOWN = 400  # samples in one picture


def sample(
    workdir: str | Path,
    num: int = 64,
    seed: int = 0,
    sampler: str = "prior",
    draw: bool = False,
    of_class: str = "",
    guidance: float = 1.0,
    output: str = "",
) -> list[Path]:
    """Draws z and writes the means of p(x|z), or draws of it: an .npz, and a grid for images.

    Args:
      num: how many; the picture shows the first 400.
      seed: of the draws; what is fitted for them does not depend on it.
      sampler: what z is drawn from: the prior, or another of `vae.evaluation.samplers`, which is
        first fitted to the training set.
      draw: draw x from p(x|z) rather than give its mean.
      of_class: of a model that is given labels, the class of all samples, by name or number; by
        default every class by turns. Of another model, by a sampler `OF_CLASSES` where the data
        have labels; by default its draws are of no class.
      guidance: of these samplers, how far draws of a class are driven: 1 as it is, 0 not at all.
      output: a .csv, .parquet or .npz to write in the data's own units instead, of draws: of a
        table with its own columns, levels by their names.

    Returns:
      The path of `output`, or the paths: `samples.npz` with `mean` (or `draw`) [num, *shape],
      `seed`, `step`, `sampler` and, where there is a class, `label` [num] with that of each; and,
      where the data are images, `figures/samples.png`, or `figures/samples_NAME.png` of another
      sampler than the prior.

    Raises:
      UserError: no trained run there, no such sampler or class, a number or seed that cannot be,
        or more than the disk has room for.
    """
    choose(samplers.SAMPLERS, sampler, "sampler")
    import vae
    from vae.evaluation import accepted

    accepted.draws(num, seed)
    target = outputs.check(output) if output else Path()
    workdir = Path(workdir)
    run = vae.load(workdir)
    path = workdir / "samples.npz"
    if guidance != 1.0 and sampler not in samplers.OF_CLASSES:
        fitting = samplers.of_classes(run.facts.codes)
        raise UserError(f"--guidance={guidance:g}: {sampler} has none, --sampler={fitting} has")
    known = classes(run, num, of_class, sampler)
    if guidance != 1.0 and known is None:
        raise UserError(f"--guidance={guidance:g} is towards a class: give --class too")
    if output:
        x = np.concatenate(list(_Parts(run, num, seed, sampler, True, known, guidance)))
        columns, names = outputs.examples(target, run, x, drawn=True)
        label = {} if known is None else {"class": known}
        outputs.write(target, {**label, **columns}, names)
        return [target]
    parts = _Parts(run, num, seed, sampler, draw, known, guidance)
    about = {} if parts.classes is None else {"label": parts.classes}
    npz.write_in_parts(
        path, "draw" if draw else "mean", (num, *run.shape), iter(parts), seed=seed, step=run.step,
        sampler=sampler, **about,
    )  # fmt: skip
    if len(run.shape) != 3:
        return [path]
    shown = scaled(run, parts.first)
    grid = mosaics.grid(shown)
    name = "samples" if sampler == "prior" else f"samples_{sampler}"
    return [path, figures.save(grid, workdir / "figures" / f"{name}.png")]


def classes(
    run: "Trained", num: int, of_class: str = "", sampler: str = "prior"
) -> np.ndarray | None:
    """The class of each sample [num] of a model that is given labels, or of a sampler that learns
    them; None of any other.

    Raises:
      UserError: a class is asked for, and neither is given labels, or not that one.
    """
    labelled = run.facts.conditional and run.config.data.context == "labels"
    if not of_class:
        return np.asarray(run.contexts(num)) if labelled else None
    size = run.facts.context_size
    if not labelled:
        knows = sampler in samplers.OF_CLASSES
        labels = run.dataset.splits["train"].labels if knows else None
        if labels is None or not 0 <= np.max(labels[:]) < training_latents.MOST_CLASSES:
            remedy = f"give --sampler={samplers.of_classes(run.facts.codes)}"
            if not run.facts.codes:
                remedy = f"train with data.context=labels, or {remedy}"
            if knows:
                remedy = "its data have no labels; leave --class out"
            raise UserError(f"--class={of_class}: {run.workdir} is not given labels: {remedy}")
        size = int(np.max(labels[:])) + 1
    names = run.described.get("classes") or [str(n) for n in range(size)]
    number = choose({name: n for n, name in enumerate(names)}, of_class, "--class")
    return np.full(num, number)


class _Parts:
    """Means of p(x|z), or draws of it, some at a time; `first` are those to look at."""

    def __init__(
        self, run: "Trained", num: int, seed: int, sampler: str, draw: bool,
        classes: np.ndarray | None, guidance: float,
    ):  # fmt: skip
        self.run, self.num, self.seed, self.sampler = run, num, seed, sampler
        self.draw, self.classes, self.guidance = draw, classes, guidance

    def __iter__(self) -> Iterator[np.ndarray]:
        from vae.evaluation.trained import PART

        run = self.run
        for start in range(0, self.num, PART):
            count = min(PART, self.num - start)
            known = None if self.classes is None else self.classes[start : start + count]
            context, labels = None, known
            if run.facts.conditional:
                context, labels = run.contexts(count, start) if known is None else known, None
            mean = run.sample(
                count, self.seed, draw=self.draw, context=context, first=start,
                sampler=self.sampler, labels=labels, guidance=self.guidance,
            )  # fmt: skip
            if start == 0:
                self.first = mean[:MOST_SHOWN]
            yield np.asarray(mean, np.float32)


def for_a_grid(run: "Trained", about: int) -> tuple[np.ndarray, list[str]]:
    """Means of p(x|z) as brightness, about so many, z from the prior; and the classes that a grid
    of them has a column each for."""
    heads = class_heads(run)
    num = -(-about // len(heads)) * len(heads) if heads else about
    return scaled(run, np.asarray(run.sample(num, context=run.contexts(num)))), heads


def scaled(run: "Trained", values: np.ndarray) -> np.ndarray:
    """Values of the run's data as brightness, 0 black and 1 white."""
    low, high = brightness_range(run, values)
    return (values - low) / (high - low)

"""A page that puts run directories beside each other: numbers, curves, samples, configs."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import run_files, runs
from vae.config import flatten
from vae.errors import UserError, needed
from vae.metrics import counted_in, mean_and_stderr, sign
from vae.reports import (
    mosaics,
    rate_distortion,
    render,
    sampling,
    summary,
    sweep_figures,
    sweep_panels,
)
from vae.reports.figures import Gallery
from vae.reports.render import Table
from vae.reports.tables import typeset, typeset_metric
from vae.reports.verdict import Sentence, bound, verdict

SAMPLES = 36


@dataclasses.dataclass(frozen=True)
class Compared:
    """A run directory as the page needs it; its files are read when they are asked for."""

    workdir: Path
    name: str

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        return dict(flatten(runs.read_config(self.workdir)))

    @functools.cached_property
    def evaluation(self) -> dict[str, Any] | None:
        return run_files.read_evaluation(self.workdir)

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.evaluation["metrics"] if self.evaluation else {}

    @functools.cached_property
    def records(self) -> list[dict[str, Any]]:
        return runs.read_metrics(self.workdir)

    @functools.cached_property
    def bounds(self) -> dict[str, np.ndarray]:
        """Of each example of the split that was evaluated: name to [N] nats."""
        return run_files.read_bounds(self.workdir) if self.evaluation else {}


def compare(
    workdirs: Sequence[str | Path], output: str | Path, formats: Sequence[str] = ("png",)
) -> Path:
    """Writes a page that compares runs, the first of them being what the others are held against.

    Args:
      workdirs: run directories, at least two.
      output: the directory for `report.html` and `figures/`; made if need be.
      formats: of the figures, as in `page.report`.

    Returns:
      The path of the page.

    Raises:
      UserError: fewer than two runs, one twice, no run there, or a damaged file.
    """
    import vae

    gallery = Gallery(Path(output), formats)
    compared = _named([Path(workdir) for workdir in workdirs])
    if (gallery.directory / "config.json").exists():
        raise UserError(f"{output} is a run's own directory: give another --workdir for the page")
    loaded = [vae.load(run.workdir) for run in compared]  # before anything is written
    _draw_curves(compared, gallery)
    _draw_plane(compared, gallery)
    names = [run.name for run in compared]
    return render.write(
        gallery.directory / "report.html",
        "compare.html",
        runs.environment(),
        title=" and ".join(names) if len(names) == 2 else f"{len(names)} runs",
        said=_said(compared),
        runs=compared,
        numbers=_numbers(compared, gallery),
        paired=_paired(compared),
        figures=gallery.saved,
        samples=_samples(compared, loaded, gallery),
        settings=_settings(compared),
        metrics=_all_metrics(compared),
    )


def _named(workdirs: Sequence[Path]) -> list[Compared]:
    """The runs with names that tell them apart: as few last parts of their paths as do."""
    paths = [workdir.resolve() for workdir in workdirs]
    if len(set(paths)) < len(paths):
        raise UserError("--compare names a run twice: give different run directories")
    if len(paths) < 2:
        raise UserError("--compare needs at least two run directories: --compare A B")
    parts = 1
    while len({path.parts[-parts:] for path in paths}) < len(paths):
        parts += 1
    found = [
        Compared(workdir, "/".join(path.parts[-parts:]))
        for workdir, path in zip(workdirs, paths, strict=True)
    ]
    for run in found:
        _ = run.config  # refuses what is no run
    return found


def _said(compared: Sequence[Compared]) -> list[Sentence]:
    """What is best, or a sentence on each run's bound; and every run's problems."""
    found, problems = [], []
    for metric in dict.fromkeys(("elbo", _common_nll(compared) or "elbo")):
        having = [run for run in compared if metric in run.metrics]
        about = having[0].metrics[metric] if having else {}
        if len(having) > 1 and sign(about):
            best = max(having, key=lambda run: sign(about) * run.metrics[metric]["value"])
            number = f"{typeset_metric(best.metrics[metric])} {counted_in(about)}".rstrip()
            split = needed(best.evaluation, "evaluation")["split"]
            found.append(Sentence(f"Best by {split} {about['label']}: {best.name}, {number}."))
    if len({_measured_on(run) for run in compared if run.evaluation}) > 1:
        text = "The numbers are of different data or splits, and not to be compared."
        problems.append(Sentence(text, is_problem=True))
    for run in compared:
        if run.evaluation is None:
            problems.append(Sentence(f"{run.name} has not been evaluated.", is_problem=True))
        for said in verdict(run.evaluation, run.records, runs.failure(run.workdir)):
            if said.is_problem:
                problems.append(dataclasses.replace(said, text=f"{run.name}: {said.text}"))
    found = found or [of for run in compared if (of := bound(run.evaluation or {}))]
    return [*(found or [Sentence("There is nothing to compare yet.")]), *problems]


def _measured_on(run: Compared) -> tuple:
    """What numbers must share to be compared."""
    evaluation = needed(run.evaluation, "evaluation")
    data = [value for key, value in run.config.items() if key in ("data.name", "data.size")]
    seed = run.config["seed"] * (run.config["data.size"] > 0)
    return *data, seed, evaluation["split"], evaluation["num_examples"]


def _common_nll(compared: Sequence[Compared]) -> str | None:
    """The tightest importance-weighted bound that all evaluated runs have."""
    measured = [run.metrics for run in compared if run.metrics]
    common = {n: m for n, m in (measured or [{}])[0].items() if all(n in of for of in measured)}
    return summary.tightest_nll([{"metrics": common}])


def _facts(compared: Sequence[Compared]) -> dict[str, Mapping[str, Any]]:
    """The metrics of any run, each as the last run that has it says."""
    return {name: of for run in compared for name, of in run.metrics.items()}


def _numbers(compared: Sequence[Compared], gallery: Gallery) -> Table:
    facts = _facts(compared)
    names = summary.first(facts, _common_nll(compared), ("run", "sweep"))
    rows = []
    for run in compared:
        name = render.leading(run.name, run.workdir, gallery.directory)
        epochs = max((r.get("epoch", 0) for r in run.records), default=0)
        numbers = [typeset_metric(run.metrics.get(metric)) for metric in names]
        rows.append([name, *numbers, f"{epochs:.4g}"])
    head = ["Run", *(facts[name]["label"] for name in names), "Epochs"]
    return Table(head, rows)


def _paired(compared: Sequence[Compared]) -> Table | None:
    """Differences of bounds example by example, whose errors are smaller than the bounds' own."""
    first, *others = compared
    names = [name for name in ("elbo", _common_nll(compared)) if name and name in first.bounds]
    rows = []
    for run in others:
        same = run.evaluation and first.evaluation and _measured_on(run) == _measured_on(first)
        if not same or any(len(run.bounds.get(n, ())) != len(first.bounds[n]) for n in names):
            continue
        differences = [mean_and_stderr(run.bounds[n] - first.bounds[n], n) for n in names]
        rows.append([run.name, *(typeset(*difference) for difference in differences)])
    head = ["Run", *(first.metrics[name]["label"] for name in names)]
    return Table(head, rows) if rows and names else None


def _draw_curves(compared: Sequence[Compared], gallery: Gallery) -> None:
    x_name, points = sweep_panels.validation([run.records for run in compared])
    drawn = [
        {"points": line, "colour": run.name, "style": None, "stopped": False}
        for run, line in zip(compared, points, strict=True)
        if len(line)
    ]
    if drawn:
        figure = sweep_figures.validation_curves(drawn, x_name, "run", None)
        gallery.save(figure, "validation")


def _draw_plane(compared: Sequence[Compared], gallery: Gallery) -> None:
    points = [
        {
            "rate": run.metrics["rate"]["value"],
            "distortion": run.metrics["distortion"]["value"],
            "colour": run.name, "line": None, "label": "",
        }
        for run in compared
        if {"rate", "distortion"} <= run.metrics.keys()
    ]  # fmt: skip
    if len(points) > 1:
        xy = np.array([(point["rate"], point["distortion"]) for point in points])
        figure = rate_distortion.draw(points, points, xy[summary.frontier(xy)], "run")
        gallery.save(figure, "rate_distortion")


def _samples(
    compared: Sequence[Compared], loaded: Sequence[Any], gallery: Gallery
) -> list[tuple[str, Path]]:
    """The names of the runs of images, and a grid of each."""
    shown = []
    for number, (run, trained) in enumerate(zip(compared, loaded, strict=True)):
        if len(trained.shape) == 3:
            images, heads = sampling.for_a_grid(trained, SAMPLES)
            figure = mosaics.grid(images, heads, sweep_panels.SAMPLE)
            shown.append((run.name, gallery.save(figure, f"samples/{number}")))
    return shown


def _settings(compared: Sequence[Compared]) -> Table:
    """The keys in which the configs of the runs differ."""
    keys = dict.fromkeys(key for run in compared for key in run.config)
    settings = {key: [_setting(run.config.get(key)) for run in compared] for key in keys}
    rows = [[key, *values] for key, values in settings.items() if len(set(values)) > 1]
    return Table(["Key", *(run.name for run in compared)] if rows else [], rows)


def _setting(value: Any) -> str:
    return '""' if value == "" else summary.show(value)


def _all_metrics(compared: Sequence[Compared]) -> Table:
    rows = [
        [of["label"], *(typeset_metric(run.metrics.get(name)) for run in compared)]
        for name, of in _facts(compared).items()
    ]
    return Table(["Metric", *(run.name for run in compared)], rows)

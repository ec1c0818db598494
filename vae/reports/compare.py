"""A page that puts run directories beside each other: numbers, curves, samples, configs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import runs
from vae.errors import UserError
from vae.metrics import counted_in, mean_and_stderr
from vae.reports import (
    mosaics,
    rate_distortion,
    realism,
    render,
    sampling,
    summary,
    sweep_figures,
    sweep_panels,
)
from vae.reports.compared import Compared, common_nll, measured_on, named, said
from vae.reports.figures import Gallery
from vae.reports.render import Cell, Table
from vae.reports.tables import typeset, typeset_metric

SAMPLES = 36


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
    compared = named([Path(workdir) for workdir in workdirs])
    if (gallery.directory / "config.json").exists():
        raise UserError(f"{output} is a run's own directory: give another --workdir for the page")
    loaded = [vae.load(run.workdir) for run in compared]  # before anything is written
    _draw_curves(compared, gallery)
    _draw_plane(compared, gallery)
    _draw_realism(compared, gallery)
    names = [run.name for run in compared]
    return render.write(
        gallery.directory / "report.html",
        "compare.html",
        runs.environment(),
        title=" and ".join(names) if len(names) == 2 else f"{len(names)} runs",
        said=said(compared),
        runs=compared,
        numbers=_numbers(compared, gallery),
        paired=_paired(compared),
        figures=gallery.saved,
        samples=_samples(compared, loaded, gallery),
        settings=_settings(compared),
        metrics=_all_metrics(compared),
    )


def _facts(compared: Sequence[Compared]) -> dict[str, Mapping[str, Any]]:
    """The metrics of any run, each as the last run that has it says."""
    return {name: of for run in compared for name, of in run.metrics.items()}


def _numbers(compared: Sequence[Compared], gallery: Gallery) -> Table:
    facts = _facts(compared)
    names = summary.first(facts, common_nll(compared), ("run", "sweep"))
    rows = []
    for run in compared:
        name = render.leading(run.name, run.workdir, gallery.directory)
        epochs = max((r.get("epoch", 0) for r in run.records), default=0)
        numbers = [typeset_metric(run.metrics.get(metric)) for metric in names]
        rows.append([name, *numbers, f"{epochs:.4g}"])
    head = ["Run", *(_column(facts[name]) for name in names), "Epochs"]
    return Table(head, rows)


def _column(about: Mapping[str, Any]) -> str:
    """A metric's name above a column, with its unit."""
    unit = counted_in(about)
    return about["label"] + (f" ({unit})" if unit else "")


def _paired(compared: Sequence[Compared]) -> Table | None:
    """Differences of bounds example by example, whose errors are smaller than the bounds' own."""
    first, *others = compared
    names = [name for name in ("elbo", common_nll(compared)) if name and name in first.bounds]
    rows = []
    for run in others:
        same = run.evaluation and first.evaluation and measured_on(run) == measured_on(first)
        if not same or any(len(run.bounds.get(n, ())) != len(first.bounds[n]) for n in names):
            continue
        differences = [mean_and_stderr(run.bounds[n] - first.bounds[n], n) for n in names]
        rows.append([run.name, *(typeset(*difference) for difference in differences)])
    head = ["Run", *(_column(first.metrics[name]) for name in names)]
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


def _draw_realism(compared: Sequence[Compared], gallery: Gallery) -> None:
    """Of runs whose features are of one classifier."""
    points, features = [], set()
    for run in compared:
        if set(realism.AXES) <= run.metrics.keys():
            features.add((measured_on(run), run.metrics[realism.AXES[-1]]["unit"]))
            numbers = {name: run.metrics[name]["value"] for name in realism.AXES}
            points.append({**numbers, "label": run.name})
    if len(points) > 1 and len(features) == 1:
        gallery.save(realism.draw(points), "realism")


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
    rows: list[list[str | Cell]] = [
        [
            Cell(of["label"], note=of["unit"]),
            *(typeset_metric(run.metrics.get(name)) for run in compared),
        ]
        for name, of in _facts(compared).items()
    ]
    return Table(["Metric", *(run.name for run in compared)], rows)

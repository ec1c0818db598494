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
from vae.reports import figures, markup, rate_distortion, summary, sweep_figures
from vae.reports.figures import Gallery
from vae.reports.markup import Cell, Link, Panels, Part, Section, Table
from vae.reports.sampling import scaled
from vae.reports.tables import typeset, typeset_metric
from vae.reports.verdict import bound, verdict

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
    sections: list[Part] = [
        _numbers(compared, gallery),
        *_paired(compared),
        *_curves(compared, gallery),
        *_plane(compared, gallery),
        *_samples(compared, loaded, gallery),
        _configs(compared),
        *_all_metrics(compared),
    ]
    text = markup.document(
        title=" and ".join(run.name for run in compared)
        if len(compared) == 2
        else f"{len(compared)} runs",
        summary=", ".join(str(run.workdir) for run in compared),
        lead=[markup.verdict(*_verdict(compared))],
        sections=sections,
        config={},
        environment=runs.environment(),
    )
    return markup.write(gallery.directory / "report.html", text)


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


def _verdict(compared: Sequence[Compared]) -> tuple[list[str], dict[str, str]]:
    """What is best, a sentence on each run's bound, and every run's problems."""
    sentences, problems = [], {}
    for metric in dict.fromkeys(("elbo", _common_nll(compared) or "elbo")):
        having = [run for run in compared if metric in run.metrics]
        about = having[0].metrics[metric] if having else {}
        if len(having) > 1 and sign(about):
            best = max(having, key=lambda run: sign(about) * run.metrics[metric]["value"])
            number = f"{typeset_metric(best.metrics[metric])} {counted_in(about)}".rstrip()
            sentences.append(f"Best by {about['label']}: {best.name}, {number}.")
    if len({_measured_on(run) for run in compared if run.evaluation}) > 1:
        problems["The numbers are of different data or splits, and not to be compared."] = ""
    for run in compared:
        if run.evaluation is None:
            problems[f"{run.name} has not been evaluated."] = ""
        for said in verdict(run.evaluation, run.records, runs.failure(run.workdir)):
            if said.is_problem:
                problems[f"{run.name}: {said.text}"] = said.remedy
    if not sentences:
        said_of = [bound(run.evaluation or {}) for run in compared]
        sentences = [of.text for of in said_of if of]
    return sentences or ["There is nothing to compare yet."], problems


def _measured_on(run: Compared) -> tuple:
    """What numbers must share to be compared."""
    data = [value for key, value in run.config.items() if key in ("data.name", "data.size")]
    return *data, run.config["seed"] * (run.config["data.size"] > 0), *_split(run)


def _split(run: Compared) -> tuple[str, int]:
    evaluation = needed(run.evaluation, "evaluation")
    return evaluation["split"], evaluation["num_examples"]


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
        page = run.workdir.resolve() / "report.html"
        name: Cell = run.name
        if page.exists():
            name = Link(run.name, markup.address(page, gallery.directory))
        numbers = [typeset_metric(run.metrics[n]) if n in run.metrics else "–" for n in names]
        epochs = max((r.get("epoch", 0) for r in run.records), default=0)
        rows.append([name, *numbers, f"{epochs:.4g}"])
    head = ["Run", *(facts[name]["label"] for name in names), "Epochs"]
    caption = "± is the standard error over examples; bounds are at β = 1 whatever was trained."
    return Table("Numbers", caption, head, rows)


def _paired(compared: Sequence[Compared]) -> list[Table]:
    """Differences of bounds example by example, whose errors are smaller than the bounds' own."""
    first, *others = compared
    nll = _common_nll(compared)
    names = [name for name in ("elbo", nll) if name and name in first.bounds]
    rows = []
    for run in others:
        same = run.evaluation and first.evaluation and _measured_on(run) == _measured_on(first)
        if not same or any(len(run.bounds.get(n, ())) != len(first.bounds[n]) for n in names):
            continue
        cells = []
        for name in names:
            value, stderr = mean_and_stderr(run.bounds[name] - first.bounds[name], name)
            cells.append(typeset(value, stderr))
        rows.append([run.name, *cells])
    if not rows or not names:
        return []
    caption = (
        f"Run minus {first.name}, nats, example by example: ± is the standard error of the mean "
        "difference. A higher ELBO and a lower −log p(x) are better."
    )
    head = ["Run", *(first.metrics[name]["label"] for name in names)]
    return [Table(f"Beside {first.name}", caption, head, rows)]


def _curves(compared: Sequence[Compared], gallery: Gallery) -> list[Section]:
    lines = [
        [r for r in run.records if r.get("split") == "validation"
         and figures.is_number(r.get("elbo"))]
        for run in compared
    ]  # fmt: skip
    x_name = "epoch" if all("epoch" in r for line in lines for r in line) else "step"
    drawn = [
        {
            "points": np.array([(r[x_name], r["elbo"]) for r in line], float),
            "colour": run.name, "style": None, "stopped": False,
        }
        for run, line in zip(compared, lines, strict=True)
        if line
    ]  # fmt: skip
    if not drawn:
        return []
    path = gallery.save(sweep_figures.validation_curves(drawn, x_name, "run", None), "validation")
    caption = (
        "At β = 1 whatever was trained. The axis is scaled to what follows the first tenth of "
        "training."
    )
    return [Section("Validation", caption, path, is_chart=True)]


def _plane(compared: Sequence[Compared], gallery: Gallery) -> list[Section]:
    points = [
        {
            "rate": run.metrics["rate"]["value"],
            "distortion": run.metrics["distortion"]["value"],
            "colour": run.name, "line": None, "label": "",
        }
        for run in compared
        if {"rate", "distortion"} <= run.metrics.keys()
    ]  # fmt: skip
    if len(points) < 2:
        return []
    xy = np.array([(point["rate"], point["distortion"]) for point in points])
    figure = rate_distortion.draw(points, points, xy[summary.frontier(xy)], "run")
    caption = "Dashed lines are of equal ELBO = −(D + R), written at their end."
    path = gallery.save(figure, "rate_distortion")
    return [Section("Rate and distortion", caption, path, is_chart=True)]


def _samples(
    compared: Sequence[Compared], loaded: Sequence[Any], gallery: Gallery
) -> list[Panels]:
    shown = []
    for number, (run, trained) in enumerate(zip(compared, loaded, strict=True)):
        if len(trained.shape) != 3:
            continue
        images = trained.sample(SAMPLES, context=trained.contexts(SAMPLES))
        figure = sweep_figures.sample_grid(scaled(trained, np.asarray(images)))
        shown.append((run.name, gallery.save(figure, f"samples/{number}")))
    caption = "Means of p(x|z) for z drawn from the prior, seed 0; not selected."
    columns = min(max(len(shown), 2), 4)
    return [Panels("Samples", caption, shown, columns=columns, least=9.0)] if shown else []


def _configs(compared: Sequence[Compared]) -> Table:
    """The keys in which the runs differ."""
    keys = dict.fromkeys(key for run in compared for key in run.config)
    rows = [
        [key, *(_setting(run.config.get(key)) for run in compared)]
        for key in keys
        if len({_setting(run.config.get(key)) for run in compared}) > 1
    ]
    caption = "" if rows else "The configs are the same."
    return Table("Configs differ in", caption, ["Key", *(r.name for r in compared)] * bool(rows),
                 rows)  # fmt: skip


def _setting(value: Any) -> str:
    return '""' if value == "" else summary.show(value)


def _all_metrics(compared: Sequence[Compared]) -> list[Table]:
    rows = [
        [
            of["label"],
            *(
                typeset_metric(run.metrics[name]) if name in run.metrics else "–"
                for run in compared
            ),
        ]
        for name, of in _facts(compared).items()
    ]
    head = ["Metric", *(run.name for run in compared)]
    caption = "Their units are on the runs' own pages."
    return [Table("All metrics", caption, head, rows)] if rows else []

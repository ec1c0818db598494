"""The report of a sweep, read from its directory: figures/*.png and report.html."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vae import run_files
from vae.config import flatten
from vae.reports import (
    chosen,
    rate_distortion,
    realism,
    render,
    searched,
    summary,
    sweep_panels,
)
from vae.reports.figures import Gallery
from vae.reports.render import Cell, Table
from vae.reports.sweep_panels import Samples
from vae.reports.swept import BOUND, Results
from vae.reports.tables import typeset
from vae.reports.verdict import Sentence


def sweep_report(
    directory: str | Path,
    samples: Samples,
    formats: Sequence[str] = ("png",),
) -> Path:
    """Writes the figures and the page of a sweep, of however many of its trials are done.

    Args:
      samples: draws images of a run; a UserError that it raises is a sentence on the page.
      formats: of the figures, "png" and "pdf".

    Returns:
      The path of `report.html`.

    Raises:
      UserError: no sweep there, or a damaged file.
    """
    directory = Path(directory)
    gallery = Gallery(directory, formats)
    sweep = run_files.read_sweep(directory)
    results, metric = Results.read(sweep, gallery), sweep.get("metric") or ""
    swept = {key: _values(results, key) for key in results.keys}
    told = ("command", "time", "launcher")
    known: dict[str, Any] = {key: sweep[key] for key in told if key in sweep}
    return render.write(
        directory / "report.html",
        "sweep.html",
        {**(sweep.get("environment") or {}), **known},
        title=sweep["name"],
        said=_said(results, metric),
        is_search=bool(metric),
        best_trial=_best_trial(results, metric),
        **_summary(results, metric),
        search=searched.panels(results, metric),
        over=sweep_panels.over_keys(results),
        plane=rate_distortion.plane(results),
        realism=realism.plane(results),
        curves=sweep_panels.curves(results),
        samples=sweep_panels.sample_grids(results, samples),
        **_trials(results, metric),
        num_trials=len(results.rows),
        swept=[(results.name(key), values) for key, values in swept.items()],
        config=_config(sweep, swept),
    )


def _values(results: Results, key: str) -> list[str]:
    found = summary.ordered([row["values"].get(key) for row in results.rows])
    return [summary.show(value) for value in found]


def _said(results: Results, searched: str) -> list[Sentence]:
    """What is done and what is best, and a line for each failed trial.

    Args:
      searched: the metric that a search optimised.
    """
    states = Counter(row["state"] for row in results.rows)
    counts = [f"{states[s]} {s}" for s in ("failed", "pruned", "pending") if states[s]]
    sentences = [", ".join([f"{states['done']} of {len(results.rows)} trials done", *counts]) + "."]
    if blind := states["done"] - len(results.done):
        sentences.append(f"{blind} of those done not evaluated: evaluate, then report again.")
    if not results.done:
        sentences.append("There is nothing to compare yet.")
    sentences += chosen.sentences(results, searched)
    failed = [row for row in results.rows if row["state"] == "failed"]
    reasons = [f"{row['trial']} failed: {row['reason'] or 'no reason recorded'}" for row in failed]
    return [*map(Sentence, sentences), *(Sentence(text, is_problem=True) for text in reasons)]


def _texts(groups: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    found = summary.texts([group[metric] for group in groups])
    return ["–" if text is None else text.replace("-", "−") for text in found]


def _summary(results: Results, searched: str) -> dict[str, Any]:
    """The table of means over seeds, its metrics, and whether there are several seeds.

    Of a search only what trained to the end: most of it may have been pruned.
    """
    metrics = summary.headline(results.done)
    measured = results.done if searched else results.rows
    groups = summary.over_seeds(measured, results.keys, metrics)
    columns = [_texts(groups, metric) for metric in metrics]
    rows = [
        [*(summary.show(group[key]) for key in results.others), str(group["n"]), *texts]
        for group, *texts in zip(groups, *columns, strict=True)
    ]
    head = [*map(results.name, results.others), "n", *map(results.column, metrics)]
    several = any(group["n"] > 1 for group in groups)
    return {"summary_table": Table(head, rows), "metrics": metrics, "several": several}


def _best_trial(results: Results, searched: str) -> dict[str, Any] | None:
    """The picture of what the best trial makes of its examples, where its page has been drawn."""
    choice = chosen.best(results, searched or BOUND)
    if choice is None:
        return None
    name, directory = choice.row["trial"], results.gallery.directory
    picture = directory / "trials" / name / "figures" / "reconstructions.png"
    page = render.leading(name, directory / "trials" / name, directory)
    if isinstance(page, str) or not picture.exists():
        return None
    return {"picture": picture, "page": page, "split": choice.row["split"]}


def _trials(results: Results, searched: str) -> dict[str, Any]:
    """The table of all trials, in which the best is marked; and what the caption says of it.

    The names of a search's trials do not tell their values, which have columns there.
    """
    keys = results.others if searched else []
    metrics = summary.metric_names(results.rows)
    timed = any(row["seconds"] is not None for row in results.rows)
    measured = [*map(results.column, metrics), *[summary.SECONDS.label] * timed]
    head = ["Trial", *map(results.name, keys), "State", *measured]
    rows = [_trial(results.gallery.directory, row, keys, metrics, timed) for row in results.rows]
    choice = chosen.best(results, searched or BOUND) if len(rows) > 1 else None
    names = [row["trial"] for row in results.rows]
    return {
        "trials": Table(head, rows, names.index(choice.row["trial"]) if choice else None),
        "measured": bool(metrics),
        "marked": f"{choice.split} {results.about(choice.metric)['label']}" if choice else "",
    }


def _trial(
    directory: Path,
    row: Mapping[str, Any],
    keys: Sequence[str],
    metrics: Sequence[str],
    timed: bool,
) -> list[str | Cell]:
    """A line of the table of trials; of one without metrics, its reason instead of them."""
    name = render.leading(row["trial"], directory / "trials" / row["trial"], directory)
    values = [summary.show(row["values"].get(key)) for key in keys]
    if row["reason"] and not row["metrics"]:
        return [name, *values, f"{row['state']}: {row['reason']}"]
    numbers = [typeset(row["metrics"].get(m), row["stderr"].get(m)) for m in metrics]
    return [name, *values, row["state"], *numbers, *[typeset(row["seconds"])] * timed]


def _config(sweep: Mapping[str, Any], swept: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The base config, and in it the values of the swept keys."""
    config = dict(flatten(sweep.get("config") or {}))
    for key, values in swept.items():
        listed = ", ".join(values) if len(values) <= 12 else f"{len(values)} values"
        config[key] = f"swept: {listed}"
    return config

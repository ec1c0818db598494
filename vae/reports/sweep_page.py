"""The report of a sweep, read from its directory: figures/*.png and report.html."""

import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae import run_files
from vae.config import flatten
from vae.metrics import counted_in
from vae.reports import markup, rate_distortion, summary, sweep_panels
from vae.reports.figures import Gallery
from vae.reports.markup import Link, Table
from vae.reports.sweep_panels import Results
from vae.reports.tables import typeset


def sweep_report(
    directory: str | Path,
    samples: Callable[[Path], np.ndarray | None],
    formats: Sequence[str] = ("png",),
) -> Path:
    """Writes the figures and the page of a sweep, of however many of its trials are done.

    Args:
      samples: gives a few images [n, H, W, C] in [0, 1] of the run in a directory, or None where
        its data are no images. A UserError that it raises is a sentence on the page.
      formats: of the figures, "png" and "pdf".

    Returns:
      The path of `report.html`.

    Raises:
      UserError: no sweep there, or a damaged file.
    """
    directory = Path(directory)
    gallery = Gallery(directory, formats)
    sweep = run_files.read_sweep(directory)
    results = Results.read(sweep, gallery)
    told = ("command", "time", "launcher")
    known: dict[str, Any] = {key: sweep[key] for key in told if key in sweep}
    text = markup.document(
        title=sweep["name"],
        summary=_about(results),
        lead=[markup.verdict(*_verdict(results, sweep.get("metric")))],
        sections=[
            _summary_table(results),
            *sweep_panels.over_keys(results),
            *rate_distortion.section(results),
            *sweep_panels.curves(results),
            *sweep_panels.sample_grids(results, samples),
            _all_trials(results),
        ],
        config=_swept_config(results, sweep),
        environment={**(sweep.get("environment") or {}), **known},
    )
    return markup.write(directory / "report.html", text)


def _about(results: Results) -> str:
    """ "24 trials: latent size 2, 4 × β 0.5, 1, 2 × seed 0, 1"."""
    parts = []
    for key in results.keys:
        values = _values(results, key)
        listed = ", ".join(map(summary.show, values))
        named = f"{results.name(key)} {listed}"
        parts.append(named if len(values) <= 8 else f"{len(values)} values of {results.name(key)}")
    return f"{len(results.rows)} trials: {' × '.join(parts)}"


def _values(results: Results, key: str) -> list[Any]:
    return summary.ordered([row["values"].get(key) for row in results.rows])


def _verdict(results: Results, searched: str | None) -> tuple[list[str], dict[str, str]]:
    """Sentences, and a line for each failed trial.

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
    for metric in dict.fromkeys(("elbo", results.nll, searched)):
        sentences += _best(results, metric) if metric else []
    failed = [row for row in results.rows if row["state"] == "failed"]
    reasons = [f"{row['trial']} failed: {row['reason'] or 'no reason recorded'}" for row in failed]
    return sentences, dict.fromkeys(reasons, "")


def _best(results: Results, metric: str) -> list[str]:
    """The best trial, and the best mean over seeds where there are several."""
    row = summary.best(results.done, metric)
    value = None if row is None else summary.value(row, metric)
    if row is None or value is None:
        return []
    about = results.about(metric)
    unit = f" {counted_in(about)}".rstrip()
    trial = results.describe(row["values"], results.keys) or row["trial"]
    error = row["stderr"].get(metric)
    number = typeset(value, error)
    over = f" (standard error over {row['num_examples'] or 0:,} {row['split']} examples)"
    said = f"Best trial by {about['label']}: {number}{unit}{over if error else ''}, of {trial}."
    groups = results.means(metric)
    best = summary.best_group(groups, metric, results.way(metric))
    if best and max(group["n"] for group in groups) > 1 and len(groups) > 1:
        seeds = f"{best['n']} seed{'s' if best['n'] > 1 else ''}"
        over = f"standard error over {seeds}" if best[metric][1] is not None else seeds
        said += (
            f" Best mean over seeds: {typeset(*best[metric])}{unit} ({over}), of "
            f"{results.describe(best, results.others)}."
        )
    return [said]


def _texts(groups: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    found = summary.texts([group[metric] for group in groups])
    return ["–" if text is None else text.replace("-", "−") for text in found]


def _summary_table(results: Results) -> Table:
    metrics = summary.headline(results.done)
    groups = summary.over_seeds(results.rows, results.keys, metrics)
    columns = [_texts(groups, metric) for metric in metrics]
    lines = [
        [
            *(summary.show(group[key]) for key in results.others),
            str(group["n"]),
            *(texts[number] for texts in columns),
        ]
        for number, group in enumerate(groups)
    ]
    several = any(group["n"] > 1 for group in groups)
    caption = "Means over seeds ± their standard error; " if several else ""
    caption += f"n is the number of {'seeds' if several else 'trials'} done. "
    if metrics:
        caption += "Bounds are at β = 1 whatever was trained."
    head = [*map(results.name, results.others), "n", *map(results.column, metrics)]
    return Table("Summary", caption, head, lines)


def _all_trials(results: Results) -> Table:
    metrics = summary.metric_names(results.rows)
    timed = any(row["seconds"] is not None for row in results.rows)
    caption = "± is the standard error of the mean over examples."
    head = ["Trial", "State", *map(results.column, metrics)]
    head += [summary.SECONDS.label] * timed
    return Table(
        "Trials",
        caption if metrics else "",
        head,
        [_trial(results.directory, row, metrics, timed) for row in results.rows],
    )


def _trial(
    directory: Path, row: Mapping[str, Any], metrics: Sequence[str], timed: bool
) -> list[str | Link]:
    """A line of the table of trials; of one without metrics, its reason instead of them."""
    address = f"trials/{urllib.parse.quote(row['trial'], safe='')}/report.html"
    has_page = (directory / "trials" / row["trial"] / "report.html").exists()
    name = Link(row["trial"], address) if has_page else row["trial"]
    if row["reason"] and not row["metrics"]:
        return [name, f"{row['state']}: {row['reason']}"]
    numbers = [
        typeset(row["metrics"][metric], row["stderr"].get(metric))
        if metric in row["metrics"]
        else "–"
        for metric in metrics
    ]
    seconds = "–" if row["seconds"] is None else typeset(row["seconds"])
    return [name, row["state"], *numbers, *[seconds] * timed]


def _swept_config(results: Results, sweep: Mapping[str, Any]) -> dict[str, Any]:
    """The base config, and in it the values of the swept keys."""
    config = dict(flatten(sweep.get("config") or {}))
    for key in results.keys:
        values = _values(results, key)
        listed = ", ".join(map(summary.show, values))
        config[key] = f"swept: {listed if len(values) <= 12 else f'{len(values)} values'}"
    return config

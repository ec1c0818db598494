"""Which trial of a sweep is best: chosen on the validation set where its numbers are known.

A number by which a trial was chosen is better than it should be. So the test examples only tell how
good the chosen one is.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from vae.metrics import counted_in
from vae.reports import summary
from vae.reports.swept import BOUND, Results
from vae.reports.tables import typeset


@dataclasses.dataclass(frozen=True)
class Choice:
    """The best trial by a metric."""

    metric: str
    row: Mapping[str, Any]
    value: float | None  # on the validation set; None: chosen on the split that was evaluated

    @property
    def split(self) -> str:
        """On which it was chosen."""
        return self.row["split"] if self.value is None else "validation"


def best(results: Results, metric: str) -> Choice | None:
    """None where no trial has the metric, or neither more nor less of it is better."""
    way = results.way(metric)
    values = [row["validation"].get(metric) for row in results.done]
    if way and values and None not in values:
        ranked = zip(results.done, values, strict=True)
        row, value = max(ranked, key=lambda pair: way * pair[1])
        return Choice(metric, row, value)
    seen = summary.best(results.done, metric)
    return None if seen is None else Choice(metric, seen, None)


def sentences(results: Results, searched: str) -> list[str]:
    """The best trial by each metric that is known on the validation set, and what the evaluation
    says of it; where none is, the best by the evaluation itself."""
    metrics = [m for m in dict.fromkeys((BOUND, results.nll, searched)) if m]
    choices = [choice for metric in metrics if (choice := best(results, metric))]
    blind = [choice for choice in choices if choice.value is not None]
    if not blind:
        return [_seen(results, choice) for choice in choices]
    told = [m for m in metrics if m not in {c.metric for c in blind if c.metric != BOUND}]
    return [
        _chosen(results, choice, told if choice.metric == BOUND else [choice.metric])
        for choice in blind
    ]


def _chosen(results: Results, choice: Choice, metrics: Sequence[str]) -> str:
    """Of a trial that was chosen on the validation set."""
    way = {1: "highest", -1: "lowest"}[results.way(choice.metric)]
    label, value = results.about(choice.metric)["label"], typeset(choice.value)
    row = choice.row
    number = _counted(results, choice.metric, value)
    said = f"Best trial, of the {way} validation {label} ({number}): {_trial(results, row)}."
    if row["split"] != "validation":
        having = [metric for metric in metrics if metric in row["metrics"]]
        numbers = [_measured(results, row, metric) for metric in having]
        if numbers:
            count = f"{row['num_examples'] or 0:,} {row['split']} examples"
            said += f" On {count}, {'; '.join(numbers)}"
            said += " (± standard error)." if any(" ± " in text for text in numbers) else "."
    return said + _best_mean(results, choice)


def _seen(results: Results, choice: Choice) -> str:
    """Of a trial that was chosen by the very numbers that are told of it."""
    row, metric = choice.row, choice.metric
    stderr = row["stderr"].get(metric)
    number = _counted(results, metric, typeset(summary.value(row, metric), stderr))
    error = "standard error over " if stderr else ""
    over = f" ({error}{row['num_examples'] or 0:,} {choice.split} examples, on which it was chosen)"
    label = results.about(metric)["label"]
    said = f"Best trial by {label}: {number}{over}, of {_trial(results, row)}."
    return said + _best_mean(results, choice)


def _best_mean(results: Results, choice: Choice) -> str:
    """The best mean over seeds, where there are several seeds and combinations; else ""."""
    metric = choice.metric
    rows = results.done
    if choice.value is not None:
        rows = [{**row, "metrics": {metric: row["validation"][metric]}} for row in rows]
    groups = summary.over_seeds(rows, results.keys, [metric])
    group = summary.best_group(groups, metric, results.way(metric))
    if group is None or len(groups) < 2 or max(other["n"] for other in groups) < 2:
        return ""
    seeds = f"{group['n']} seed{'s' if group['n'] > 1 else ''}"
    seeds = f"standard error over {seeds}" if group[metric][1] is not None else seeds
    number = _counted(results, metric, typeset(*group[metric]))
    where = "" if choice.value is None else f" of the validation {results.about(metric)['label']}"
    what = results.describe(group, results.others)
    return f" Best mean over seeds{where}: {number} ({seeds}), of {what}."


def _measured(results: Results, row: Mapping[str, Any], metric: str) -> str:
    number = typeset(row["metrics"][metric], row["stderr"].get(metric))
    return f"{results.about(metric)['label']}: {_counted(results, metric, number)}"


def _counted(results: Results, metric: str, number: str) -> str:
    return f"{number} {counted_in(results.about(metric))}".rstrip()


def _trial(results: Results, row: Mapping[str, Any]) -> str:
    return results.describe(row["values"], results.keys) or row["trial"]

"""A sweep as its page needs it: what its trials are, and what is known of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vae import runs
from vae.metrics import counted_in, sign
from vae.reports import summary
from vae.reports.figures import Gallery, is_number

BOUND = "elbo"  # what training measures on the validation set
SYMBOLS = {"beta": "β", "gamma": "γ"}


@dataclasses.dataclass(frozen=True)
class Results:
    """A sweep as its figures need it."""

    gallery: Gallery
    keys: Sequence[str]  # that were swept, the seed among them
    rows: Sequence[Mapping[str, Any]]  # of summary.rows, as sweep.json has them, with `records`
    # (lines of metrics.jsonl of those done or pruned) and `validation` (metric to float)
    done: Sequence[Mapping[str, Any]]  # those that are compared, in order of the axes' values
    axes: Sequence[str]  # keys that figures are drawn over, the first two of them above all
    nll: str | None  # the tightest

    @classmethod
    def read(cls, sweep: Mapping[str, Any], gallery: Gallery) -> "Results":
        keys = list(sweep["keys"])
        rows = _with_validation(summary.rows(sweep, gallery.directory), sweep, gallery.directory)
        done = summary.done(rows)
        axes = summary.axes(done, keys)
        ranks = [summary.ordered([row["values"].get(key) for row in done]) for key in axes]

        def place(row: Mapping[str, Any]) -> list[int]:
            return [r.index(row["values"].get(key)) for key, r in zip(axes, ranks, strict=True)]

        return cls(gallery, keys, rows, sorted(done, key=place), axes, summary.tightest_nll(done))

    @property
    def others(self) -> list[str]:
        return [key for key in self.keys if key != "seed"]

    def means(self, *metrics: str) -> list[dict[str, Any]]:
        """Over seeds, of the combinations that have all these metrics."""
        groups = summary.over_seeds(self.done, self.keys, metrics)
        return [group for group in groups if all(group[metric] for metric in metrics)]

    def about(self, metric: str) -> Mapping[str, Any]:
        """A metric's label, and what else it says of itself."""
        return summary.about(self.rows, metric)

    def way(self, metric: str) -> int:
        """1 where more of a metric is better, -1 where less is, 0 where neither is."""
        return sign(self.about(metric))

    def column(self, metric: str) -> str:
        """A metric's name above a column or a figure, with its unit."""
        unit = counted_in(self.about(metric))
        return self.about(metric)["label"] + (f" ({unit})" if unit else "")

    def name(self, key: str | None) -> str:
        short = summary.short_name(key or "", self.keys)
        return SYMBOLS.get(short, short.replace("_", " ").replace(".", " "))

    def describe(self, values: Mapping[str, Any], keys: Sequence[str]) -> str:
        """What a trial is, values unbroken from names: "latent size 2, β 0.5"."""
        return ", ".join(f"{self.name(key)}\u00a0{summary.show(values.get(key))}" for key in keys)


def _with_validation(
    rows: Sequence[Mapping[str, Any]], sweep: Mapping[str, Any], directory: Path
) -> list[dict[str, Any]]:
    """Rows with what is known of them on the validation set."""
    searched = sweep.get("metric") or ""
    checkpoint = sweep["config"].get("eval", {}).get("checkpoint", "best")
    found = []
    for row in rows:
        trained = row["state"] in ("done", "pruned")
        records = runs.read_metrics(directory / "trials" / row["trial"]) if trained else []
        known = on_validation(row, records, searched, checkpoint)
        found.append({**row, "records": records, "validation": known})
    return found


def on_validation(
    row: Mapping[str, Any], records: Sequence[Mapping[str, Any]], searched: str, checkpoint: str
) -> dict[str, float]:
    """What is known of a trial on the validation set, by metric.

    Args:
      records: lines of its metrics.jsonl.
      searched: the metric that a search optimises, "" of a grid.
      checkpoint: "best" or "last": whose bound counts, as that is evaluated.
    """
    lines = [r[BOUND] for r in records if r["split"] == "validation" and is_number(r.get(BOUND))]
    found = {BOUND: max(lines) if checkpoint == "best" else lines[-1]} if lines else {}
    if searched and row["value"] is not None:
        found[searched] = row["value"]
    return found | (row["metrics"] if row["split"] == "validation" else {})

"""What a run makes of tables and counts: errors by column, marginals, correlations, in the columns'
own units; and of sequences, as text."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.columns import CODED, COUNTS
from vae.reports import vector_figures
from vae.reports.figures import Gallery
from vae.reports.render import Table
from vae.reports.view import View

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained

MOST_COLUMNS = 1000  # that are looked at, of tables that are wider
MOST_ERRORS = 40  # rows of the table of errors
MOST_MARGINALS = 12
MOST_CORRELATED = 40
BINS = 24
COUNTED = 16  # bars of a count, the last for all larger ones
SHOWN = 8  # sequences
FAR = 1e30  # what stands for infinity, where a decoder's output overflows


@dataclasses.dataclass(frozen=True)
class Vectors:
    """Examples and what the model makes of them, all [N, D] in the columns' own units; cells of the
    data are NaN where they are missing."""

    names: Sequence[str]
    data: np.ndarray
    expected: np.ndarray  # means of p(x|z) at the mean of q(z|x)
    samples: np.ndarray  # drawn from p(x|z), z from the prior
    counted: np.ndarray  # [D] bool: whole numbers rather than real ones
    width: int  # columns of the data; those here are the ones of the largest variance
    levels: Sequence[Sequence[Any]]  # [D]: what codes stand for; empty of numbers

    @property
    def are_counted(self) -> bool:
        """Whether all columns are of whole numbers."""
        return bool(self.counted.all())

    def column(self, number: int) -> np.ndarray:
        """The data's cells of a column that are not missing: [n]."""
        cells = self.data[:, number]
        return cells[~np.isnan(cells)]


def parts(view: View, gallery: Gallery) -> dict[str, Any]:
    """What the page shows, and its figures."""
    of = read(view)
    order = distances(of).argsort(kind="stable")[::-1][:MOST_MARGINALS]
    panels = [marginal(of, column) for column in order.tolist()]
    gallery.save(vector_figures.marginals(panels), "marginals")
    kept = correlated(of)
    told: dict[str, Any] = {}
    if len(kept) > 1:
        ours, theirs = (correlations(values[:, kept]) for values in (of.data, of.samples))
        figure = vector_figures.correlations(ours, theirs, [of.names[column] for column in kept])
        gallery.save(figure, "correlations")
        apart = np.abs(ours - theirs)[np.triu_indices(len(kept), 1)]
        told = {"correlated": len(kept), "apart": f"{apart.mean():.2f}"}
    return {
        "vectors": {
            "errors": errors(of), "most_errors": MOST_ERRORS, "marginals": len(panels),
            "looked_at": len(of.names), "width": of.width, "count": len(of.data),
            "own_units": bool({"mean", "column_kinds"} & set(view.run.described)),
            "are_counted": of.are_counted, **told,
        }
    }  # fmt: skip


def read(view: View) -> Vectors:
    """The first examples, their reconstructions, and as many samples."""
    run, x = view.run, np.asarray(view.x, float)
    expected = np.asarray(run.reconstruct(view.x, view.context), float)
    samples = _samples(run, view, x)
    if _is_of_shares(run):
        expected = expected * x.sum(1, keepdims=True)
    width, names = x.shape[1], [str(name) for name in run.described.get("columns", ())]
    names = names or [f"column {number}" for number in range(width)]
    spread = np.nanvar(np.where(np.isnan(x).all(0), 0.0, x), 0)
    kept = np.sort((-spread).argsort(kind="stable")[:MOST_COLUMNS])
    names = [names[column] for column in kept]
    if "column_kinds" in run.described:
        kinds = [run.column_kinds[column] for column in kept]
        data, expected, samples = (_codes(run, v)[:, kept] for v in (x, expected, samples))
        counted = np.array([kind.kind in COUNTS + CODED for kind in kinds])
        levels = [kind.levels if kind.kind in CODED else () for kind in kinds]
        return Vectors(names, data, expected, samples, counted, width, levels)
    scale = np.asarray(run.described.get("std", np.ones(width)), float)[kept]
    centre = np.asarray(run.described.get("mean", np.zeros(width)), float)[kept]
    finite = [np.nan_to_num(v[:, kept], posinf=FAR, neginf=-FAR) for v in (x, expected, samples)]
    data, expected, samples = (values * scale + centre for values in finite)
    counted = np.full(len(kept), run.described["observed"] != "real")
    return Vectors(names, data, expected, samples, counted, width, [()] * len(kept))


def _codes(run: "Trained", x: np.ndarray) -> np.ndarray:
    """Numbers in their columns' units, and codes of levels: [N, D]."""
    coded = [column.kind in CODED for column in run.column_kinds]
    own = np.where(coded, x, run.restore(x))
    return np.nan_to_num(own, nan=np.nan, posinf=FAR, neginf=-FAR)


def _is_of_shares(run: "Trained") -> bool:
    """Whether p(x|z) is of one draw, of whose number nothing is modelled."""
    return run.config.model.likelihood == "multinomial"


def _samples(run: "Trained", view: View, x: np.ndarray) -> np.ndarray:
    """As many as there are examples, in their contexts."""
    if not _is_of_shares(run):
        return np.asarray(run.sample(len(x), draw=True, context=view.context), float)
    shares = np.asarray(run.sample(len(x), context=view.context), float)
    shares /= shares.sum(1, keepdims=True)
    return np.random.default_rng(0).multinomial(x.sum(1).astype(int), shares).astype(float)


def rmse(of: Vectors) -> np.ndarray:
    """Root mean squared error of each column: [D]."""
    apart = (of.data - of.expected) ** 2
    return np.sqrt(np.nanmean(np.where(np.isnan(of.data).all(0), 0.0, apart), 0))


def errors(of: Vectors) -> Table:
    """A row a column; of many those whose error is the largest beside their spread. Of levels, how
    many are wrong."""
    known = np.where(np.isnan(of.data).all(0), 0.0, of.data)
    found, spread = rmse(of), np.nanstd(known, 0)
    share = np.divide(found, spread, out=np.zeros_like(found), where=spread > 0)
    rows = range(len(found))
    if len(found) > MOST_ERRORS:
        rows = (-share).argsort(kind="stable")[:MOST_ERRORS].tolist()
    numbers = np.stack([np.nanmean(known, 0), spread, found, share], axis=1)
    head = ("Column", "Mean", "Standard deviation", "RMSE", "RMSE / standard deviation")
    return Table(head, [[of.names[row], *_cells(of, row, numbers[row])] for row in rows])


def _cells(of: Vectors, column: int, numbers: np.ndarray) -> list[str]:
    if not of.levels[column]:
        return [_number(value) for value in numbers]
    given = ~np.isnan(of.data[:, column])
    wrong = of.data[given, column] != of.expected[given, column]
    return ["–", "–", f"{wrong.mean() if len(wrong) else 0.0:.0%} of levels wrong", "–"]


def _number(value: float) -> str:
    return "0" if not value else f"{value:#,.4g}".rstrip(".").replace("-", "−")


def distances(of: Vectors) -> np.ndarray:
    """How far samples are from data in each column: [D].

    Of counts half the summed differences of the bars' shares; otherwise the mean distance of
    quantiles, in the data's standard deviations.
    """
    found = np.zeros(len(of.names))
    for column, counted in enumerate(of.counted):
        data, samples = of.column(column), of.samples[:, column]
        if not len(data):
            continue
        if counted:
            _, ours, theirs = marginal(of, column)[1:]
            found[column] = 0.5 * np.abs(ours - theirs).sum()
        elif spread := data.std():
            if len(data) < len(samples):
                samples = np.quantile(samples, (np.arange(len(data)) + 0.5) / len(data))
            found[column] = np.abs(np.sort(data) - np.sort(samples)).mean() / spread
    return found


def marginal(of: Vectors, column: int) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """A column's name, the edges of bins [K + 1], and of each bin the share of the data and of the
    samples; what lies outside is counted in the outermost bins."""
    data, samples = of.column(column), of.samples[:, column]
    both = np.concatenate([data, samples])
    if of.counted[column]:
        low, high = both.min(), np.quantile(both, 0.995)
        width = max(1.0, np.ceil((high - low + 1) / COUNTED))
        number = int(np.clip(np.ceil((high - low + 1) / width), 1, COUNTED))
        edges = low - 0.5 + width * np.arange(number + 1)  # around whole numbers
    else:
        low, high = np.quantile(both, [0.005, 0.995])
        margin = 0.0 if high > low else 0.5
        edges = np.linspace(low - margin, high + margin, BINS + 1)
    return of.names[column], edges, _shares(data, edges), _shares(samples, edges)


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    place = np.searchsorted(edges, values, side="right") - 1
    place = np.clip(place, 0, len(edges) - 2)
    return np.bincount(place, minlength=len(edges) - 1) / max(len(values), 1)


def correlated(of: Vectors) -> np.ndarray:
    """The columns whose correlations are shown, those of the data that go together side by side."""
    kept = np.arange(len(of.names))
    if len(kept) > MOST_CORRELATED:
        spread = np.nanvar(of.data, 0) if of.are_counted else -kept
        kept = np.sort((-spread).argsort(kind="stable")[:MOST_CORRELATED])
    if len(kept) < 3:
        return kept
    from scipy.cluster import hierarchy  # slow to import, and needed here alone
    from scipy.spatial.distance import squareform

    apart = 1.0 - np.abs(correlations(of.data[:, kept]))
    np.fill_diagonal(apart, 0.0)
    tree = hierarchy.linkage(squareform(apart, checks=False), "average", optimal_ordering=True)
    return kept[hierarchy.leaves_list(tree)]


def correlations(values: np.ndarray) -> np.ndarray:
    """Of columns [N, D]: [D, D]; a constant column has none, and missing cells count as means."""
    there = ~np.isnan(values)
    means = np.where(there, values, 0.0).sum(0) / np.maximum(there.sum(0), 1)
    centred = np.where(there, values - means, 0.0)
    norm = np.sqrt((centred**2).sum(0))
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-9 * len(values))
    found = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def sequences(view: View) -> dict[str, Any]:
    """Sequences of tokens as text: examples with their reconstructions, and samples."""
    run = view.run
    x = view.x[:SHOWN]
    context = None if view.context is None else view.context[:SHOWN]
    symbols = run.described.get("vocabulary", ())
    pairs = zip(x, run.reconstruct(x, context), strict=True)
    drawn = run.sample(len(x), draw=True, context=context)
    return {
        "sequences": {
            "pairs": [(_text(ids, symbols), _text(again, symbols)) for ids, again in pairs],
            "samples": [_text(ids, symbols) for ids in drawn],
            "named": bool(symbols),
        }
    }


def _text(ids: np.ndarray, symbols: Sequence[str]) -> str:
    words = [symbols[int(i)] if int(i) < len(symbols) else str(int(i)) for i in ids]
    return ("" if symbols and max(map(len, symbols)) == 1 else " ").join(words)

"""What a search found on its way: its metric over the trials, and which keys it depends on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vae.reports import summary
from vae.reports.figures import TRAIN, VALIDATION, WHOLE, plain_numbers, styled
from vae.reports.sweep_figures import SOFT
from vae.reports.swept import Results

LEAST_TRIALS = 4  # that say anything of importances
FLATTENED = 4  # spans of the better three quarters, beyond which the worst are left out
LOGARITHMIC = 20  # the largest by the smallest value, from which on a key's logarithms are used


def panels(results: Results, metric: str) -> dict[str, Any] | None:
    """The figures of a search for the best `metric`; None of a grid, or where nothing is known.

    Returns:
      `history` and, where there are trials enough, `importances`, with `how` they were found; the
      metric's `name`; the `split` that it is of; how many trials were `pruned`; whether some are so
      bad that they are `cut` off; and the `least_trials` of which importances are found.
    """
    way = results.way(metric)
    rows, split = _measured(results, metric)
    if not metric or not way or not rows:
        return None
    numbers, values, pruned = (np.array(column) for column in zip(*rows, strict=True))
    figure = history(numbers, values, pruned, way, results.column(metric))
    low, high = limits(values, way)
    found: dict[str, Any] = {
        "history": results.gallery.save(figure, "history"), "importances": None, "how": "",
        "name": results.about(metric)["label"], "split": split, "pruned": int(pruned.sum()),
        "cut": bool(np.any((values < low) | (values > high))),
        "least_trials": LEAST_TRIALS,
    }  # fmt: skip
    whole = [(int(n), v) for n, v, stopped in rows if not stopped]
    keys = summary.axes([results.rows[n] for n, _ in whole], results.keys)
    reached = np.array([value for _, value in whole])
    if len(whole) >= LEAST_TRIALS and len(keys) > 1 and np.ptp(reached):
        columns = {key: [results.rows[n]["values"].get(key) for n, _ in whole] for key in keys}
        shares, found["how"] = importances(columns, reached)
        named = {results.name(key): share for key, share in shares.items()}
        found["importances"] = results.gallery.save(bars(named), "importances")
    return found


def _measured(results: Results, metric: str) -> tuple[list[tuple[int, float, bool]], str]:
    """Number, value and whether it was pruned, of each trial; and the split that values are of."""
    shown = [(n, row) for n, row in enumerate(results.rows) if row["state"] in ("done", "pruned")]
    told = [(n, row["validation"].get(metric), row["state"] == "pruned") for n, row in shown]
    if any(value is not None for _, value, stopped in told if not stopped):
        return [trial for trial in told if trial[1] is not None], "validation"
    done = [(n, row) for n, row in shown if row["state"] == "done" and metric in row["metrics"]]
    split = done[0][1]["split"] if done else ""
    return [(n, row["metrics"][metric], False) for n, row in done], split


def best_so_far(values: np.ndarray, pruned: np.ndarray, way: int) -> np.ndarray:
    """The best of [N] up to each, of those that were not pruned; NaN before the first."""
    whole = np.where(pruned, -np.inf, way * values)
    best = np.maximum.accumulate(whole)
    return np.where(np.isfinite(best), way * best, np.nan)


@styled
def history(
    numbers: np.ndarray, values: np.ndarray, pruned: np.ndarray, way: int, title: str
) -> Figure:
    """A search's metric [N] by number of the trial [N], and the best so far.

    Args:
      pruned: [N] whether a trial was stopped early, which a cross marks.
      way: 1: more is better; -1: less is.
    """
    figure = Figure(figsize=(5.6, 2.6), layout="constrained")
    axes = figure.subplots()
    best = best_so_far(values, pruned, way)
    axes.step(numbers, best, where="post", color=VALIDATION, label="best so far")
    axes.plot(numbers[~pruned], values[~pruned], "o", color=TRAIN, markersize=3.5, label="trial")
    if pruned.any():
        axes.plot(numbers[pruned], values[pruned], "x", color=SOFT, markersize=4, label="pruned")
    axes.set(title=title, xlabel="trial")
    axes.set_ylim(limits(values, way))
    plain_numbers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True, steps=WHOLE, min_n_ticks=1))
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.4)
    return figure


def limits(values: np.ndarray, way: int) -> tuple[float, float]:
    """Limits around values [N]; without those, a quarter at most, that are so much worse than the
    rest that they would flatten it."""
    better = values[way * values >= np.quantile(way * values, 0.25)]
    span = np.ptp(better)
    near = values[way * values >= (way * better).min() - span]
    shown = near if np.ptp(values) > FLATTENED * span > 0 else values
    margin = 0.1 * np.ptp(shown) or 0.1 * abs(shown[0]) or 1.0
    return float(shown.min() - margin), float(shown.max() + margin)


@styled
def bars(shares: Mapping[str, float]) -> Figure:
    """Importances by key, the largest on top."""
    names = sorted(shares, key=lambda name: shares[name])
    figure = Figure(figsize=(5.6, 0.2 + 0.2 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, [shares[name] for name in names], color=TRAIN, height=0.7)
    for place, name in enumerate(names):
        axes.annotate(
            f"{shares[name]:.2f}", (shares[name], place), (3, 0), textcoords="offset points",
            va="center",
        )  # fmt: skip
    axes.set_xlim(0.0, 1.15 * max(*shares.values(), 1e-3))
    axes.grid(False)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    return figure


def importances(
    columns: Mapping[str, Sequence[Any]], values: np.ndarray
) -> tuple[dict[str, float], str]:
    """How much a metric [N] depends on each key, whose values [N] are numbers or names.

    Returns:
      A share for each key, which add up to 1; or, without Optuna's needs, the size of the rank
      correlation (of names: the correlation ratio of ranks). And in words what they are.
    """
    try:
        return _by_forest(columns, values), "shares of the variance by fANOVA (Hutter et al. 2014)"
    except (ImportError, RuntimeError):  # of optuna, or of scikit-learn, which its forests need
        found = {key: _by_ranks(column, values) for key, column in columns.items()}
        return found, "rank correlations with it, without their signs"


def _by_forest(columns: Mapping[str, Sequence[Any]], values: np.ndarray) -> dict[str, float]:
    import optuna

    spaces = {key: _space(optuna, column) for key, column in columns.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for number, value in enumerate(values.tolist()):
        told = {key: _as_told(column[number]) for key, column in columns.items()}
        study.add_trial(
            optuna.trial.create_trial(params=told, distributions=spaces, value=value)
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _space(optuna: Any, column: Sequence[Any]) -> Any:
    """What Optuna calls a distribution: the span of a key's values, or their list."""
    if not summary.numeric(column):
        return optuna.distributions.CategoricalDistribution(list(dict.fromkeys(map(str, column))))
    low, high = min(column), max(column)
    kinds = optuna.distributions
    kind = kinds.FloatDistribution if any(isinstance(v, float) for v in column) else None
    return (kind or kinds.IntDistribution)(low, high, log=low > 0 and high > LOGARITHMIC * low)


def _as_told(value: Any) -> Any:
    return value if summary.numeric([value]) else str(value)


def _by_ranks(column: Sequence[Any], values: np.ndarray) -> float:
    ranks = _ranks(values)
    if summary.numeric(column):
        return float(abs(np.corrcoef(_ranks(np.asarray(column, float)), ranks)[0, 1]))
    names = np.array(list(map(str, column)))
    means = np.array([ranks[names == name].mean() for name in names])
    return float(np.sqrt(means.var() / ranks.var()))


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 0 on; the same values share their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[which]

import sys

import numpy as np
import pytest

from tests.reports.fake import read
from vae.reports import figures, searched
from vae.reports.sweep_page import sweep_report

KEYS = ["objective.beta", "model.encoder"]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Fewer pixels, for speed."""
    monkeypatch.setattr(figures, "DPI", 60)


def trials(num):
    rng = np.random.default_rng(0)
    for number in range(num):
        values = {KEYS[0]: float(rng.uniform(0.1, 4)), KEYS[1]: ("mlp", "conv")[number % 2]}
        yield values, {"elbo": -90.0 - values["objective.beta"], "sap": number / 10}


def test_a_search_shows_its_history_and_marks_its_best(tmp_path, write_sweep):
    told = {number: (0.3, 0.1, 0.9, 0.2, 0.5, 0.4, 0.8)[number] for number in range(7)}
    write_sweep(tmp_path, list(trials(8)), KEYS, states={2: "pruned", 7: "failed"}, metric="sap",
                told=told)  # fmt: skip
    page, text = read(sweep_report(tmp_path, lambda _: None))
    assert {"History", "Importances"} <= set(page.headings)
    assert "Best trial, of the highest validation SAP (0.8): " in text
    assert "On 1,234 test examples, SAP: 0.6." in text
    assert "The validation SAP, which the search optimised" in text
    assert "A cross is a trial that was pruned" in text
    assert "The marked trial is the best by validation SAP." in text
    marked = (tmp_path / "report.html").read_text().split('<tr class="best">')[1:]
    assert len(marked) == 1 and "SAP" not in marked[0] and "encoder=mlp" in marked[0][:200]
    assert {"history", "importances"} <= {path.stem for path in (tmp_path / "figures").iterdir()}


def test_trials_of_a_search_tell_their_values_and_pruned_ones_are_in_no_summary(
    tmp_path, write_sweep
):
    found = list(trials(5))
    told = dict.fromkeys(range(5), 0.5)
    write_sweep(tmp_path, found, KEYS, {2: "pruned", 3: "pruned"}, metric="sap", told=told)
    text = read(sweep_report(tmp_path, lambda _: None))[1]
    assert "5 trials that differ in β and encoder" in text
    assert "shown once 4 trials have trained to the end" in text
    summed, listed = text.split("Trials that did not train to the end are left out.")[1].split(
        "The marked trial"
    )
    for number, (values, _) in enumerate(found):
        beta = f"{values['objective.beta']:.4g}"
        assert beta in listed
        assert (beta in summed.split("The validation SAP")[0]) == (number not in (2, 3))


def test_three_quarters_of_a_search_are_in_view_and_all_where_none_is_far_off():
    rng = np.random.default_rng(0)
    near = rng.uniform(0.0, 1.0, 30)
    low, high = searched.limits(np.append(near, [-50.0, -1e9]), 1)
    assert -1.0 < low <= near.min() and near.max() <= high < 2.0
    few = np.array([-26.5, -26.4, -27.0, -28.2, -27.2, -26.9])  # of three that were not pruned
    low, high = searched.limits(few, 1)
    assert low < few.min() and few.max() < high


def test_an_older_search_has_the_history_of_what_was_evaluated(tmp_path, write_sweep):
    write_sweep(tmp_path, list(trials(3)), KEYS, metric="sap")
    page, text = read(sweep_report(tmp_path, lambda _: None))
    assert "The test SAP, which the search optimised" in text
    assert "History" in page.headings and "Importances" not in page.headings


def test_a_grid_has_no_history(tmp_path, write_sweep):
    write_sweep(tmp_path, list(trials(8)), KEYS)
    assert "History" not in read(sweep_report(tmp_path, lambda _: None))[0].headings


def test_the_best_so_far_leaves_out_what_was_pruned():
    values = np.array([5.0, 3.0, 9.0, 1.0, 6.0])
    pruned = np.array([True, False, True, False, False])
    best = searched.best_so_far(values, pruned, 1)
    np.testing.assert_array_equal(best, [np.nan, 3, 3, 3, 6])
    np.testing.assert_array_equal(searched.best_so_far(values, pruned, -1), [np.nan, 3, 3, 1, 1])
    figure = searched.history(np.arange(5), values, pruned, 1, "SAP")
    line, points, crosses = figure.axes[0].get_lines()
    np.testing.assert_array_equal(line.get_ydata(), best)
    np.testing.assert_array_equal(points.get_xdata(), [1, 3, 4])
    np.testing.assert_array_equal(crosses.get_ydata(), [5, 9])


def columns():
    rng = np.random.default_rng(1)
    whole = rng.integers(1, 100, 40)
    names = np.array(["a", "b"])[rng.integers(0, 2, 40)]
    idle = rng.uniform(size=40)
    values = np.log(whole) + 1.5 * (names == "a")
    return {"whole": whole.tolist(), "name": names.tolist(), "idle": idle.tolist()}, values


def test_importances_are_shares_of_what_the_metric_depends_on():
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    found, how = searched.importances(*columns())
    assert sum(found.values()) == pytest.approx(1.0) and "fANOVA" in how
    assert found["idle"] < 0.1 < min(found["whole"], found["name"])


def test_without_optuna_importances_are_rank_correlations(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    given, values = columns()
    found, how = searched.importances(given, values)
    ranks = np.argsort(np.argsort(values, kind="stable"))
    assert "rank correlations" in how
    assert found["idle"] == pytest.approx(
        abs(np.corrcoef(np.argsort(np.argsort(given["idle"])), ranks)[0, 1]), abs=0.01
    )
    assert found["idle"] < 0.3 < min(found["whole"], found["name"])
    exact, _ = searched.importances({"x": [1, 5, 2], "y": ["p", "q", "p"]}, np.array([1, 9, 1]))
    assert exact["x"] == pytest.approx(np.sqrt(0.75)) and exact["y"] == pytest.approx(1.0)

import csv
import io

import numpy as np
import pytest

from vae.metrics import sign
from vae.reports import summary

KEYS = ["model.latent_size", "objective.beta", "seed"]


def trial(latents, beta, seed, **metrics):
    return {"model.latent_size": latents, "objective.beta": beta, "seed": seed}, metrics or None


@pytest.fixture
def small(tmp_path, write_sweep):
    """Two latent sizes, one beta, three seeds; one of the trials failed and one is pending."""
    trials = [
        trial(2, 0.5, 0, elbo=(-110.0, 0.5), nll_iwae_5=105.0, nll_iwae_100=104.0),
        trial(2, 0.5, 1, elbo=(-112.0, 0.5), nll_iwae_5=106.0, nll_iwae_100=105.0),
        trial(2, 0.5, 2, elbo=(-117.0, 0.5), bpd=0.5, nll_iwae_5=109.0, nll_iwae_100=108.0),
        trial(8, 0.5, 0, elbo=(-90.0, 0.4), nll_iwae_5=88.0),
        trial(8, 0.5, 1),
        trial(8, 0.5, 2),
    ]
    sweep = write_sweep(tmp_path, trials, KEYS, states={4: "failed", 5: "pending"})
    return sweep, summary.rows(sweep, tmp_path)


def test_a_row_a_trial(small):
    rows = small[1]
    assert [row["state"] for row in rows] == ["done"] * 4 + ["failed", "pending"]
    assert rows[0]["values"] == {"model.latent_size": 2, "objective.beta": 0.5, "seed": 0}
    assert rows[0]["metrics"] == {"elbo": -110.0, "nll_iwae_5": 105.0, "nll_iwae_100": 104.0}
    assert rows[0]["stderr"] == {"elbo": 0.5}
    assert (rows[0]["seconds"], rows[5]["seconds"]) == (10.0, None)
    assert (rows[4]["reason"], rows[4]["metrics"]) == ("reason 4 <&>", {})


def test_values_that_are_not_finite_are_missing_and_lists_are_tuples(tmp_path, write_sweep):
    values = {"model.hidden": [200, 100]}
    sweep = write_sweep(tmp_path, [(values, {"elbo": float("nan"), "rate": 3.0})], ["model.hidden"])
    (row,) = summary.rows(sweep, tmp_path)
    assert row["values"] == {"model.hidden": (200, 100)}
    assert row["metrics"] == {"rate": 3.0}


def test_means_and_their_errors_over_seeds(small):
    two, eight = summary.over_seeds(small[1], KEYS, ["elbo", "bpd", "rate", "seconds"])
    elbos = [-110.0, -112.0, -117.0]
    assert two["n"] == 3
    np.testing.assert_allclose(two["elbo"], (np.mean(elbos), np.std(elbos, ddof=1) / np.sqrt(3)))
    np.testing.assert_allclose(two["seconds"], (11.0, 1 / np.sqrt(3)))
    assert two["bpd"] == (0.5, None)
    assert two["rate"] is None
    assert (eight["model.latent_size"], eight["objective.beta"], eight["n"]) == (8, 0.5, 1)
    assert eight["elbo"] == (-90.0, None)  # neither the failed trial nor the pending one


def test_lists_of_a_json_file_are_values_too(small):
    rows = [{**row, "values": {"model.hidden": [8, 4], "seed": 0}} for row in small[1][:2]]
    (group,) = summary.over_seeds(rows, ["model.hidden", "seed"], ["elbo"])
    assert group["model.hidden"] == (8, 4) and group["n"] == 2


def test_a_combination_without_a_trial_done_has_no_numbers(small):
    (group,) = summary.over_seeds(small[1][4:], KEYS, ["elbo", "seconds"])
    assert group["n"] == 0 and group["elbo"] is None and group["seconds"] is None


def test_without_seeds_every_trial_is_its_own_group(small):
    rows = [{**row, "values": {"model.latent_size": i}} for i, row in enumerate(small[1])]
    groups = summary.over_seeds(rows, ["model.latent_size"], ["elbo"])
    assert [group["n"] for group in groups] == [1, 1, 1, 1, 0, 0]


def test_the_largest_k_that_most_trials_have_is_the_nll(small):
    rows = small[1]
    assert summary.tightest_nll(rows[:3]) == "nll_iwae_100"
    assert summary.tightest_nll(rows) == "nll_iwae_5"
    assert summary.tightest_nll(rows[4:]) is None
    assert summary.headline(rows[:3]) == ["elbo", "nll_iwae_100", "seconds"]


def test_the_best_is_the_highest_elbo_and_the_lowest_nll(small):
    rows = small[1]
    assert summary.best(rows, "elbo") is rows[3]
    assert summary.best(rows[:3], "nll_iwae_100") is rows[0]
    assert summary.best(rows, "rate") is None
    groups = summary.over_seeds(rows, KEYS, ["elbo", "nll_iwae_100"])
    assert summary.best_group(groups, "elbo", 1) is groups[1]
    assert summary.best_group(groups, "nll_iwae_100", -1) is groups[0]


@pytest.mark.parametrize(
    ("metric", "best"),
    [("aggregate_mmd", 0), ("mig_histogram", 1), ("active_units", None), ("unheard_of", None)],
)
def test_what_has_no_direction_has_no_best(tmp_path, write_sweep, metric, best):
    trials = [trial(2, beta, 0, **{metric: value}) for beta, value in ((0.5, 1.0), (2.0, 3.0))]
    rows = summary.rows(write_sweep(tmp_path, trials, KEYS), tmp_path)
    groups = summary.over_seeds(rows, KEYS, [metric])
    assert summary.best(rows, metric) is (None if best is None else rows[best])
    way = sign(summary.about(rows, metric))
    assert summary.best_group(groups, metric, way) is (None if best is None else groups[best])


def test_older_trials_are_shown_and_none_is_the_best(small):
    rows = [{**row, "facts": {}} for row in small[1][:3]]
    assert summary.about(rows, "elbo")["label"] == "elbo"
    assert summary.headline(rows) == ["elbo", "nll_iwae_100", "seconds"]
    assert summary.best(rows, "elbo") is None
    assert summary.best(rows, "seconds") is rows[0]  # which the sweep itself measures


def test_what_is_shown_first_is_what_metrics_say_bounds_before_all(tmp_path, write_sweep):
    metrics = {"rate": 3.0, "nll_iwae_5": 9.0, "nll_iwae_50": 8.0, "bpd": 0.5, "irs": 0.1,
               "sap": 0.2, "elbo": -10.0}  # fmt: skip
    trials = [trial(2, 1.0, 0, **metrics), trial(2, 1.0, 1, **metrics, classification_error=0.1)]
    rows = summary.rows(write_sweep(tmp_path, trials, KEYS), tmp_path)
    assert summary.headline(rows) == ["elbo", "nll_iwae_50", "rate", "sap", "seconds"]
    of_a_run = summary.first(rows[1]["facts"], "nll_iwae_50", ("run", "sweep"))
    assert of_a_run == ["elbo", "nll_iwae_50", "rate", "bpd", "sap", "classification_error"]


def test_results_csv_has_a_column_a_key_and_a_metric(small):
    lines = list(csv.DictReader(io.StringIO(summary.results_csv(small[1], KEYS))))
    order = [*KEYS, "state", "elbo", "nll_iwae_5", "nll_iwae_100", "bpd", "seconds", "trial"]
    assert list(lines[0]) == order
    assert lines[2]["elbo"] == "-117.0" and lines[2]["bpd"] == "0.5" and lines[0]["bpd"] == ""
    assert lines[2]["trial"] == "latent_size=2,beta=0.5,seed=2"
    assert [line["state"] for line in lines] == ["done"] * 4 + ["failed", "pending"]
    assert lines[5]["elbo"] == lines[5]["seconds"] == ""


def test_the_summary_is_aligned_text(small):
    lines = summary.summary_table(small[1], KEYS, ["elbo", "rate"]).splitlines()
    assert lines[0].split() == ["latent_size", "beta", "n", "elbo", "rate"]
    assert lines[2].split() == ["2", "0.5", "3", "-113.0", "±", "2.1", "–"]
    assert lines[3].split() == ["8", "0.5", "1", "-90.0", "–"]
    assert summary.summary_table(small[1], KEYS, markdown=True).startswith("| latent_size |")


def test_a_column_shares_its_decimals():
    column = [(-100.123, 0.0012), (-90.5, 0.21), (-80.77, 0.19), None, (-70.0, None)]
    assert summary.texts(column) == [
        "-100.12 ± 0.00", "-90.50 ± 0.21", "-80.77 ± 0.19", None, "-70.00",
    ]  # fmt: skip
    assert summary.texts([(2.0, 0.0), (11.5, 0.5)]) == ["2.0 ± 0.0", "11.5 ± 0.5"]
    assert summary.texts([(8.0, None), (12.0, None)]) == ["8", "12"]
    assert summary.texts([(0.0, None), None]) == ["0", None]


def groups_of(values):
    return [
        {"model.latent_size": z, "objective.beta": b, "model.encoder": e,
         "elbo": m}
        for z, b, e, m in values
    ]


def test_cells_hold_the_means_in_order_of_the_keys():
    groups = groups_of([(8, 1.0, "mlp", (-90.0, 0.1)), (2, 1.0, "mlp", (-99.0, None)),
                        (8, 0.5, "mlp", (-95.0, 0.1)), (2, 0.5, "mlp", None)])  # fmt: skip
    rows, columns, matrix = summary.cells(groups, "model.latent_size", "objective.beta", "elbo", 1)
    assert (rows, columns) == ([2, 8], [0.5, 1.0])
    np.testing.assert_array_equal(matrix, [[np.nan, -99.0], [-95.0, -90.0]])


def test_cells_hold_the_best_over_further_keys_or_the_mean_where_there_is_no_best():
    groups = groups_of([(2, 1.0, "mlp", (90.0, 0.1)), (2, 1.0, "conv", (80.0, 0.1)),
                        (2, 0.5, "mlp", None), (2, 0.5, "conv", (70.0, None))])  # fmt: skip
    for way, best in ((1, 90.0), (-1, 80.0), (0, 85.0)):
        _, _, matrix = summary.cells(groups, "model.latent_size", "objective.beta", "elbo", way)
        np.testing.assert_array_equal(matrix, [[70.0, best]])
    names, _, matrix = summary.cells(groups, "model.encoder", "objective.beta", "elbo", 1)
    assert names == ["mlp", "conv"]
    np.testing.assert_array_equal(matrix, [[np.nan, 90.0], [70.0, 80.0]])


def test_axes_are_the_keys_that_vary_latent_size_and_beta_first():
    keys = ["model.encoder", "optimizer.learning_rate", "objective.beta", "model.blocks", "seed"]
    rows = [
        {"values": dict(zip(keys, values, strict=True))}
        for values in (("mlp", 1e-3, 1.0, 1, 0), ("conv", 1e-2, 2.0, 1, 1))
    ]
    assert summary.axes(rows, keys) == [
        "objective.beta", "optimizer.learning_rate", "model.encoder",
    ]  # fmt: skip
    assert summary.axes(rows[:1], keys) == []


def test_the_frontier_is_the_lower_left_convex_hull():
    corner = np.array([[0.0, 10.0], [2.0, 4.0], [6.0, 2.0]])
    above = np.array([[1.0, 7.5], [4.0, 3.5], [0.0, 11.0], [9.0, 2.5], [3.0, 8.0]])
    points = np.concatenate([above, corner])
    assert summary.frontier(points) == [5, 6, 7]
    assert summary.frontier(points[:1]) == [0]
    assert summary.frontier(np.array([[1.0, 1.0], [2.0, 5.0]])) == [0]
    assert summary.frontier(np.array([[1.0, 3.0], [1.0, 1.0], [1.0, 1.0]])) == [1]


def test_keys_have_short_names_unless_two_are_alike():
    keys = ["model.latent_size", "model.dtype", "data.dtype", "optimizer.name", "seed"]
    assert [summary.short_name(key, keys) for key in keys] == [
        "latent_size", "model.dtype", "data.dtype", "optimizer", "seed",
    ]  # fmt: skip

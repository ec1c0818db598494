import dataclasses

import numpy as np
import pytest

import vae
from tests.reports.fake import Run, read
from vae.reports import figures, vector_figures, vectors
from vae.reports.page import report
from vae.reports.view import View

MEAN, STD = [10.0, -3.0, 0.5], [2.0, 50.0, 1e-3]
NAMES = ["age", "income <&>", "rate"]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Fewer pixels, for speed."""
    monkeypatch.setattr(figures, "DPI", 60)


def table(**options):
    described = {"mean": MEAN, "std": STD, "columns": NAMES}
    run = Run((3,), 2, observed="real", described=described, **options)
    run.x = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
    return run


def given(data, samples, counted=False):
    names = [f"c{number}" for number in range(data.shape[1])]
    width = data.shape[1]
    kinds = np.full(width, counted), width, [()] * width
    return vectors.Vectors(names, data, data, samples, *kinds)


def test_errors_are_in_the_columns_own_units():
    run = table()
    of = vectors.read(View(run, "test", None))
    raw, again = (values * STD + MEAN for values in (run.x, run.reconstruct(run.x)))
    np.testing.assert_allclose(vectors.rmse(of), np.sqrt(((raw - again) ** 2).mean(0)), rtol=1e-5)
    np.testing.assert_allclose(of.data.mean(0), raw.mean(0), rtol=1e-4)
    found = vectors.errors(of)
    assert [row[0] for row in found.rows] == NAMES
    assert found.rows[1][3] == f"{np.sqrt(((raw - again) ** 2).mean(0))[1]:.4g}"
    assert [len(row[2].lstrip("−0.").replace(".", "")) for row in found.rows] == [4, 4, 4]  # digits
    share = vectors.rmse(of) / raw.std(0)
    assert float(found.rows[2][4]) == pytest.approx(share[2], rel=1e-3)


def test_of_many_columns_those_of_the_largest_errors_are_listed():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(50, 60))
    noise = np.linspace(0.0, 1.0, 60) * rng.choice([-1, 1], size=(50, 60))
    of = dataclasses.replace(given(data, data), expected=data + noise)
    rows = vectors.errors(of).rows
    assert len(rows) == 40
    share = np.linspace(0.0, 1.0, 60) / data.std(0)
    assert [row[0] for row in rows] == [f"c{n}" for n in np.argsort(-share)[:40]]


def test_marginals_are_shares_on_the_same_bins():
    rng = np.random.default_rng(0)
    data, samples = rng.normal(size=(500, 1)), rng.normal(2.0, 3.0, size=(500, 1))
    name, edges, ours, theirs = vectors.marginal(given(data, samples), 0)
    assert name == "c0" and len(edges) == vectors.BINS + 1
    assert ours.sum() == pytest.approx(1.0) and theirs.sum() == pytest.approx(1.0)
    inner = np.histogram(data[:, 0], edges)[0] / 500
    np.testing.assert_allclose(ours[1:-1], inner[1:-1])
    low, high = np.quantile(np.concatenate([data, samples]), [0.005, 0.995])
    assert theirs[0] == pytest.approx((samples < edges[1]).mean())  # and all that lies below
    assert (edges[0], edges[-1]) == (pytest.approx(low), pytest.approx(high))


def test_counts_have_a_bar_each_and_the_last_holds_all_larger_ones():
    data = np.array([0, 0, 1, 3] * 100)[:, None].astype(float)
    samples = np.array([0, 1, 1, 2] * 100)[:, None].astype(float)
    samples[0] = 90
    _, edges, ours, theirs = vectors.marginal(given(data, samples, counted=True), 0)
    np.testing.assert_array_equal(edges, [-0.5, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(ours, [0.5, 0.25, 0.0, 0.25])
    np.testing.assert_allclose(theirs, [0.2475, 0.5, 0.25, 0.0025])
    wide = np.arange(400.0)[:, None]
    _, edges, ours, _ = vectors.marginal(given(wide, wide, counted=True), 0)
    assert len(ours) == vectors.COUNTED and edges[1] - edges[0] == 25
    np.testing.assert_allclose(ours, 25 / 400)


def test_the_columns_whose_samples_are_furthest_come_first(make_run, monkeypatch):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(300, 20)) * np.arange(1, 21)
    shift = rng.permutation(20) / 10
    apart = vectors.distances(given(data, data + shift * data.std(0)))
    np.testing.assert_allclose(apart, shift, atol=1e-9)  # in standard deviations
    counts = rng.poisson(2.0, (300, 2)).astype(float)
    others = np.stack([counts[:, 0], counts[:, 1] + 100], axis=1)
    np.testing.assert_allclose(vectors.distances(given(counts, others, counted=True)), [0, 1])


def test_correlations_are_numpys_in_the_order_of_clusters():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(400, 3))
    group = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    data = base[:, group] * rng.choice([-1, 1], 8) + 0.1 * rng.normal(size=(400, 8))
    np.testing.assert_allclose(vectors.correlations(data), np.corrcoef(data.T), atol=1e-9)
    order = vectors.correlated(given(data, data))
    assert sorted(order.tolist()) == list(range(8))
    changes = np.flatnonzero(np.diff(group[order]))
    assert len(changes) == 2  # each group side by side, whatever its signs
    constant = np.stack([np.ones(400), base[:, 0]], axis=1)
    np.testing.assert_array_equal(vectors.correlations(constant), np.eye(2))


def test_at_most_forty_columns_are_correlated():
    data = np.random.default_rng(0).poisson(np.arange(1.0, 61), (200, 60)).astype(float)
    assert set(vectors.correlated(given(data, data))) == set(range(40))  # of a table the first
    largest = np.argsort(-data.var(0))[:40]
    assert set(vectors.correlated(given(data, data, counted=True))) == set(largest.tolist())


def test_both_matrices_are_drawn_on_one_scale():
    ours, theirs = np.eye(3), np.full((3, 3), -0.5)
    figure = vector_figures.correlations(ours, theirs, ["a", "$b", "c" * 40])
    left, right = (axes.images[0] for axes in figure.axes[:2])
    np.testing.assert_array_equal(left.get_array(), ours)
    np.testing.assert_array_equal(right.get_array(), theirs)
    assert left.get_clim() == right.get_clim() == (-1, 1)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["a", "$b", "c" * 25 + "…"]


def test_shares_of_one_draw_become_counts_of_as_many():
    run = Run((4,), 2, observed="counts")
    with run.config.unlocked():
        run.config.model.likelihood = "multinomial"
    run.x = np.random.default_rng(0).poisson(5.0, (40, 4)).astype(np.float32)
    run.decode = lambda z, context=None: np.tile([0.4, 0.3, 0.2, 0.1], (len(z), 1))
    of = vectors.read(View(run, "test", None))
    total = run.x.sum(1)
    np.testing.assert_allclose(of.expected, total[:, None] * [0.4, 0.3, 0.2, 0.1])
    np.testing.assert_array_equal(of.samples.sum(1), total)
    assert of.samples.mean(0)[0] > 2 * of.samples.mean(0)[3]


def test_the_page_says_of_what_and_of_how_many(make_run):
    workdir = make_run()
    run = vae.load(workdir)
    run.__dict__ |= {k: v for k, v in vars(table()).items() if k not in ("workdir", "compiled")}
    _, text = read(report(workdir))
    assert "income <&>" in text and "in the columns' own units" in text
    assert "Columns in order of how far their samples are from the data" in text
    assert "The two differ by" in text and "of the largest variance are looked at" not in text


def test_tokens_are_text(make_run):
    vocabulary = ["", *"abc"]
    workdir = make_run(shape=(5,), observed="tokens", described={"vocabulary": vocabulary})
    run = vae.load(workdir)
    run.x = np.tile([1, 2, 3, 0, 0], (40, 1)).astype(np.float32)
    run.decode = lambda z, context=None: np.tile([3, 3, 1, 0, 0], (len(z), 1))
    page, text = read(report(workdir))
    assert "abc cca" in " ".join(text.split()) and "Marginals" not in page.headings
    assert text.count("cca") == 16 and "by their numbers" not in text
    run.described.pop("vocabulary")
    _, text = read(report(workdir))
    assert "1 2 3 0 0" in text and "Tokens are shown by their numbers" in text

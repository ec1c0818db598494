"""Anomaly scores, thresholds and the `detect` verb."""

import csv
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import average_precision_score, roc_auc_score

import vae
from tests.estimators import linear_gaussian
from tests.helpers import small_config
from tests.margins import above, below
from vae.__main__ import main
from vae.configs import adbench
from vae.errors import UserError
from vae.evaluation import anomaly_scores
from vae.scores import anomaly

NAMES = ("length", "width", "weight", "age")
SCALE, SHIFT = np.array([1.0, 10.0, 100.0, 0.1]), np.array([5.0, 0.0, -300.0, 2.0])


def ordinary(num, seed):
    """Four columns of very different sizes that two numbers make."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(num, 2))
    x = z @ np.array([[1.0, 1.0, 0.0, 0.5], [0.0, 1.0, -1.0, 0.5]])
    return (x + 0.1 * rng.normal(size=(num, 4))) * SCALE + SHIFT


def write(path, values, names=NAMES, **columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, *columns])
        for row, *extra in zip(values, *columns.values(), strict=True):
            writer.writerow([*row, *extra])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write(folder / "train.csv", ordinary(900, 0), label=np.zeros(900, int))
    for seed in (0, 1):
        config = small_config(
            seed=seed, data__name="files", data__path=str(folder / "train.csv"), data__kind="real",
            data__binarization="none", data__standardize=True, model__latent_size=2,
            model__hidden=(32,), model__likelihood="gaussian_learned", train__epochs=60,
            train__eval_epochs=20.0, optimizer__learning_rate=1e-2,
        )  # fmt: skip
        vae.train(config, str(folder / f"run{seed}"))
    return folder


@pytest.mark.parametrize("values", [np.float64(3.0), np.zeros(0), np.array(["a"])])
def test_arrays_that_are_no_examples_are_refused(folder, tmp_path, values, capsys):
    np.save(tmp_path / "x.npy", values)
    flags = [f"--workdir={folder}/run0", f"--input={tmp_path}/x.npy", f"--output={tmp_path}/o.csv"]
    assert main(["detect", *flags]) == 2
    assert "give numbers [N, D]" in capsys.readouterr().err
    assert not (tmp_path / "o.csv").exists()


@pytest.fixture(scope="module")
def test_set():
    """Ordinary rows, and rows whose columns do not go together although each is ordinary."""
    inside, other = ordinary(300, 1), ordinary(100, 2)
    other[:, 1] = other[::-1, 1]
    return np.concatenate([inside, other]), np.repeat([0, 1], [300, 100])


def test_a_run_standardises_by_its_training_set_and_says_so(folder):
    run = vae.load(folder / "run0")
    x = run.examples("train")
    np.testing.assert_allclose(x.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1.0, atol=1e-5)
    assert run.described["columns"] == list(NAMES)
    raw = ordinary(5, 3)
    mean, std = (np.array(run.described[name]) for name in ("mean", "std"))
    np.testing.assert_allclose(run.prepare(raw), (raw - mean) / std, rtol=1e-4, atol=1e-5)


def test_scores_are_those_of_the_bounds_and_tell_anomalies(folder, test_set):
    run = vae.load(folder / "run0")
    x, labels = run.prepare(test_set[0]), test_set[1]
    found = anomaly_scores.scores(run, x)
    assert tuple(found) == anomaly_scores.NAMES and all(v.shape == (400,) for v in found.values())
    negative, tighter = found["negative_elbo"], found["negative_iwae"]
    np.testing.assert_allclose(negative, found["reconstruction"] + found["rate"], rtol=1e-4)
    below((tighter - negative)[labels == 0].mean(), 0.0)
    for name in ("negative_elbo", "negative_iwae", "reconstruction", "residual"):
        above(anomaly.metrics(found[name], labels)["auroc"].value, 0.8)
    train = run.examples("train")
    away = [each - run.decode(run.encode(each)[0]) for each in (train, x)]
    fitted = anomaly.Gaussian.fit(away[0])
    np.testing.assert_allclose(found["residual"], fitted.distance(away[1]), rtol=1e-4)


def test_rows_far_out_train_and_score_finite_and_highest(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_t(0.7, (600, 4))  # the largest of thousands, with no variance
    path = write(tmp_path / "train.csv", x)
    config = adbench.get_config()
    config.data.name, config.data.path = "files", str(path)
    config.train.batch_size = 32  # over four devices
    config.train.epochs, config.train.eval_epochs = 20, 5.0
    run = vae.load(vae.train(config, str(tmp_path / "run")))
    far = np.concatenate([x[:200], 100.0 * np.abs(x).max() * np.eye(4)])
    for name, values in anomaly_scores.scores(run, run.prepare(far)).items():
        assert np.isfinite(values).all(), name
        if name in ("negative_elbo", "negative_iwae", "reconstruction", "residual"):
            below(values[:200].max() / values[200:].min(), 1.0)


def test_tokens_have_no_residual():
    run = SimpleNamespace(described={"observed": "tokens"}, shape=(20,))
    assert "residual" not in anomaly_scores.names(run)
    run.described["observed"] = "grey"
    assert anomaly_scores.names(run) == anomaly_scores.NAMES
    run.shape = (64, 64, 3)
    assert "residual" not in anomaly_scores.names(run)


def test_mahalanobis_distance_is_scipy_s():
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(0)
    codes, new = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3)), rng.normal(size=(7, 3))
    shrunk, share = ledoit_wolf(codes)
    assert 0 < share < 0.05
    inverse = np.linalg.inv(shrunk)
    expected = cdist(new, codes.mean(0)[None], "mahalanobis", VI=inverse)[:, 0]
    np.testing.assert_allclose(anomaly.Gaussian.fit(codes).distance(new), expected, rtol=1e-6)
    flat = np.concatenate([codes, np.zeros((200, 1))], axis=1)  # a collapsed latent
    assert np.isfinite(anomaly.Gaussian.fit(flat).distance(flat)).all()


def test_metrics_are_sklearn_s_with_ties():
    rng = np.random.default_rng(0)
    score, labels = rng.integers(0, 6, 500).astype(float), rng.integers(0, 2, 500)
    found = {name: metric.value for name, metric in anomaly.metrics(score, labels).items()}
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, score))
    assert found["aupr"] == pytest.approx(average_precision_score(labels, score))
    order = np.arange(10.0)
    marks = np.array([0, 0, 0, 0, 0, 0, 1, 0, 1, 1])
    assert anomaly.metrics(order, marks)["precision_at_n"].value == pytest.approx(2 / 3)
    assert anomaly.metrics(np.zeros(10), marks)["precision_at_n"].value == pytest.approx(0.3)


@pytest.mark.parametrize(("count", "share"), [(1000, 0.01), (99, 0.01), (50, 0.05), (7, 0.5)])
def test_a_new_ordinary_score_is_above_the_threshold_as_rarely_as_asked(count, share):
    """Of count + 1 scores each is the new one equally often, whatever they are."""
    every = np.random.default_rng(0).standard_t(1.0, count + 1)
    found = [anomaly.threshold(np.delete(every, n), share) for n in range(count + 1)]
    above = np.mean([every[n] > limit for n, (limit, _) in enumerate(found)])
    assert above == pytest.approx(found[0][1], rel=1e-12) and above <= share
    assert above + 1 / (count + 1) > share  # the largest such share


def test_the_largest_score_is_the_threshold_where_examples_are_few():
    scores = np.random.default_rng(0).normal(size=50)
    assert anomaly.threshold(scores, 0.01) == (scores.max(), pytest.approx(1 / 51))
    assert anomaly.threshold(scores, 1.0 - 1e-12)[0] == scores.min()
    for share in (0.0, 1.0, 2.0):
        with pytest.raises(UserError, match="between 0 and 1"):
            anomaly.threshold(scores, share)


def test_scores_that_older_runs_keep_have_today_s_names(tmp_path):
    arrays = {"elbo": np.ones(3), "validation_iwae": np.zeros(2), "rate": np.ones(3)}
    np.savez(tmp_path / "anomaly.npz", **arrays)
    names = {"negative_elbo", "validation_negative_iwae", "rate"}
    assert set(anomaly_scores.kept(tmp_path)) == names


def test_an_ensemble_is_the_mean_of_standardised_scores():
    usual = [{"elbo": np.array([0.0, 2.0])}, {"elbo": np.array([10.0, 30.0])}]
    found = anomaly.ensemble([{"elbo": np.array([3.0])}, {"elbo": np.array([50.0])}], usual)
    np.testing.assert_allclose(found["elbo"], [(2.0 + 3.0) / 2])


@pytest.mark.slow
def test_the_group_of_metrics_is_of_labels_and_keeps_its_scores(folder, test_set, tmp_path):
    x, labels = test_set
    np.savez(tmp_path / "t.npz", x_train=ordinary(500, 0), x_test=x, y_test=labels)
    config = small_config(
        data__name="files", data__path=str(tmp_path / "t.npz"), data__kind="real",
        data__binarization="none", data__standardize=True, model__latent_size=2,
        model__likelihood="gaussian_learned", train__epochs=20, train__eval_epochs=10.0,
        optimizer__learning_rate=1e-2, eval__metrics=("anomaly",),
    )  # fmt: skip
    workdir = vae.train(config, str(tmp_path / "run"))
    metrics = vae.evaluate(workdir)["metrics"]
    with np.load(tmp_path / "run" / "anomaly.npz") as kept:
        for name in anomaly_scores.NAMES:
            found = metrics[f"auroc_{name}"]
            assert found["value"] == pytest.approx(roc_auc_score(labels, kept[name]))
            assert 0 < found["stderr"] < 0.1 and len(kept[f"validation_{name}"]) == 50
    with pytest.raises(UserError, match="needs labels 0 and 1 in the validation split"):
        vae.evaluate(workdir, "validation")


def run_detect(folder, source, output, *flags):
    return main(["detect", f"--workdir={folder / 'run0'}", f"--input={source}",
                 f"--output={output}", *flags])  # fmt: skip


@pytest.mark.parametrize("members", [1, 2])
def test_detect_writes_scores_and_marks_few_of_the_ordinary(folder, test_set, tmp_path, members):
    x, labels = test_set
    shuffled = [3, 1, 0, 2]
    source = write(tmp_path / "new.csv", x[:, shuffled], np.array(NAMES)[shuffled],
                   note=[f"0{label}" for label in labels])  # fmt: skip
    flags = ["--share=0.05"] + [f"--workdir={folder / 'run1'}"] * (members - 1)
    assert run_detect(folder, source, tmp_path / "scores.csv", *flags) == 0
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 400
    assert list(rows[0]) == ["example", "note", *anomaly_scores.NAMES, "anomaly"]
    assert [row.pop("note") for row in rows] == [f"0{label}" for label in labels]
    marked = np.array([int(row["anomaly"]) for row in rows])
    below(marked[labels == 0].mean(), 0.15)
    above(marked[labels == 1].mean(), 0.5)
    np.savez(tmp_path / "new.npz", x=x)
    assert run_detect(folder, tmp_path / "new.npz", tmp_path / "again.csv", *flags) == 0
    with open(tmp_path / "again.csv", newline="") as file:
        assert list(csv.DictReader(file)) == rows


def test_a_row_far_out_has_an_infinite_score_and_is_named(folder, test_set, tmp_path, capsys):
    """The others have their scores; and 90 rows tell no share of 0.001."""
    x, output = test_set[0][:20].copy(), tmp_path / "scores.csv"
    x[[3, 7], [1, 2]] = 1e200, -1e30  # beyond float32, and beyond float32 once squared
    assert run_detect(folder, write(tmp_path / "new.csv", x), output, "--share=0.001") == 0
    said = capsys.readouterr()
    assert "2 examples are so far out that a score is infinite: 3, 7" in said.err
    assert "90 validation examples tell a share of false alarms down to 0.011" in said.err
    assert "at most 0.011 of ordinary ones" in said.out
    found = np.genfromtxt(output, delimiter=",", skip_header=1)
    others = np.delete(np.arange(20), [3, 7])
    assert np.isfinite(found[others]).all() and not np.isnan(found).any()
    assert np.isinf(found[[3, 7], 1]).all() and (found[[3, 7], -1] == 1).all()


def test_a_table_is_scored_as_detect_scores_it_and_keeps_its_index(folder, test_set, tmp_path):
    x = test_set[0][:30]
    assert run_detect(folder, write(tmp_path / "new.csv", x), tmp_path / "scores.npz") == 0
    run = vae.load(folder / "run0")
    table = pandas.DataFrame(x, columns=list(NAMES), index=[f"row {n}" for n in range(30)])
    found = run.score_outliers(table[list(NAMES[::-1])])
    assert list(found.columns) == list(anomaly_scores.NAMES)
    assert list(found.index) == list(table.index)
    with np.load(tmp_path / "scores.npz") as written:
        for name in anomaly_scores.NAMES:
            np.testing.assert_allclose(found[name], written[name], rtol=1e-6, err_msg=name)
    again = run.score_outliers(run.prepare(x))
    np.testing.assert_array_equal(again["residual"], found["residual"])


def test_a_score_of_an_array_is_infinite_where_a_number_is_too_large(folder):
    run = vae.load(folder / "run0")
    x = np.float64(run.prepare(ordinary(4, 3)))
    usual, x[1, 2] = run.score_outliers(x), 1e200
    with pytest.warns(UserWarning, match="a score is infinite: 1"):
        found = run.score_outliers(x)
    for name, values in found.items():
        assert values[1] == np.inf
        np.testing.assert_allclose(values[[0, 2, 3]], usual[name][[0, 2, 3]], rtol=1e-5)
    x[1, 2] = np.nan
    with pytest.raises(UserError, match="not finite"):
        run.score_outliers(x)
    with pytest.raises(UserError, match=r"this model takes \[N, 4\]"):
        run.score_outliers(x[:, :3])


def test_with_the_exact_posterior_a_score_is_the_density_in_closed_form(tmp_path):
    """Probabilistic PCA: minus log p(x), whatever is drawn; and the highest is the least likely."""
    model, params, x, log_p = linear_gaussian.linear()
    run = vae.fit(
        x, workdir=tmp_path / "run", latent_size=linear_gaussian.L, hidden=(), epochs=1,
        likelihood="gaussian_fixed", sigma=linear_gaussian.SIGMA, standardize=False,
    )  # fmt: skip
    run.params = linear_gaussian.with_exact_posterior(params)
    found = run.score_outliers(x)
    np.testing.assert_allclose(found["negative_iwae"], -log_p, rtol=1e-4, atol=1e-3)
    assert np.argmax(found["negative_iwae"]) == np.argmin(log_p)
    np.testing.assert_allclose(
        found["negative_elbo"], found["reconstruction"] + found["rate"], rtol=1e-4
    )


def test_fifty_rows_are_enough_for_every_default(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(50, 5))
    names = ("a", "b", "c", "d", "e")
    source, output = write(tmp_path / "t.csv", x, names), tmp_path / "s.csv"
    workdir = f"--workdir={tmp_path / 'run'}"
    assert main(["train", f"--data={source}", "--epochs=5", workdir]) == 0
    assert main(["detect", workdir, f"--input={source}", f"--output={output}"]) == 0
    said = capsys.readouterr()
    assert "of 50 examples marked" in said.out and "at most 0.17" in said.out  # of 1 in 6
    assert "5 validation examples tell a share of false alarms down to 0.17" in said.err
    found = np.genfromtxt(output, delimiter=",", names=True)
    scores = np.stack([found[name] for name in anomaly_scores.NAMES])
    assert scores.shape == (6, 50) and np.isfinite(scores).all()
    usual = anomaly_scores.scores(run := vae.load(tmp_path / "run"), run.examples("validation"))
    limit = usual["negative_elbo"].max()
    np.testing.assert_array_equal(found["anomaly"], found["negative_elbo"] > limit + 1e-4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("length,width,age\n1,2,3\n", "lacks 1 of the 4 columns that the run was"),
        ("length,width,weight,age\n1,2,,3\n", "example 0, weight: 'nothing' is no number"),
        ("length,width,weight,age\n1,2,nan,3\n", "'nan' is no number"),
        ("length,width,weight,age\n1,2,3\n", "has 3 cells and there are 4 columns"),
        ("length,width,weight,age\n", "names and no rows"),
        ("", "is empty"),
        ("length,length,weight,age\n1,2,3,4\n", "two columns 'length'"),
    ],
)
def test_wrong_tables_are_refused_and_nothing_is_written(folder, tmp_path, capsys, text, words):
    (tmp_path / "new.csv").write_text(text)
    assert run_detect(folder, tmp_path / "new.csv", tmp_path / "scores.csv") == 2
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) <= 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new.csv"]


def test_other_wrong_input_is_refused(folder, tmp_path, capsys):
    source = write(tmp_path / "new.csv", ordinary(5, 3))
    wide = tmp_path / "wide.npz"
    np.savez(wide, x=np.zeros((3, 9)))
    for arguments, words in (
        ((source, tmp_path / "scores.txt"), "ends in .csv"),
        ((tmp_path / "none.csv", tmp_path / "s.csv"), "no such file"),
        ((tmp_path / "none.npz", tmp_path / "s.csv"), "no such file"),
        ((wide, tmp_path / "s.csv"), "4"),
        ((source, tmp_path / "s.csv", "--score=elbow"), "elbow"),
        ((source, tmp_path / "s.csv", "--share=2.0"), "between 0 and 1"),
        ((source, tmp_path / "s.csv", f"--workdir={tmp_path}"), "not a run directory"),
    ):
        assert run_detect(folder, *arguments) == 2
        assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("s*.csv"))

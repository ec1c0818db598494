import json
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

import vae
from tests.reports.fake import evaluation, read
from vae.configs import base
from vae.data import loading
from vae.errors import UserError, typed
from vae.reports.page import report
from vae.reports.sampling import sample
from vae.reports.view import View, class_names

ALL = ["training", "reconstructions", "samples", "interpolations", "traversals", "kl_per_latent"]


@pytest.mark.parametrize(("shape", "latent_size"), [((8, 8, 1), 500), ((9, 7, 3), 1)])
def test_a_report_holds_all_figures_and_loads_nothing(make_run, shape, latent_size):
    workdir = make_run(shape=shape, latent_size=latent_size)
    path = report(workdir)
    page, text = read(path)
    assert path == workdir / "report.html"
    drawn = ALL + ["latents"] * (latent_size > 1)
    assert sorted(p.stem for p in (workdir / "figures").iterdir()) == sorted(drawn)
    icon, *pictures = page.links
    assert icon == "data:,"
    ranked, sheets = 12, 3  # best and worst; samples, ends and paths of interpolations
    assert len(pictures) == 3 + (latent_size > 1) + ranked + sheets + min(latent_size, 64)
    assert all(link.startswith("data:image/png;base64,") for link in pictures)
    assert not re.search(r"https?://|@import|url\(", path.read_text())
    assert "−91.23 ± 0.31 nats" in text
    assert "IWAE bound, K = 5,000" in text
    assert "a run & more" in text and "vae train <x>" in text  # escaped, and whole
    assert "model.latent_size" in text and "versions.jax" in text
    assert f"Differs from configs/base.py here there model.latent_size {latent_size} 10" in text


def test_a_trial_leads_back_to_its_sweep(make_run, tmp_path):
    (tmp_path / "a sweep" / "trials").mkdir(parents=True)
    workdir = make_run(name="a sweep/trials/one")
    assert "../../report.html" not in read(report(workdir))[0].links
    (tmp_path / "a sweep" / "sweep.json").write_text("{}")
    page, text = read(report(workdir))
    assert "../../report.html" in page.links and "← a sweep" in text


def test_a_run_that_is_not_evaluated_says_how(make_run):
    page, text = read(report(make_run(evaluated=False)))
    assert "has not been evaluated" in text
    assert re.search(rf"{re.escape(typed())} evaluate --workdir '.*a run & more'", text)
    assert "KL per latent" not in page.headings
    assert "Latent traversals" in page.headings


@pytest.mark.parametrize("binarized", ["once", "at every step", ""])
def test_the_head_of_the_page_says_when_grey_levels_are_binarised(make_run, binarized):
    _, text = read(report(make_run(evaluated=False, binarized=binarized)))
    said = f"digits, 8×8×1, grey levels binarised {binarized} · mlp encoder"
    assert (said if binarized else "digits, 8×8×1 · mlp encoder") in text


def test_tables_have_errors_marginals_and_correlations(make_run):
    workdir = make_run(shape=(12,), observed="real")
    page, text = read(report(workdir))
    assert {"Reconstruction error by column", "Marginals", "Correlations"} <= set(page.headings)
    assert "the first 40 test examples" in text
    assert sorted(p.stem for p in (workdir / "figures").iterdir()) == [
        "correlations", "kl_per_latent", "latents", "marginals", "training",
    ]  # fmt: skip
    assert [path.name for path in sample(workdir, num=3)] == ["samples.npz"]


@pytest.mark.parametrize(
    ("num", "seed", "words"),
    [(10**11, 0, "num="), (10**20, 0, "num="), (2**32 - 1, 0, "GiB"), (3, 10**23, "seed=")],
)
def test_samples_that_fit_nowhere_are_refused(make_run, num, seed, words):
    workdir = make_run(shape=(500, 500, 1))
    with pytest.raises(UserError, match=words):
        sample(workdir, num, seed)
    assert not list(workdir.glob("*samples*"))


def test_classes_are_exchanged_by_the_means_of_their_latents(make_run):
    labels = np.arange(40) % 3 + 5
    workdir = make_run(latent_size=4, labels=labels)
    view = View(vae.load(workdir), "test", None)
    classes, z = view.arithmetic(6)
    assert classes.tolist() == [5, 6, 7] and z.shape == (6, 3, 4)
    for row in range(6):  # to its own class: as it was; between classes: by the same everywhere
        np.testing.assert_allclose(z[row, row % 3], view.mean[row])
    step = view.mean[labels == 7].mean(0) - view.mean[labels == 5].mean(0)
    np.testing.assert_allclose(z[:, 2] - z[:, 0], np.tile(step, (6, 1)))
    page, _ = read(report(workdir))
    assert "Attribute arithmetic" in page.headings
    assert (workdir / "figures" / "arithmetic.png").exists()
    for number, other in enumerate((np.zeros(40, int), np.arange(40), None)):
        view = View(vae.load(make_run(str(number), labels=other)), "test", None)
        assert view.arithmetic(6) is None


def test_classes_go_by_their_names(make_run):
    described = {"classes": ["cat", "dog"]}
    workdir = make_run(latent_size=2, labels=np.arange(40) % 2, described=described)
    assert class_names(vae.load(workdir), (1, 0, 2)) == ["dog", "cat", "2"]
    legend = report(workdir).read_text().split('<ul class="legend">')[1].split("</ul>")[0]
    assert re.findall("</i>(.*?)</li>", legend) == ["cat", "dog"]


def test_inputs_are_shown_in_grey_where_the_model_sees_zeros_and_ones(make_run):
    """Example by example, whatever was made of them before."""
    config = base.get_config()
    config.data.binarization = "dynamic"
    seen = loading.load(config.data).splits["test"]
    config.data.binarization = "none"
    raw = loading.load(config.data).splits["test"]
    workdir = make_run(binarized="at every step")
    run = vae.load(workdir)
    run.x = seen.x.astype(np.float32)
    assert set(np.unique(run.x)) == {0.0, 1.0}
    view = View(run, "test", None)
    rows = np.array([7, 0, 299])
    np.testing.assert_array_equal(view.inputs(rows), np.float32(raw.x[rows]) / np.float32(16))
    np.testing.assert_array_equal(view.pairs_of(rows)[:, 0], view.inputs(rows))
    note = "Inputs are in grey, as before zeros and ones were made of them."
    assert read(report(workdir))[1].count(note) == 3
    run.x = run.x[:40]  # not the data that are there
    np.testing.assert_array_equal(View(run, "test", None).inputs(rows[:2]), run.x[rows[:2]])
    assert note not in read(report(workdir))[1]


def test_a_collapsed_run_says_so_and_has_nothing_to_move(make_run):
    workdir = make_run()
    found = evaluation(5)
    found["metrics"]["active_units"] = {"value": 0, "stderr": None, "unit": "latents"}
    found["arrays"] = {"kl_per_latent": [0.0] * 5, "posterior_mean_variance": [0.0] * 5}
    (workdir / "evaluation.json").write_text(json.dumps(found))
    page, text = read(report(workdir))
    assert "Posterior collapse: no latent is active: the decoder ignores z. Try " in text
    assert "there is nothing to move" in text
    assert "Means of p(x|z)" in page.headings and "Interpolation" in page.headings


def test_an_older_evaluation_is_shown_by_the_names_of_its_metrics(make_run):
    workdir = make_run()
    found = evaluation(5)
    for name, metric in found["metrics"].items():
        found["metrics"][name] = {key: metric[key] for key in ("value", "stderr", "unit")}
    (workdir / "evaluation.json").write_text(json.dumps(found))
    page, text = read(report(workdir))
    assert "nll_iwae_5000 88.50 ± 0.30 nats" in text and "All metrics" in page.headings


def test_the_rate_distortion_curve_of_annealing_is_drawn(make_run):
    workdir = make_run()
    found = evaluation(5)
    for name, value in (("rate", 5.0), ("distortion", 80.0), ("nll_ais", 88.0)):
        found["metrics"][name] = {"value": value, "stderr": 0.1, "unit": "nats, of 9 examples"}
    rate = np.linspace(0.0, 4.0, 101)
    found["arrays"] |= {"ais_rate": rate.tolist(), "ais_distortion": (90 - 3 * rate).tolist()}
    (workdir / "evaluation.json").write_text(json.dumps(found))
    page, text = read(report(workdir, ("png", "pdf")))
    assert "Rate and distortion" in page.headings and "of 9 examples" in text
    names = {path.name for path in (workdir / "figures").iterdir()}
    assert {"annealed.png", "annealed.pdf", "training.pdf", "traversals.pdf"} <= names
    letters = (workdir / "figures" / "training.pdf").read_bytes()
    assert letters.startswith(b"%PDF") and b"/Type3" not in letters  # fonts that editors can read


def test_a_plane_of_two_latents_is_drawn(make_run):
    page, text = read(report(workdir := make_run(latent_size=2, labels=np.arange(40) % 3)))
    assert "Latent space" in page.headings and "coloured by label" in text
    names = {path.stem for path in (workdir / "figures").iterdir()}
    assert {"latent_space", "manifold"} <= names


def test_an_unknown_format_is_refused_before_anything_is_written(make_run):
    workdir = make_run()
    with pytest.raises(UserError, match="gif"):
        report(workdir, ("gif",))
    assert not (workdir / "figures").exists()


def test_numbers_of_another_step_are_flagged(make_run):
    workdir = make_run()
    text = (workdir / "evaluation.json").read_text().replace('"step": 300', '"step": 200')
    (workdir / "evaluation.json").write_text(text)
    assert "evaluate again" in read(report(workdir))[1]


@pytest.mark.parametrize("options", [{}, {"shape": (12,), "observed": "real"}])
def test_one_example_and_an_empty_log_are_enough(make_run, options):
    workdir = make_run(num=1, **options)
    (workdir / "metrics.jsonl").unlink()
    assert "nothing to draw" in read(report(workdir))[1]


@pytest.mark.parametrize("name", ["evaluation.json", "per_example.npz", "environment.json"])
def test_a_damaged_file_is_named_and_no_page_is_written(make_run, name):
    workdir = make_run()
    (workdir / name).write_text("{")
    with pytest.raises(UserError, match=re.escape(name)):
        report(workdir)
    assert not (workdir / "report.html").exists()


def test_samples_are_those_of_the_seed_and_shown_in_a_square(make_run):
    workdir = make_run()
    array, picture = sample(workdir, num=9, seed=4)
    with np.load(array) as saved:
        np.testing.assert_allclose(saved["mean"], vae.load(workdir).sample(9, seed=4), atol=1e-6)
        assert (saved["seed"], saved["step"]) == (4, 300)
    height, width = imread(picture).shape[:2]
    assert height == width == 3 * 96 + 2 * 4
    assert sorted(p.name for p in workdir.glob(".*")) == []  # no temporary file is left


def test_no_samples_are_refused(make_run):
    with pytest.raises(UserError, match="num=0"):
        sample(make_run(), num=0)


def test_pictures_of_a_conditional_model_keep_the_contexts_of_their_examples(make_run, monkeypatch):
    workdir = make_run(classes=np.arange(40) % 3)
    run = vae.load(workdir)
    run.config.data.context = "labels"
    text = report(workdir).read_text()
    assert "A column is a class." in text
    assert "<span>0</span><span>1</span><span>2</span>" in text
    samples = [asked for asked in run.asked if asked is not None and asked.ndim == 1]
    assert all(np.array_equal(asked, np.arange(len(asked)) % 3) for asked in samples)
    assert {len(asked) for asked in samples} == {18, 30}  # rows of three, to move and still
    given = [asked.argmax(1) for asked in run.asked if asked is not None and asked.ndim == 2]
    assert any(np.array_equal(rows, np.arange(28) % 3) for rows in given)  # reconstructions
    assert any(len(rows) % 11 == 0 and not rows.any() for rows in given)  # traversals, of the first
    pairs = np.repeat(np.arange(6) % 3, 11)
    assert any(np.array_equal(rows, pairs) for rows in given)  # interpolations, of the first of two
    assert any(asked is not None and asked.ndim == 1 for asked in run.asked)  # samples


def test_layers_of_latents_have_their_kl_drawn(make_run):
    workdir = make_run()
    found = evaluation(5)
    del found["arrays"]["kl_per_latent"]
    found["arrays"] |= {"kl_per_layer": [3.0, 0.5], "latents_per_layer": [3, 2]}
    (workdir / "evaluation.json").write_text(json.dumps(found))
    text = report(workdir).read_text()
    assert "KL per layer" in text and "KL per latent" not in text
    assert (workdir / "figures" / "kl_per_layer.png").exists()


def test_pages_need_no_jax_to_be_imported():
    """What a page shows may be kept: importing JAX would take longer than drawing it."""
    code = "import sys, vae.reports.page, vae.reports.compare; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

import html.parser
import json
import re

import numpy as np
import pytest
from matplotlib.image import imread

import vae
from configs import base
from vae.errors import UserError
from vae.reports.page import report, sample


class Run:
    """Has what a report asks of a trained model: a linear decoder, and its transpose as encoder."""

    step = 300

    def __init__(self, shape, latent_size, observed="binary", num=40):
        self.config = base.get_config()
        with self.config.unlocked():
            self.config.model.latent_size = latent_size
        self.described = {"observed": observed}
        rng = np.random.default_rng(0)
        self.shape = shape
        self.prior_moments = np.zeros(latent_size), np.ones(latent_size)
        self.weights = rng.normal(size=(latent_size, int(np.prod(shape)))) / 10
        self.x = rng.integers(0, 2, (num, *shape)).astype(np.float32)
        self.classes, self.asked = None, []

    def examples(self, split, num):
        assert split == "test"
        return self.x[:num]

    def context(self, split, num=None):
        return None if self.classes is None else np.eye(3)[self.classes[:num]]

    def contexts(self, num):
        return None if self.classes is None else np.arange(num) % 3

    def encode(self, x, context=None):
        mean = x.reshape(len(x), -1) @ self.weights.T
        return mean, np.ones_like(mean)

    def decode(self, z, context=None):
        self.asked.append(context)
        return (0.5 + z @ self.weights).reshape(len(z), *self.shape)

    def sample(self, num, seed=0, context=None):
        self.asked.append(context)
        size = self.config.model.latent_size
        return self.decode(np.random.default_rng(seed).normal(size=(num, size)))


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    def make(shape=(8, 8, 1), latent_size=5, evaluated=True, classes=None, **options):
        workdir = tmp_path / "a run & more"
        workdir.mkdir()
        run = Run(shape, latent_size, **options)
        run.classes = classes
        monkeypatch.setattr(vae, "load", lambda _: run)
        record = {"step": 100, "epoch": 1.0, "split": "train", "elbo": -9.0, "loss": 9.0}
        (workdir / "metrics.jsonl").write_text(json.dumps(record) + "\n")
        environment = {"command": "vae train <x>", "versions": {"jax": "0.10"}}
        (workdir / "environment.json").write_text(json.dumps(environment))
        if evaluated:
            (workdir / "evaluation.json").write_text(json.dumps(evaluation(latent_size)))
        return workdir

    return make


def evaluation(latent_size):
    return {
        "split": "test", "num_examples": 40, "step": 300, "seed": 0,
        "metrics": {
            "elbo": {"value": -91.234, "stderr": 0.31, "unit": "nats"},
            "nll_iwae_5000": {"value": 88.5, "stderr": 0.3, "unit": "nats"},
        },
        "arrays": {
            "kl_per_latent": list(range(latent_size)),
            "posterior_mean_variance": [0.5] * latent_size,
        },
    }  # fmt: skip


class Page(html.parser.HTMLParser):
    """The page's headings, text, and the addresses of everything it would load."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.links, self.words, self.tag = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tag = tag
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset")]

    def handle_data(self, data):
        self.words.append(data)
        if self.tag == "h2" and data.strip():
            self.headings.append(data)


def read(path):
    text = path.read_text(encoding="utf-8")
    return Page(text), re.sub(r"\s+", " ", " ".join(Page(text).words))


ALL = ["training", "reconstructions", "samples", "interpolations", "traversals", "kl_per_latent"]


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 7, 3)])
@pytest.mark.parametrize("latent_size", [1, 500])
def test_a_report_holds_all_figures_and_loads_nothing(make_run, shape, latent_size):
    workdir = make_run(shape, latent_size)
    path = report(workdir)
    page, text = read(path)
    assert path == workdir / "report.html"
    assert sorted(p.stem for p in (workdir / "figures").iterdir()) == sorted(ALL)
    assert len(page.links) == 6
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"https?://|@import|url\(", path.read_text())
    assert "−91.23 ± 0.31 nats" in text
    assert "IWAE bound, K = 5,000" in text
    assert "a run & more" in text and "vae train <x>" in text  # escaped, and whole
    assert "model.latent_size" in text and "versions.jax" in text


def test_a_run_that_is_not_evaluated_says_how(make_run):
    page, text = read(report(make_run(evaluated=False)))
    assert "has not been evaluated" in text
    assert re.search(r"\./launch\.sh evaluate --workdir '.*a run & more'", text)
    assert "KL per latent" not in page.headings
    assert "Latent traversals" in page.headings


def test_vectors_have_no_pictures_and_the_page_says_so(make_run):
    workdir = make_run(shape=(12,), observed="real")
    _, text = read(report(workdir))
    assert "vectors of 12 values" in text
    assert sorted(p.stem for p in (workdir / "figures").iterdir()) == ["kl_per_latent", "training"]
    assert [path.name for path in sample(workdir, num=3)] == ["samples.npz"]


def test_numbers_of_another_step_are_flagged(make_run):
    workdir = make_run()
    text = (workdir / "evaluation.json").read_text().replace('"step": 300', '"step": 200')
    (workdir / "evaluation.json").write_text(text)
    assert "evaluate again" in read(report(workdir))[1]


def test_one_example_and_an_empty_log_are_enough(make_run):
    workdir = make_run(num=1)
    (workdir / "metrics.jsonl").unlink()
    assert "nothing to draw" in read(report(workdir))[1]


def test_a_damaged_evaluation_is_named(make_run):
    workdir = make_run()
    (workdir / "evaluation.json").write_text("{")
    with pytest.raises(UserError, match=r"evaluation\.json"):
        report(workdir)


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
    assert "Classes by turns." in text
    given = [asked.argmax(1) for asked in run.asked if asked is not None and asked.ndim == 2]
    assert any(np.array_equal(rows, np.arange(30) % 3) for rows in given)  # reconstructions
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

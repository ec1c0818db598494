"""A run that needs no training, and a page as a test reads it."""

import html.parser
import json
import re
from types import SimpleNamespace

import numpy as np

from vae import npz
from vae.configs import base
from vae.metrics import declared


class Run:
    """Has what a report asks of a trained model: a linear decoder, and its transpose as encoder."""

    step = 300

    def __init__(
        self, shape, latent_size, observed="binary", num=40, classes=None, labels=None,
        binarized="", described=None,
    ):  # fmt: skip
        self.config = base.get_config()
        with self.config.unlocked():
            self.config.model.latent_size = latent_size
            self.config.model.likelihood = "bernoulli"
        size = 0 if classes is None else 3
        self.described = {"observed": observed, "binarized": binarized, "context_size": size}
        self.described |= described or {}
        self.facts = SimpleNamespace(conditional=bool(size), context_size=size)
        rng = np.random.default_rng(0)
        self.shape = shape
        self.prior_moments = np.zeros(latent_size), np.ones(latent_size)
        self.weights = rng.normal(size=(latent_size, int(np.prod(shape)))) / 10
        self.x = rng.integers(0, 2, (num, *shape)).astype(np.float32)
        self.classes, self.labels, self.asked = classes, labels, []
        self.class_names = ()
        self.variables, self.workdir = None, None
        self.compiled = lambda build, samples: self.elbo

    @property
    def dataset(self):
        splits = {"test": SimpleNamespace(labels=self.labels)}
        return SimpleNamespace(splits=splits, classes=self.class_names)

    def examples(self, split, num):
        return self.seen(split)[:num]

    def seen(self, split):
        assert split == "test"
        return self.x

    def elbo(self, variables, x, key, batch_size, context):
        return {"elbo": -x.reshape(len(x), -1).sum(1)}

    def context(self, split, num=None):
        return None if self.classes is None else np.eye(3)[self.classes[:num]]

    def contexts(self, num, first=0):
        return None if self.classes is None else np.arange(num) % 3

    def encode(self, x, context=None):
        mean = x.reshape(len(x), -1) @ self.weights.T
        return mean, np.ones_like(mean)

    def reconstruct(self, x, context=None):
        return self.decode(self.encode(x)[0], context)

    def decode(self, z, context=None):
        self.asked.append(context)
        return (0.5 + z @ self.weights).reshape(len(z), *self.shape)

    def sample(
        self, num, seed=0, temperature=1.0, draw=False, context=None, first=0, **density
    ):
        self.asked.append(context)
        size = self.config.model.latent_size
        return self.decode(temperature * np.random.default_rng(seed).normal(size=(num, size)))


def measured(name, value, stderr=None):
    """A metric of `evaluation.json`; of a name that nobody declares, as older files have it."""
    kind = declared(name)
    return kind.of(value, stderr).entry() if kind else {"value": value, "stderr": stderr}


def evaluation(latent_size):
    return {
        "split": "test", "num_examples": 40, "step": 300, "seed": 0,
        "metrics": {
            "elbo": measured("elbo", -91.234, 0.31),
            "nll_iwae_5000": measured("nll_iwae_5000", 88.5, 0.3),
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
        found = [value for name, value in attributes if name in ("src", "href", "srcset")]
        self.links += [link for link in found if not link.startswith("#")]

    def handle_data(self, data):
        self.words.append(data)
        if self.tag == "h2" and data.strip():
            self.headings.append(data)


def read(path):
    text = path.read_text(encoding="utf-8")
    return Page(text), re.sub(r"\s+", " ", " ".join(Page(text).words))


def write_run(workdir, shape=(8, 8, 1), latent_size=5, evaluated=True, **options):
    """A directory with a fake run's files, and the run."""
    workdir.mkdir()
    run = Run(shape, latent_size, **options)
    run.workdir = workdir
    (workdir / "config.json").write_text(run.config.to_json_best_effort())
    record = {"step": 100, "epoch": 1.0, "split": "train", "elbo": -9.0, "loss": 9.0}
    lines = [record, {**record, "split": "validation"}]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    environment = {"command": "vae train <x>", "versions": {"jax": "0.10"}}
    (workdir / "environment.json").write_text(json.dumps(environment))
    if evaluated:
        (workdir / "evaluation.json").write_text(json.dumps(evaluation(latent_size)))
        nll = np.arange(float(len(run.x)))
        npz.write(workdir / "per_example.npz", {"elbo": -nll - 1, "nll_iwae_5000": nll})
    return run

"""No name and no value of a run, a sweep or a comparison is taken for a part of its page."""

import html.parser
import json

import numpy as np
import pytest

import vae
from tests.reports.fake import measured
from vae.errors import UserError
from vae.reports import figures
from vae.reports.compare import compare
from vae.reports.page import report
from vae.reports.sweep_page import sweep_report

EVIL = """<script>alert("1")</script>'"><img src=x onerror=alert(1)>&amp;{{ 7 * 7 }}{% raw %}"""
NAME = EVIL.replace("/", "")  # of a file

pytestmark = pytest.mark.filterwarnings("ignore:constrained_layout")  # names leave no room for axes


class Page(html.parser.HTMLParser):
    """What a page says, in text and in attributes; its tags, scripts, and attributes that act."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.said, self.scripts, self.acting = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            self.said.append(value)
            inside = value.startswith("data:image/png;base64,")
            if name.startswith("on") or (name == "src" and not inside):
                self.acting.append((tag, name, value))

    def handle_data(self, data):
        (self.scripts if self.tags[-1:] == ["script"] else self.said).append(data)


def check(path, *tellings):
    """Nothing but `page.js` acts, and each of the texts is said, whole."""
    page = Page(path)
    assert page.acting == []
    assert page.tags.count("script") <= 1
    assert all(text.startswith("// Makes pictures") for text in page.scripts if text.strip())
    for told in tellings:
        assert any(told in said for said in page.said), told


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Fewer pixels, for speed."""
    monkeypatch.setattr(figures, "DPI", 40)


@pytest.fixture
def evil_run(make_run):
    """Makes a run of which every name and value would be a script if a page let it."""

    def make(name, **options):
        workdir = make_run(name=name, **options)
        config = vae.load(workdir).config
        config.data.name = config.model.encoder = EVIL
        (workdir / "config.json").write_text(config.to_json_best_effort())
        found = json.loads((workdir / "evaluation.json").read_text())
        for metric in found["metrics"].values():
            metric |= {"label": f"label {EVIL}", "unit": f"unit {EVIL}"}
        (workdir / "evaluation.json").write_text(json.dumps(found))
        environment = {"command": f"command {EVIL}", "versions": {EVIL: f"version {EVIL}"}}
        (workdir / "environment.json").write_text(json.dumps(environment))
        (workdir / "failure.json").write_text(json.dumps({"reason": f"reason {EVIL}"}))
        return workdir

    return make


WRITTEN = tuple(f"{what} {EVIL}" for what in ("label", "unit", "command", "version", "reason"))


def test_a_run(evil_run):
    classes = np.array([f"class {EVIL}", "other"])[np.arange(40) % 2]
    path = report(evil_run(NAME, latent_size=2, labels=classes))
    check(path, *WRITTEN, NAME, EVIL, f"versions.{EVIL}", f"class {EVIL}", f"{EVIL}, 8×8×1")


def test_a_run_that_is_not_evaluated(evil_run):
    workdir = evil_run(NAME, shape=(12,))
    (workdir / "evaluation.json").unlink()
    check(report(workdir), "evaluate --workdir", f"reason {EVIL}", f"command {EVIL}")


def test_runs_beside_each_other(evil_run, tmp_path):
    first, second = evil_run(NAME), evil_run(f"{NAME}2")
    (first / "report.html").touch()
    path = compare([first, second], tmp_path / "page")
    check(path, NAME, f"{NAME}2", EVIL, f"{NAME}: Training failed: reason {EVIL}", f"label {EVIL}")


def test_a_sweep(tmp_path, write_sweep):
    """Keys, values, metrics, reasons, and an error while samples are drawn."""
    key, other = f"key {EVIL}", "objective.beta"
    trials = [({key: f"value {NAME}{n}", other: b}, {"elbo": -b}) for n in "ab" for b in (1.0, 2.0)]
    sweep = write_sweep(tmp_path, [({}, None)], [key, other])
    sweep |= {"name": f"name {EVIL}", "command": f"command {EVIL}", "config": {"a": f"set {EVIL}"}}
    sweep["environment"] = {"devices": [f"device {EVIL}"]}
    sweep["trials"] = []
    for number, (values, metrics) in enumerate(trials):
        name = f"{NAME}{number}"
        state = {"state": "done", "reason": None, "seconds": 1.0}
        sweep["trials"].append({"name": name, "values": values, **state})
        workdir = tmp_path / "trials" / name
        workdir.mkdir()
        (workdir / "report.html").touch()
        entries = {m: measured(m, v) | {"label": f"label {EVIL}"} for m, v in metrics.items()}
        evaluation = {"split": "test", "num_examples": 9, "step": 1, "metrics": entries}
        (workdir / "evaluation.json").write_text(json.dumps(evaluation))
    reason = {"state": "failed", "reason": f"reason {EVIL}", "seconds": None}
    sweep["trials"].append({"name": "failed", "values": trials[0][0], **reason})
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))

    def samples(workdir):
        if workdir.name == f"{NAME}0":
            raise UserError(f"error {EVIL}")
        return np.zeros((1, 3, 3, 1)), [EVIL]

    told = [f"{what} {EVIL}" for what in ("name", "command", "set", "device", "reason", "error")]
    values = f"swept: value {NAME}a, value {NAME}b"
    check(sweep_report(tmp_path, samples), *told, values, f"{NAME}0", f"label {EVIL}")

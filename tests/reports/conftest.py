import json

import pytest

import vae
from tests.reports.fake import measured, write_run


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    """Makes a directory with a fake run's files, which `vae.load` then gives."""
    known = {}
    monkeypatch.setattr(vae, "load", lambda workdir: known[workdir])

    def make(name="a run & more", **options):
        workdir = tmp_path / name
        known[workdir] = write_run(workdir, **options)
        return workdir

    return make


@pytest.fixture(scope="session")
def write_sweep():
    return _write_sweep


def _write_sweep(directory, trials, keys, states=None, metric="", told=None):
    """A sweep directory of (values, metrics) pairs; metrics None: not evaluated.

    Metrics map a name to a value, or to a value and its standard error. Of a search: its `metric`,
    and what it was `told` of trials by number.
    """
    entries = []
    for number, (values, metrics) in enumerate(trials):
        name = ",".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in values.items())
        state = (states or {}).get(number, "done")
        reason = f"reason {number} <&>" if state in ("failed", "pruned") else None
        seconds = None if state == "pending" else 10.0 + number
        entry = {"name": name, "values": values, "state": state, "reason": reason}
        known = {"value": told[number]} if told and number in told else {}
        entries.append({**entry, "seconds": seconds, **known})
        workdir = directory / "trials" / name
        workdir.mkdir(parents=True)
        if metrics is not None:
            pairs = {k: m if isinstance(m, tuple) else (m, None) for k, m in metrics.items()}
            found = {k: measured(k, *pair) for k, pair in pairs.items()}
            evaluation = {"split": "test", "num_examples": 1234, "step": 100, "metrics": found}
            (workdir / "evaluation.json").write_text(json.dumps(evaluation))
    sweep = {
        "name": "a <sweep>", "command": "vae sweep --x <y>", "time": "now",
        "launcher": "population", "environment": {"versions": {"jax": "0.10"}},
        "config": {"seed": 0, "model": {"latent_size": 10}, "train": {"epochs": 5}},
        "keys": keys, "trials": entries, "metric": metric,
    }  # fmt: skip
    (directory / "sweep.json").write_text(json.dumps(sweep))
    return sweep

"""The fuzzer: it knows every key, repeats itself, tells a fault from a message; and 300 cases."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.fuzzing import run as running
from tests.fuzzing.draw import KEYS, SETTLED, draw
from tests.fuzzing.sources import Drawing
from vae import keys, runs


def test_every_key_is_drawn():
    """A new key of the config needs a line in tests/fuzzing/draw.py, which says its values."""
    assert set(keys.KEYS) == set(KEYS) | set(SETTLED)
    assert not set(KEYS) & set(SETTLED)


def test_the_same_number_is_the_same_case():
    one, other = draw(3, 17), draw(3, 17)
    assert one.settings == other.settings and one.sample == other.sample
    assert all(np.array_equal(a, other.source.arrays[k]) for k, a in one.source.arrays.items())
    assert one.settings != draw(3, 18).settings


def test_rules_agree_with_what_is_drawn():
    """But for the hostile ones, drawn values are ones that the config takes by themselves."""
    for key in KEYS:
        for number in range(20):
            drawing = Drawing(np.random.default_rng(number))
            assert keys.KEYS[key].rule(KEYS[key](drawing)) is None, key


@pytest.mark.parametrize(
    "wrong",
    [
        {"model.hidden": "(-1,)"},
        {"train.batch_size": "9223372036854775808"},
        {"seed": "9223372036854775808"},
        {"model.likelihood": "nope"},
    ],
    ids=str,
)
def test_a_case_that_does_not_fit_is_refused_in_a_message(wrong, tmp_path):
    case = draw(0, 1)
    found = running.run(dataclasses.replace(case, settings=case.settings | wrong), tmp_path)
    assert found["outcome"] == "refused" and next(iter(wrong)) in found["message"]


@pytest.mark.parametrize(
    ("says", "code", "outcome"),
    [
        ("error: one line", 2, "refused"),
        ("error: two\nlines", 1, "stopped"),
        ("error: one\ntwo\nthree\nfour", 2, "failed"),
        ("Traceback (most recent call last):", 1, "failed"),
        ("something else", 0, "failed"),
        ("", 1, "failed"),
        ("warning: w", 0, "trained"),
    ],
)
def test_an_ending_is_judged_by_what_was_said(says, code, outcome, tmp_path, monkeypatch):
    def main(arguments):
        print(says, file=sys.stderr)
        return code

    monkeypatch.setattr(running, "main", main)
    monkeypatch.setattr(running, "_check", lambda verb, workdir: None)
    found = running.run(dataclasses.replace(draw(0, 1), resumes=False), tmp_path)
    assert found["outcome"] == outcome
    assert found["warnings"] == (["warning: w"] if "warning" in says else [])


def test_what_is_raised_is_a_fault(tmp_path, monkeypatch):
    def main(arguments):
        raise TypeError("unexpected")

    monkeypatch.setattr(running, "main", main)
    found = running.run(draw(0, 1), tmp_path)
    assert found["outcome"] == "failed" and "TypeError: unexpected" in found["message"]


def test_a_metric_that_is_not_finite_is_a_fault(tmp_path):
    metrics = {"elbo": {"value": float("nan"), "stderr": 0.0, "unit": "nats"}}
    runs.write_json(tmp_path / "evaluation.json", {"metrics": metrics, "arrays": {"kl": [0.0]}})
    with pytest.raises(running.Fault, match="not finite: elbo.value"):
        running._check("evaluate", tmp_path)
    metrics["elbo"]["value"] = -3.0
    runs.write_json(tmp_path / "evaluation.json", {"metrics": metrics, "arrays": {"kl": [0.0]}})
    running._check("evaluate", tmp_path)


@pytest.mark.slow
def test_cases_train_or_are_refused_in_a_message(tmp_path):
    """300 of them, about an hour of one core; VAE_FUZZED_CONFIGS asks for another number."""
    output, count = tmp_path / "fuzzing.json", int(os.environ.get("VAE_FUZZED_CONFIGS", "300"))
    command = [sys.executable, "-m", "tests.fuzzing", f"--configs={count}", f"--output={output}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    counts = json.loads(output.read_text())["counts"]
    assert counts["failed"] == 0
    assert counts["trained"] > count / 2 - 2.5 * count**0.5  # five standard errors below a half

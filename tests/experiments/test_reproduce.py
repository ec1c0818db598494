"""An experiment from its sweep to its file, at a size that takes seconds."""

import json
import types

import pytest

from experiments import documents, reproduce, result_files
from experiments.papers import sigma_vae
from experiments.protocol import OURS, Expected, Mean, Study
from tests.helpers import small_config
from vae.errors import RunError

pytestmark = pytest.mark.slow


@pytest.fixture
def small(tmp_path, monkeypatch):
    """`sigma_vae` with two trials of two epochs, whose results go elsewhere."""

    def study(scale):
        config = small_config(train__epochs=2, data__size=300)
        points = [{"objective.beta": beta} for beta in (0.0, 10.0)]
        number = Mean("rate", points[0], points[1])
        least = 0.0 if scale == "quick" else 1e6
        line = Expected("rate at beta = 0 less that at 10", number, least, 0.0, "above", "x", OURS)
        return Study(config, points, [line], "two epochs", launcher="population")

    module = types.SimpleNamespace(study=study, __doc__="A paper, its table.\n\nMore.")
    monkeypatch.setattr(reproduce, "load", lambda name: module)
    monkeypatch.setattr(result_files, "RESULTS", tmp_path)
    written = []
    monkeypatch.setattr(documents, "write", lambda: written.append(True))
    return tmp_path, written


def test_an_experiment_is_run_compared_written_and_not_run_twice(small, capsys):
    results, written = small
    (line,) = reproduce.reproduce("sigma_vae", "quick", str(results / "sweep"))
    assert line["holds"] and line["ours"] > 0 and line["stderr"] > 0
    found = result_files.read(results / "sigma_vae-quick.json")
    (kept_line,) = found["comparisons"]
    assert kept_line == line | {name: pytest.approx(line[name]) for name in ("ours", "stderr")}
    assert found["about"] == "A paper, its table."
    assert len(found["sweep"]["trials"]) == len(found["curves"]) == 2
    revision = found["sweep"]["training"]["git_revision"]
    assert all(trial["git_revision"] == revision for trial in found["sweep"]["trials"])
    for key in ("command", "git_revision", "time", "versions", "devices"):
        assert found["sweep"]["training"][key]
    assert all(len(points) == 2 for points in found["curves"].values())
    assert written == [True]
    assert "rate at beta = 0 less that at 10" in capsys.readouterr().out
    weights = results / "sweep" / "trials" / "beta=0" / "evaluation.json"
    before = weights.stat().st_mtime_ns
    reproduce.reproduce("sigma_vae", "quick", str(results / "sweep"))
    assert weights.stat().st_mtime_ns == before
    assert sigma_vae.study("quick").expected  # the real one is untouched


def test_a_number_outside_its_tolerance_is_named_and_recorded(small):
    results, _ = small
    with pytest.raises(RunError, match="outside the tolerance: rate at beta = 0 less that at 10"):
        reproduce.reproduce("sigma_vae", "cpu", str(results / "sweep"))
    (line,) = json.loads((results / "sigma_vae-cpu.json").read_text())["comparisons"]
    assert line["holds"] is False and line["expected"] == 1e6

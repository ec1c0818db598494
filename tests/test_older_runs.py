"""Runs that earlier revisions wrote are read, evaluated, reported and gone on with.

`older_runs/NAME-REVISION.tar.gz` is a run directory as that revision left it, of two epochs.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import vae
from tests.helpers import last_state
from vae.__main__ import main

FOLDER = Path(__file__).with_name("older_runs")
KEPT = sorted(FOLDER.glob("*.tar.gz"), key=lambda path: path.stat().st_size)
FAST = 1  # of them, the smallest


@pytest.mark.parametrize(
    "archive",
    [pytest.param(p, marks=() if n < FAST else pytest.mark.slow) for n, p in enumerate(KEPT)],
    ids=lambda path: path.name.removesuffix(".tar.gz"),
)
def test_a_run_of_an_earlier_revision_is_one_of_this(archive, tmp_path):
    workdir = tmp_path / "run"
    shutil.unpack_archive(archive, workdir, filter="data")
    before = json.loads((workdir / "evaluation.json").read_text())["metrics"]
    revision = json.loads((workdir / "environment.json").read_text())["git_revision"]
    assert revision[:7] in archive.name
    assert main(["report", f"--workdir={workdir}"]) == 0  # of the numbers that were there
    assert main(["evaluate", f"--workdir={workdir}"]) == 0
    after = json.loads((workdir / "evaluation.json").read_text())["metrics"]
    for name, metric in before.items():
        np.testing.assert_allclose(after[name]["value"], metric["value"], rtol=1e-4, err_msg=name)
    assert main(["report", f"--workdir={workdir}"]) == 0
    model = vae.load(workdir)
    x = model.examples("test", 4)
    assert model.reconstruct(x).shape == x.shape

    states = [last_state(workdir)]
    config = f"--config={workdir}/config.json"
    longer = ["train", config, "--config.train.epochs=3", "--extend", f"--workdir={workdir}"]
    assert main(longer) == 0
    states.append(last_state(workdir))
    (step,) = {name for name in states[0] if name.split("/")[-1] == "step"}
    assert (int(states[0][step]), int(states[1][step])) == (2, 3)
    assert all(np.isfinite(array).all() for array in states[1].values())

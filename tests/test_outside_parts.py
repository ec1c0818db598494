"""Parts from a package outside the project do all that built-in ones do."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vae
from tests.helpers import last_state
from vae import config as configs
from vae import keys, parts, runs
from vae.__main__ import main
from vae.errors import UserError

LAB = Path(__file__).parent / "outside"
PARTS = {
    "objective.name": "lab.parts:matched",
    "model.encoder": "lab.parts:encoder",
    "model.prior": "lab.parts:scaled",
    "model.likelihood": "lab.parts:logistic",
}
QUICK = (
    "--config=digits", "--config.train.epochs=2", "--config.data.size=200",
    "--config.train.batch_size=40", "--config.data.binarization=none",
    "--config.eval.iwae_samples=(10,)", "--config.train.parallel=jit",
    "--config.optimizer.schedule=constant",
)  # fmt: skip
FLAGS = (*QUICK, *(f"--config.{key}={name}" for key, name in PARTS.items()))
OWN = (
    "--config.objective.judge_hidden=(5,)", "--config.model.sines=7",
    "--config.eval.figures=('lab.parts:picture',)",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def installed():
    """The package can be imported, here and in processes that are started."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(LAB), before)))
    sys.path.append(str(LAB))
    yield
    sys.path.remove(str(LAB))
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="module")
def run(installed, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("outside") / "run"
    assert main(["train", *FLAGS, *OWN, f"--workdir={workdir}"]) == 0
    return workdir


def test_a_run_of_such_parts_is_a_run(run, capsys):
    state = last_state(run)
    assert state["params/encoder/Dense_0/kernel"].shape == (64, 7)
    assert state["params/critic/Dense_0/kernel"].shape == (10, 5)
    assert main(["evaluate", f"--workdir={run}", "--metrics=lab.parts:spread"]) == 0
    found = runs.read_json(run / "evaluation.json")["metrics"]
    model = vae.load(run)
    spread = model.encode(model.examples("test"))[0].std(0)
    assert found["lab_spread"]["value"] == pytest.approx(spread.mean(), rel=1e-5)
    assert found["lab_spread"]["label"] == "Spread of the posterior means"
    assert main(["report", f"--workdir={run}"]) == 0
    page = (run / "report.html").read_text()
    assert "Spread of the posterior means" in page and "How wide the posteriors are<" in page
    assert "Of the first test examples." in page and (run / "figures" / "own_0.png").exists()
    assert model.described["done"][0] in page
    assert main(["sample", f"--workdir={run}", "--num=4"]) == 0


def test_it_is_resumed_as_it_was(run, tmp_path, capsys):
    whole = last_state(run)
    copy = tmp_path / "copy"
    first = [flag.replace("epochs=2", "epochs=1") for flag in FLAGS]
    assert main(["train", *first, *OWN, f"--workdir={copy}"]) == 0
    assert main(["train", *FLAGS, *OWN, f"--workdir={copy}"]) == 0
    assert "resuming" in capsys.readouterr().out
    for name, value in last_state(copy).items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)


@pytest.mark.parametrize(
    "launcher", ["population", pytest.param("processes", marks=pytest.mark.slow)]
)
def test_a_sweep_over_a_key_of_its_own(launcher, tmp_path):
    line = ["sweep", *FLAGS, "--sweep=objective.match=0.5,2", f"--launcher={launcher}"]
    assert main([*line, f"--workdir={tmp_path}/s"]) == 0
    rows = (tmp_path / "s" / "results.csv").read_text().splitlines()
    assert rows[0].startswith("objective.match,") and len(rows) == 3
    assert all(",done," in row for row in rows[1:])


def test_keys_of_its_own_have_defaults_and_rules(tmp_path, capsys):
    values = configs.default(PARTS)
    assert values.objective.match == 1.0 and values.model.sines == 12
    configs.check(values)
    assert "objective.match" in keys.traced(keys.known(dict(configs.flatten(values))))
    values.objective.match = -1.0
    with pytest.raises(UserError, match="objective.match=-1.0 should be a number at least 0"):
        configs.check(values)
    assert main(["train", *FLAGS, "--config.objective.mach=1", f"--workdir={tmp_path}/w"]) == 2
    assert "did you mean 'objective.match'?" in capsys.readouterr().err
    assert main(["train", *QUICK, "--config.model.sines=3", f"--workdir={tmp_path}/w"]) == 2
    assert "config has no key 'model.sines'" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_a_config_file_names_it_too(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from vae.configs import base\n"
        "def get_config():\n"
        "    return base.get_config({'objective.name': 'lab.parts:matched', "
        "'objective.match': 3.0})\n"
    )
    flags = [*QUICK[1:], "--config.data.binarization=dynamic"]
    assert main(["train", f"--config={path}", *flags, f"--workdir={tmp_path}/w"]) == 0
    assert json.loads((tmp_path / "w" / "config.json").read_text())["objective"]["match"] == 3.0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_lab.parts:matched", "no_lab.parts cannot be imported (ModuleNotFoundError"),
        ("lab.parts:nothing", "lab.parts has no nothing"),
        ("lab.broken:x", "lab.broken cannot be imported (ZeroDivisionError"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(name, words, tmp_path, capsys):
    line = ["train", *QUICK, f"--config.objective.name={name}", f"--workdir={tmp_path}/w"]
    assert main(line) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1 and not (tmp_path / "w").exists()


def test_a_run_says_where_its_parts_came_from_and_whether_they_have_changed(run, tmp_path):
    """In a process of its own, where the package is another one, or is not there."""
    origins = runs.read_json(run / "environment.json")["parts"]
    assert origins["objective.name"]["name"] == "lab.parts:matched"
    assert {each["version"] for each in origins.values()} == {"1.0"}
    assert set(origins) == {*PARTS, "eval.figures lab.parts:picture"}

    def loaded(folder):
        command = [sys.executable, "-m", "vae", "sample", f"--workdir={run}", "--num=4"]
        path = {"PYTHONPATH": f"{folder}{os.pathsep}{LAB.parents[1]}"}
        return subprocess.run(command, env=os.environ | path, capture_output=True, text=True)

    other = tmp_path / "other"
    shutil.copytree(LAB / "lab", other / "lab")
    assert loaded(other).stderr == ""
    (other / "lab" / "__init__.py").write_text("__version__ = '1.1'\n")
    changed = loaded(other)
    assert changed.returncode == 0
    assert "objective.name=lab.parts:matched: lab has changed since (1.0 -> 1.1)" in changed.stderr
    gone = loaded(tmp_path / "nowhere")
    assert gone.returncode == 2 and len(gone.stderr.splitlines()) == 1
    assert "lab.parts cannot be imported" in gone.stderr


def test_a_key_that_is_there_already_is_refused(monkeypatch):
    part = parts.outside("lab.parts:encoder", "model.encoder")
    monkeypatch.setattr(part, "keys", {"hidden": keys.KEYS["model.hidden"], "sigma": None})
    with pytest.raises(UserError, match="declares the key 'sigma', which there is already"):
        keys.known({"model.encoder": "lab.parts:encoder"})


def test_a_data_set_of_a_program_is_one_like_any(tmp_path, capsys):
    line = ["train", "--config=base", "--config.data.name=lab.parts:dataset",
            "--config.train.epochs=2", "--config.model.hidden=(8,)"]  # fmt: skip
    assert main([*line, f"--workdir={tmp_path}/w"]) == 0
    run = vae.load(tmp_path / "w")
    assert run.config.model.likelihood == "gaussian_learned" and run.config.data.standardize
    arrays = parts.outside("lab.parts:dataset", "data.name")(run.config.data)
    found = np.concatenate([run.restore(run.examples(split)) for split in run.dataset.splits])
    np.testing.assert_allclose(np.sort(found, 0), np.sort(arrays["x"], 0), atol=1e-5)
    assert main(["evaluate", f"--workdir={tmp_path}/w", "--metrics=probes"]) == 0
    assert runs.read_json(tmp_path / "w" / "environment.json")["parts"]["data.name"]["source"]
    sweep = ["sweep", *line[1:], "--sweep=model.latent_size=1,2", f"--workdir={tmp_path}/s"]
    assert main(sweep) == 0


def test_a_data_set_that_changed_is_refused(tmp_path, monkeypatch, capsys):
    line = ["train", "--config=base", "--config.data.name=lab.parts:dataset",
            "--config.train.epochs=1", "--config.model.hidden=(8,)", f"--workdir={tmp_path}/w"]
    assert main(line) == 0  # fmt: skip
    part = parts.outside("lab.parts:dataset", "data.name")
    changed = {"x": part(vae.load(tmp_path / "w").config.data)["x"] + 1.0}
    monkeypatch.setattr("lab.parts.dataset", lambda data: changed)
    assert main(line) == 2
    assert "lab.parts:dataset does not hold what" in capsys.readouterr().err

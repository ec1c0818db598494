"""The user's own data by one command each: a look at them, and a training without a config."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae.__main__ import main

RNG = np.random.default_rng(0)
QUICK = ["--config.train.epochs=2", "--config.train.eval_epochs=1.0", "--config.model.hidden=(8,)",
         "--config.train.parallel=jit"]  # fmt: skip


def write_counts(folder):
    path = folder / "counts.csv"
    np.savetxt(path, RNG.poisson(5, (60, 6)), "%d", ",", header="a,b,c,d,e,f", comments="")
    return path


def write_digits(folder):
    x = RNG.integers(0, 256, (60, 16))
    x[0, 0] = 255
    head = ",".join(f"p{number}" for number in range(16))
    np.savetxt(folder / "digits.csv", x, "%d", ",", header=head, comments="")
    return folder / "digits.csv"


def write_photos(folder):
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = RNG.integers(0, 256, (6, 6, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    return folder / "photos"


def write_patients(folder):
    rows = [
        f"P{n:02},{RNG.integers(20, 80)},{'fm'[n % 2]},{RNG.normal():.3f},{('ill', 'well')[n % 2]}"
        for n in range(60)
    ]
    path = folder / "patients.csv"
    path.write_text("\n".join(["patient,age,sex,score,diagnosis", *rows]) + "\n")
    return path


CASES = {  # what writes it, the flags, the first line of training, and what is settled
    "counts": (write_counts, [], "counts.csv: 60 rows, 6 columns as counts, likelihood negative_bi",
               ("counts", "none", False, "negative_binomial", "none")),
    "digits": (write_digits, [], "digits.csv: 60 rows, 16 columns as grey levels",
               ("grey", "none", False, "discretized_logistic", "none")),
    "photos": (write_photos, [], "photos: 60 RGB images of 6x6, as levels of each colour "
               "(discretized_logistic_mixture), labels (2 classes)",
               ("", "none", False, "discretized_logistic_mixture", "none")),
    "patients": (write_patients, ["--label=diagnosis"], "patients.csv: 60 rows, 2 gaussian, "
                 "1 bernoulli columns, id column 'patient' kept, label 'diagnosis' (2 classes)",
                 ("columns", "none", True, "columns", "patient")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_command_trains(name, tmp_path, capsys):
    write, flags, line, settled = CASES[name]
    run = tmp_path / "run"
    assert main(["train", f"--data={write(tmp_path)}", *flags, f"--workdir={run}", *QUICK]) == 0
    assert capsys.readouterr().out.startswith(line)
    config = json.loads((run / "config.json").read_text())
    data, model = config["data"], config["model"]
    assert settled == (data["kind"], data["binarization"], data["standardize"],
                       model["likelihood"], data["id"])  # fmt: skip
    described = json.loads((run / "data.json").read_text())
    assert described["done"][0].startswith(line)
    if name == "patients":
        assert described["columns"] == ["age", "sex", "score"]
        assert described["classes"] == ["ill", "well"] and described["id"] == "patient"
    assert main(["evaluate", f"--workdir={run}"]) == 0


@pytest.mark.parametrize("name", CASES)
def test_a_look_says_what_training_does(name, tmp_path, capsys):
    write, flags, line, settled = CASES[name]
    path = write(tmp_path)
    assert main(["data", str(path), *flags]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{path}: ") and line in out
    assert "splits: train 48, validation 6, test 6" in out and "missing: none" in out
    assert f"--config.model.likelihood={settled[3]}" in out
    if flags:
        assert "labels of column 'diagnosis': ill 30, well 30" in out
        assert "ids: column 'patient'" in out and "score: " in out


def test_all_misfits_are_said_at_once_by_both(tmp_path, capsys):
    b = {3: "", 7: "", 8: "inf"}  # what is missing is no misfit of columns of several kinds
    rows = [f"{n}.5,{b.get(n, n)},{'x' if n == 9 else 1},w{n % 3}" for n in range(40)]
    path = tmp_path / "bad.csv"
    path.write_text("\n".join(["a,b,c,d", *rows]) + "\n")
    said = []
    for command in (["data", str(path), "--label=e"],
                    ["train", f"--data={path}", "--label=e", f"--workdir={tmp_path}/run"]):
        assert main(command) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1] and f"{path} does not fit in 3 ways" in said[0]
    for words in ("data.label='e'", "example 8, b is infinite: leave the cell empty, or",
                  "example 9, c: 'x' is no number: correct it or leave it empty"):
        assert words in said[0]
    assert not (tmp_path / "run").exists()


def test_a_look_counts_what_is_constant_missing_and_twice_there(tmp_path, capsys):
    x = RNG.normal(size=(40, 3))
    x[:, 1], x[9] = 2.5, x[4]
    np.save(tmp_path / "x.npy", x)
    assert main(["data", str(tmp_path / "x.npy")]) == 0
    out = capsys.readouterr().out
    assert "constant columns: 1\n" in out and "the same as one before: 1\n" in out
    x[3, 0] = x[8, 2] = np.nan
    np.save(tmp_path / "x.npy", x)
    assert main(["data", str(tmp_path / "x.npy")]) == 0
    out = capsys.readouterr().out
    assert "missing: 2" in out and "1: categorical, 2.5 everywhere" in out
    assert "0.017 of cells missing, likelihood columns" in out
    assert main(["data", str(tmp_path / "x.npy"), "--kind=real"]) == 2
    out, err = capsys.readouterr()
    assert "missing: 2" in out and "first in example 3" in err and "(2 such numbers)" in err
    assert main(["data", str(tmp_path / "none.npy")]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_a_look_needs_no_jax(tmp_path):
    np.save(tmp_path / "x.npy", RNG.normal(size=(40, 3)))
    code = (
        "import sys; from vae.first_look import first_look; "
        f"assert not first_look({str(tmp_path / 'x.npy')!r}).misfits; "
        "assert 'jax' not in sys.modules"
    )
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_data_of_a_config_may_be_ones_own(tmp_path, monkeypatch):
    import vae

    seen = []
    monkeypatch.setattr(vae, "train", lambda config, *_: seen.append(config))
    assert main(["train", "--config=configs/mnist.py", "--data=x.npy", "--label=none",
                 "--config.model.latent_size=7"]) == 0  # fmt: skip
    found = seen[0]
    assert (found.data.name, found.data.path, found.data.label) == ("files", "x.npy", "none")
    assert (found.model.latent_size, found.data.validation_size) == (7, 5000)


def test_neither_a_config_nor_data(capsys):
    assert main(["train"]) == 2
    assert "or --data=FILE for your own data" in capsys.readouterr().err

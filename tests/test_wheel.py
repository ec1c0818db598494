"""The wheel, where the clone is not: all but the experiments works."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """
import os, sys
import numpy as np
import vae
from vae.configs import mnist
assert mnist.get_config().data.name == "mnist"
assert not vae.__file__.startswith(sys.argv[1]), vae.__file__
model = vae.fit(np.random.default_rng(0).normal(size=(80, 3)), hidden=(8,), epochs=2, workdir="f")
assert model.encode(model.examples("test"))[0].shape == (8, 10)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs Python outside the clone, with the wheel before all else on its path."""
    folder = tmp_path_factory.mktemp("wheel")
    git = ["git", "-C", ROOT, "archive", "HEAD"]
    archive = subprocess.run(git, capture_output=True, check=True)
    (folder / "source").mkdir()
    subprocess.run(["tar", "x", "-C", folder / "source"], input=archive.stdout, check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, folder / "source"], check=True)
    (wheel,) = folder.glob("vae-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "lib", wheel], check=True)
    for path in sorted((folder / "source").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

    def call(*arguments):
        done = subprocess.run(
            [sys.executable, "-P", *arguments], cwd=folder, text=True, capture_output=True,
            env=os.environ | {"PYTHONPATH": str(folder / "lib")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return folder, call


@pytest.mark.slow
def test_an_array_is_fitted_and_a_shipped_config_trained_swept_and_used(run):
    folder, call = run
    call("-c", PROGRAM, str(ROOT))
    quick = ("--config.train.epochs=2", "--config.model.hidden=(8,)", "--config.data.size=300")
    call("-m", "vae", "train", "--config=digits", *quick, "--workdir=d")
    (folder / "my.py").write_text(
        "from vae.configs import digits\n"
        "def get_config():\n    config = digits.get_config()\n"
        "    config.train.epochs = 2\n    config.model.latent_size = 3\n    return config\n"
    )
    call("-m", "vae", "train", "--config=my.py", "--workdir=m")
    call("-m", "vae", "sweep", "--config=digits", *quick, "--sweep=objective.beta=1,4",
         "--workdir=s")  # fmt: skip
    call("-m", "vae", "encode", "--workdir=d", "--output=z.npz")
    call("-m", "vae", "sample", "--workdir=d", "--num=4")
    call("-m", "vae", "evaluate", "--workdir=d")
    call("-m", "vae", "report", "--workdir=d")
    rows = np.random.default_rng(1).normal(size=(60, 3))
    np.savetxt(folder / "t.csv", rows, delimiter=",", header="a,b,c", comments="")
    call("-m", "vae", "train", "--data=t.csv", "--config.train.epochs=2", "--workdir=t")
    call("-m", "vae", "encode", "--workdir=t", "--input=t.csv", "--output=t.npz")
    assert dict(np.load(folder / "t.npz"))["mean"].shape == (60, 10)
    assert dict(np.load(folder / "z.npz"))["mean"].shape == (50, 10)
    assert (folder / "d" / "report.html").exists() and (folder / "s" / "report.html").exists()
    assert not (folder / "lib" / "experiments").exists()
    assert not (folder / "lib" / "configs").exists()

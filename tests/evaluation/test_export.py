"""Exported runs, read without this package."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import vae
from tests.helpers import small_config
from vae.__main__ import main
from vae.checkpoint import flatten

READ = """
import json, sys
sys.modules["vae"] = None  # as where it is not installed
import numpy as np
from jax import export
folder, given, out = sys.argv[1:]
arrays = dict(np.load(given))
found = {}
for name, args in (("encode", "x"), ("decode", "z"), ("log_prob", "xz")):
    program = export.deserialize(open(f"{folder}/{name}.stablehlo", "rb").read())
    assert set(program.platforms) == {"cpu", "cuda", "tpu"}
    results = program.call(*(arrays[arg] for arg in args))
    for n, result in enumerate(results if isinstance(results, tuple) else (results,)):
        found[f"{name}_{n}"] = result
np.savez(out, **found)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("export") / "run"
    vae.train(small_config(data__name="digits", train__epochs=2), str(workdir))
    return vae.load(workdir)


def test_weights_and_config_are_those_of_the_run(run, tmp_path):
    path = tmp_path / "run.safetensors"
    assert main(["export", f"--workdir={run.workdir}", f"--output={path}"]) == 0
    arrays = load_file(path)
    expected = flatten(run.params)
    assert set(arrays) == set(expected) and "encoder/Dense_0/kernel" in arrays
    for name, value in expected.items():
        np.testing.assert_array_equal(arrays[name], value)
    with safe_open(path, "np") as file:
        header = file.metadata()
    assert json.loads(header["config"])["model"]["latent_size"] == 3
    assert int(header["step"]) == run.step and json.loads(header["data"])["shape"] == [8, 8, 1]


def test_programs_run_where_the_package_is_not_installed(run, tmp_path):
    line = ["export", f"--workdir={run.workdir}", f"--output={tmp_path}/hlo", "--format=stablehlo"]
    assert main(line) == 0
    x = run.examples("test", 5)
    mean, std = run.encode(x)
    z = mean + std * np.random.default_rng(0).normal(size=mean.shape).astype(np.float32)
    np.savez(tmp_path / "given.npz", x=x, z=z)
    command = [sys.executable, "-c", READ, f"{tmp_path}/hlo", f"{tmp_path}/given.npz",
               f"{tmp_path}/found.npz"]  # fmt: skip
    subprocess.run(command, check=True, cwd=tmp_path)
    found = dict(np.load(tmp_path / "found.npz"))
    np.testing.assert_allclose(found["encode_0"], mean, atol=1e-5)
    np.testing.assert_allclose(found["encode_1"], std, atol=1e-5)
    np.testing.assert_allclose(found["decode_0"], run.decode(z), atol=1e-5)

    bound = run.model.bind(run.variables)
    theta = bound.decode(z)
    expected = bound.log_likelihood(theta, x) + bound.log_prior(z) - bound.encode(x).log_prob(z)
    np.testing.assert_allclose(found["log_prob_0"], jax.device_get(expected), rtol=1e-4)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--format=onnx", "--output=x"], "--format='onnx' is not one of: safetensors, stablehlo"),
        (["--output=x.bin"], "give a name that ends in .safetensors"),
    ],
)
def test_what_cannot_be_is_refused(run, flags, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", f"--workdir={run.workdir}", *flags]) == 2
    assert words in capsys.readouterr().err and not list(tmp_path.iterdir())

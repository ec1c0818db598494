"""A real Slurm of one node, where there is one."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def conf():
    """The slurm.conf of a node that answers."""
    path = os.environ.get("SLURM_CONF") or f"{tempfile.gettempdir()}/vae-slurm/slurm.conf"
    if not Path(path).exists():
        pytest.skip("no Slurm: `tests/slurm.sh start` makes one, as root")
    try:
        env = {**os.environ, "SLURM_CONF": path}
        subprocess.run(["sinfo"], env=env, check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        if "SLURM_CONF" in os.environ:  # who names one wants it tested
            pytest.fail(f"the Slurm of {path} does not answer ({error})")
        pytest.skip(f"Slurm does not answer ({error}): `tests/slurm.sh start`")
    pytest.importorskip("submitit")
    return path


@pytest.fixture
def node(conf, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", conf)

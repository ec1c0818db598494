"""A real Slurm of one node, where there is one."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def conf():
    """The slurm.conf of a node that answers; who names one by SLURM_CONF wants it tested."""
    named = os.environ.get("SLURM_CONF")
    absent = pytest.fail if named else pytest.skip
    path = named or f"{tempfile.gettempdir()}/vae-slurm/slurm.conf"
    if not Path(path).exists():
        absent(f"no Slurm ({path}): `tests/slurm.sh start` makes one, as root")
    try:
        env = {**os.environ, "SLURM_CONF": path}
        subprocess.run(["sinfo"], env=env, check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        absent(f"the Slurm of {path} does not answer ({error}): `tests/slurm.sh start`")
    pytest.importorskip("submitit")
    return path


@pytest.fixture
def node(conf, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", conf)

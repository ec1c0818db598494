"""Processes that this project starts end with the one that started them."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import is_alive, wait_until_gone
from vae import runs, tied
from vae.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")

# Starts a child that says which process it is and then waits, and waits with it.
PARENT = """
import subprocess, sys
from vae.tied import tied
child = "import os, signal, sys, time; {before}; print(os.getpid(), flush=True); time.sleep(100)"
subprocess.run(tied([sys.executable, "-c", child]))
"""
ON_SIGTERM = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('saved')))"


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(("before", "last"), [("pass", ""), (ON_SIGTERM, "saved\n")])
def test_a_child_ends_with_its_killed_parent(number, before, last):
    """It gets SIGTERM, by which a run saves."""
    program = PARENT.format(before=before)
    parent = subprocess.Popen(
        tied.tied([sys.executable, "-c", program]), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    child = int(parent.stdout.readline())
    assert is_alive(child)
    parent.send_signal(number)
    wait_until_gone([child], 5.0)
    assert parent.communicate()[0] == last


def test_a_command_is_what_it_was_without(tmp_path):
    program = "import os, sys; print(os.getpid(), *sys.argv[1:]); sys.exit(3)"
    child = subprocess.Popen(
        tied.tied([sys.executable, "-c", program, "a b", ""]), stdout=subprocess.PIPE, text=True
    )
    assert child.communicate()[0] == f"{child.pid} a b \n" and child.returncode == 3


@LINUX
def test_a_command_whose_parent_has_ended_does_not_start(tmp_path):
    command = tied.tied(["touch", str(tmp_path / "started")])
    command[3] = "999999999"  # no parent of it
    assert subprocess.run(command).returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "started").exists()


BRIEF = {"git", "squeue", "scancel"}  # end by themselves at once
TIMED = {"start_time.py"}  # starts are what it times: they end by themselves in seconds


@pytest.mark.parametrize("folder", ["vae", "experiments"])
def test_no_process_is_started_untied(folder):
    """Every command is tied where it is started, or built by `tied` under a name, or brief."""
    for path in (ROOT / folder).rglob("*.py"):
        text = path.read_text()
        assert "multiprocessing" not in text and "os.fork" not in text, path
        if "subprocess." not in text or path.name in TIMED:
            continue
        nodes = list(ast.walk(ast.parse(text)))
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        assigned = [node for node in nodes if isinstance(node, ast.Assign)]
        for call in calls:
            if ast.unparse(call.func) not in ("subprocess.run", "subprocess.Popen"):
                continue
            command = ast.unparse(call.args[0])
            built = [ast.unparse(a.value) for a in assigned if ast.unparse(a.targets[0]) == command]
            for made in built or [command]:
                is_brief = any(made.startswith(f"['{name}'") for name in BRIEF)
                assert made.startswith("tied(") or is_brief, f"{path}:{call.lineno}: {made}"


def test_the_holder_of_a_run_directory_is_named(tmp_path):
    workdir = tmp_path / "run"
    assert runs.holder(workdir) == ""
    mine = f"{os.getpid()} on {os.uname().nodename}"
    with runs.locked(workdir):
        assert runs.holder(workdir) == mine
        with pytest.raises(UserError, match=rf"in use by another process \({mine}\)"):
            with runs.locked(workdir):
                pass
    assert runs.holder(workdir) == ""
    with runs.locked(workdir):  # whoever held it before is forgotten
        assert (workdir / "lock").read_text() == f"{mine}\n"

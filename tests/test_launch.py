"""launch.sh against a stand-in interpreter: nothing is installed, everything is logged."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = (
    "bash", "dirname", "readlink", "mkdir", "rm", "mv", "cat", "flock", "sleep", "cp", "env", "tail"
)  # fmt: skip

# Plays python3, the .venv's python, pip, venv, ruff, mypy, pytest and mkdocs.
PYTHON = """#!/usr/bin/env bash
[[ $1 != -P ]] || shift
[[ $1 == -c ]] && exit "${STUB_VERSION_EXIT:-0}"
echo "$2|$PWD$(printf '|%s' "${@:3}")" >>"$STUB_LOG"
case $2 in
  venv) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  pip) echo "WARNING: of pip" >&2; echo "Collecting jax"; sleep "${STUB_PIP_SLEEP:-0}"
    exit "${STUB_PIP_EXIT:-0}" ;;
  vae) [[ -z $STUB_VAE_SLEEP ]] || exec sleep "$STUB_VAE_SLEEP"; exit "${STUB_VAE_EXIT:-0}" ;;
  ruff) exit "${STUB_RUFF_EXIT:-0}" ;;
  mypy) exit "${STUB_MYPY_EXIT:-0}" ;;
  mkdocs) exit "${STUB_MKDOCS_EXIT:-0}" ;;
esac
"""


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)


class Door:
    """A copy of the project's front door in a path with spaces, on a PATH with stand-ins alone."""

    def __init__(self, folder):
        self.root = folder / "a project of mine"
        self.elsewhere = folder / "else where"
        self.bin = folder / "bin"
        self.log = folder / "log"
        for new in (self.root, self.elsewhere, self.bin):
            new.mkdir()
        for name in ("launch.sh", "requirements.txt", "pyproject.toml", "setup.py"):
            shutil.copy(ROOT / name, self.root / name)
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        script(self.bin / "python3", PYTHON)

    def start(self, *args, cwd=None, **env):
        return subprocess.Popen(
            [str(self.root / "launch.sh"), *args],
            cwd=cwd or self.elsewhere,
            env={"PATH": str(self.bin), "STUB_LOG": str(self.log), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args, **options):
        process = self.start(*args, **options)
        out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def calls(self, tool):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split("|")[1:] for line in lines if line.startswith(f"{tool}|")]


@pytest.fixture
def door(tmp_path):
    return Door(tmp_path)


def test_setup_installs_the_requirements_and_the_project_once(door):
    assert door.run("setup").returncode == 0
    assert door.run("setup").returncode == 0
    (pip,) = door.calls("pip")
    assert pip[0] == str(door.root)  # so that relative names need no quoting
    assert pip[pip.index("-r") + 1] == "requirements.txt"
    assert pip[pip.index("-e") + 1] == "."
    assert pip[pip.index("-e") - 1] in ("jax", "jax[cuda13]")


def test_a_driver_asks_for_cuda_wheels(door):
    script(door.bin / "nvidia-smi", "#!/usr/bin/env bash\nexit 0\n")
    door.run("setup")
    assert "jax[cuda13]" in door.calls("pip")[0]


def test_verbs_get_their_arguments_from_the_users_folder(door):
    door.run("train", "--config", "my config.py", "--config.data.name=", "*", "b c")
    (call,) = door.calls("vae")
    expected = ["train", "--config", "my config.py", "--config.data.name=", "*", "b c"]
    assert call == [str(door.elsewhere), *expected]


def test_quick_start_and_tests_run_in_the_project(door):
    assert door.run().returncode == 0
    assert door.calls("vae") == [[str(door.root), "quickstart"]]
    assert door.run("test", "-k", "a b").returncode == 0
    [(root, *arguments)] = door.calls("pytest")
    assert root == str(door.root) and arguments[0] == "-q"
    assert arguments[-2:] == ["-k", "a b"]
    assert ".[dev]" in door.calls("pip")[-1]
    door.run("train")  # the test tools stay: nothing to install again
    assert len(door.calls("pip")) == 2


def test_the_site_is_built_in_the_project(door):
    done = door.run("docs")
    assert done.returncode == 0 and done.stdout.splitlines()[-1].endswith("/site/index.html")
    assert door.calls("mkdocs") == [[str(door.root), "build", "--quiet", "--strict"]]
    assert ".[docs]" in door.calls("pip")[-1]
    door.run("train")  # which needs less
    assert len(door.calls("pip")) == 1
    door.run("test")  # which needs more, and serves the site too
    door.run("docs")
    door.run("test")
    assert len(door.calls("pip")) == 2
    assert door.run("docs", STUB_MKDOCS_EXIT="1").returncode == 1
    assert door.run("docs", "more").returncode == 1


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_exit_codes_pass_through(door, code):
    assert door.run("train", STUB_VAE_EXIT=str(code)).returncode == code


def test_a_lint_error_fails_the_tests(door):
    assert door.run("test", STUB_RUFF_EXIT="1").returncode == 1
    assert not door.calls("mypy") and not door.calls("pytest")


def test_types_are_checked_where_all_is_tested(door):
    assert door.run("test", STUB_MYPY_EXIT="1").returncode == 1
    assert not door.calls("pytest")
    assert door.run("test").returncode == 0 and len(door.calls("mypy")) == 2
    assert door.run("test", "tests/data", STUB_MYPY_EXIT="1").returncode == 0
    assert len(door.calls("mypy")) == 2 and len(door.calls("pytest")) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_verb(door, number):
    door.run("setup")
    process = door.start("train", STUB_VAE_SLEEP="30")
    deadline = time.monotonic() + 10
    while not door.calls("vae") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(number)
    process.communicate(timeout=5)
    assert process.returncode == -number


def test_a_start_with_nothing_to_do_needs_two_tools(door):
    door.run("setup")
    for tool in set(TOOLS) - {"bash", "env", "dirname", "readlink"}:
        (door.bin / tool).unlink()
    (door.bin / "python3").unlink()
    assert door.run("train").returncode == 0
    assert len(door.calls("vae")) == 1


def test_an_installation_prints_a_line_a_minute(door):
    (door.bin / "sleep").unlink()  # a minute of this one is a quarter of a second
    sleep = shutil.which("sleep")
    script(door.bin / "sleep", f'#!/usr/bin/env bash\n[[ $1 != 60 ]] || exec {sleep} 0.25\n'
           f'exec {sleep} "$1"\n')  # fmt: skip
    result = door.run("setup", STUB_PIP_SLEEP="0.9")
    began, *beats = result.stderr.splitlines()
    assert began.startswith("launch.sh: installing jax and the rest")
    assert 1 <= len(beats) <= 3
    assert beats == [f"launch.sh: still installing ({n + 1} min)" for n in range(len(beats))]
    assert result.stdout.splitlines() == [f"launch.sh: ready in {door.root}/.venv"]


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_a_changed_requirement_is_installed(door, name):
    door.run("setup")
    text = (door.root / name).read_text()
    (door.root / name).write_text(text[: text.rindex("\n", 0, -1)])  # its last line is gone
    door.run("setup")
    assert len(door.calls("pip")) == 2
    assert len(door.calls("venv")) == 1


def test_a_moved_project_is_installed_again(door):
    door.run("setup")
    door.root = door.root.rename(door.root.with_name("moved here"))
    door.run("setup")
    assert len(door.calls("pip")) == 2


def test_a_failed_install_says_so_and_is_redone(door):
    failed = door.run("train", STUB_PIP_EXIT="1")
    assert failed.returncode == 1
    assert "the installation failed" in failed.stderr
    assert "WARNING: of pip" in failed.stderr  # what it said is shown after all
    assert door.calls("vae") == []
    assert door.run("train").returncode == 0
    assert len(door.calls("venv")) == 2  # from scratch


def test_a_killed_install_is_redone_from_scratch(door):
    process = door.start("setup", STUB_PIP_SLEEP="30")
    deadline = time.monotonic() + 10
    while not door.calls("pip") and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=5)
    (door.root / ".venv" / "half a package").touch()
    assert door.run("setup").returncode == 0
    assert len(door.calls("pip")) == 2
    assert not (door.root / ".venv" / "half a package").exists()


def test_two_at_once_install_once(door):
    both = [door.start("train", STUB_PIP_SLEEP="1") for _ in range(2)]
    for process in both:
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert len(door.calls("pip")) == 1
    assert len(door.calls("vae")) == 2


def test_an_old_python_is_one_line(door):
    result = door.run("setup", STUB_VERSION_EXIT="1")
    assert result.returncode == 1
    assert "Python 3.11 or newer" in result.stderr.splitlines()[-1]
    assert door.calls("venv") == []


def test_an_interpreter_asked_for_is_not_replaced(door):
    result = door.run("setup", PYTHON=str(door.bin / "no such python"))
    assert result.returncode == 1
    assert "no such python" in result.stderr.splitlines()[-1]


def test_uv_is_used_where_present(door):
    stub = (
        "#!/usr/bin/env bash\n"
        'echo "uv|$PWD$(printf "|%s" "$@")" >>"$STUB_LOG"\n'
        'if [[ $1 == venv ]]; then mkdir -p "${@: -1}/bin"; cp "$(dirname "$0")/python3" '
        '"${@: -1}/bin/python"; fi\n'
    )
    script(door.bin / "uv", stub)
    assert door.run("train").returncode == 0
    make, install = door.calls("uv")
    assert make[1] == "venv"
    assert install[1:3] == ["pip", "install"]
    assert door.calls("pip") == door.calls("venv") == []


def test_help_needs_no_environment(door):
    result = door.run("help")
    assert result.returncode == 0
    assert "launch.sh test" in result.stdout
    assert not (door.root / ".venv").exists()


def test_a_link_to_launch_finds_the_project(door):
    link = door.elsewhere / "go"
    link.symlink_to(door.root / "launch.sh")
    result = subprocess.run(
        [str(link), "setup"],
        env={"PATH": str(door.bin), "STUB_LOG": str(door.log)},
        capture_output=True,
        timeout=30,
    )
    assert result.returncode == 0
    assert (door.root / ".venv").exists()
    assert not (door.elsewhere / ".venv").exists()

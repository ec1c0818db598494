"""Config files that are not what they should be: one line with the file, exit code 2, no run."""

import itertools
import os
import warnings

import pytest

from vae import config as configs
from vae import config_files
from vae.__main__ import main
from vae.configs import base
from vae.sweeps import grid

PROGRAMS = {
    "a number": ("def get_config():\n    return 3", "returned a value of type int"),
    "nothing": ("def get_config():\n    pass", "returned None"),
    "text": ("def get_config():\n    return 'x'", "type str"),
    "a list": ("def get_config():\n    return []", "type list"),
    "a generator": ("def get_config():\n    yield 3", "type generator"),
    "an empty dict": ("def get_config():\n    return {}", "lacks the key 'seed'"),
    "other keys": ("def get_config():\n    return {'seed': 0, 'sed': 1}", "no key 'sed' (did you"),
    "keys of another type": ("def get_config():\n    return {1: 2}", "1"),
    "a group that is none": ("{base}    return {**config, 'model': 3}", "key 'model'"),
    "no group": ("{base}    del config['model']\n    return config", "lacks the key 'model."),
    "a group in itself": ("{base}    config.data.me = config\n    return config", "Recursion"),
    "exits": ("import sys\ndef get_config():\n    sys.exit(3)", "line 3 calls sys.exit(3)"),
    "exits as it is read": ("import sys\nsys.exit('bye')", "line 2 calls sys.exit('bye')"),
    "raises": ("def get_config():\n    raise KeyError('x')", "line 2: KeyError: 'x'"),
    "raises lines": ("def get_config():\n    raise OSError('a\\nb')", "line 2: OSError: a"),
    "raises without a word": ("def get_config():\n    assert 0", "line 2: AssertionError"),
    "raises what cannot be said": (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\n"
        "def get_config():\n    raise E", "line 5"),
    "raises below": ("import json\ndef get_config():\n    json.loads('')", "line 3: json.decoder"),
    "says what is wrong": (
        "from vae.sweeps.grid import log\ndef get_config():\n    log(0, 1, 3)",
        "line 3: log(0, 1) needs"),
    "is no Python": ("def get_config()\n    return 3", "line 1: SyntaxError: expected ':'"),
    "is indented": ("def get_config():\nreturn 3", "line 2: IndentationError"),
    "imports what is not there": ("import nothing_of_this_name", "line 1: ModuleNotFoundError"),
    "imports itself": ("import config_config\ndef get_config():\n    return config_config.x",
                       "AttributeError"),
    "never ends": ("def get_config():\n    return get_config()", "RecursionError"),
    "has no function": ("x = 3", "has no get_config()"),
    "is empty": ("", "has no get_config()"),
    "has another function": ("get_config = 3", "TypeError: 'int' object is not callable"),
    "takes an argument": ("def get_config(x):\n    return x", "TypeError: get_config() missing 1"),
    "is not text": (b"\xff\xfe\x00", "Error"),
    "is not UTF-8": (b"def get_config():\n    return '\xe9'", "line 2: SyntaxError: (unicode"),
    "a placeholder": (
        "from ml_collections import config_dict\n{base}    config.seed = "
        "config_dict.required_placeholder(int)\n    return config", "RequiredValueError"),
    "a reference that fails": (
        "{base}    ref = config.get_ref('seed')\n    config.train.epochs = 1 // ref\n"
        "    return config", "line"),
    "prints and warns": (
        "import warnings\nprint('hello')\nwarnings.warn('mind')\ndef get_config():\n    return 3",
        "type int"),
}  # fmt: skip
BASE = "from vae.configs import base\ndef get_config():\n    config = base.get_config().unlock()\n"


@pytest.fixture
def said(tmp_path, capsys, monkeypatch):
    """`said(*arguments)`: what a command that must exit with 2 says, having written nothing."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def check(*arguments):
        before = sorted(tmp_path.rglob("*"))
        assert main([*map(str, arguments), f"--workdir={tmp_path}/run"]) == 2
        err = capsys.readouterr().err.strip()
        lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1 and lines[0].startswith("error: "), err
        assert sorted(tmp_path.rglob("*")) == before  # no __pycache__ either
        return lines[0]

    return check


def write(path, program):
    if isinstance(program, str):
        program = program.replace("{base}", BASE).encode()
    path.write_bytes(program)
    return path


@pytest.mark.parametrize("name", PROGRAMS)
def test_whatever_a_config_file_does_is_said_in_one_line(name, tmp_path, said):
    program, words = PROGRAMS[name]
    if name == "a reference that fails":
        program = program.replace("1 // ref", "100 // ref")
    line = said("train", "--config", write(tmp_path / "mine.py", program))
    assert "mine.py" in line and words in line, line


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("    raise ValueError('no')", "line 6: ValueError: no"),
        ("    import sys; sys.exit()", "line 6 calls sys.exit(None)"),
        ("    return 3", "get_sweep() of"),
        ("    return [3]", "get_sweep() of"),
        ("    yield {}", "get_sweep() of"),
        ("    return [{1: 2}]", "the sweep sets 1"),
        ("    return [{'objective.beta': None}]", "not like 1.0"),
        ("    return [{'objective.beta': 10**400}]", "should be a number"),
        ("    return [{'objective.beta': float('nan')}]", "should be a number"),
        ("    return [{'seed': object()}]", "not like 0"),
        ("    return []", "nothing to sweep"),
    ],
)
def test_whatever_a_get_sweep_does_is_said_in_one_line(program, words, tmp_path, said):
    text = BASE + "    return config\n" + program
    text = text.replace("    return config\n", "    return config\ndef get_sweep():\n")
    assert words in said("sweep", f"--config={write(tmp_path / 'mine.py', text)}")


def test_what_is_no_file_is_said_in_one_line(tmp_path, said):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, words in (("pipe", "not an ordinary file"), ("folder", "a folder, and no run's"),
                        ("none.py", "no such file"), ("none.py:x", "no such file")):  # fmt: skip
        assert words in said("train", f"--config={tmp_path / name}")
    assert "not an ordinary file" in said("train", "--config=/dev/null")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a run's config"),
        ("{", "is not a run's config"),
        ("[]", "is not a run's config"),
        ("3", "is not a run's config"),
        ("{}", "lacks the key 'seed'"),
        ('{"metrics": {}}', "lacks the key"),
        ("[" * 100_000, "is not a run's config"),
        (b"\xff\xfe", "is not a run's config"),
    ],
)
def test_a_damaged_config_of_a_run_is_said_in_one_line(text, words, tmp_path, said):
    path = tmp_path / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in said("train", f"--config={path}")


def test_a_runs_config_is_a_config(tmp_path):
    """By its file or its directory: the same config, tuples and all, for overrides and sweeps."""
    config = base.get_config()
    config.objective.beta, config.model.hidden = 3.0, (7, 5)
    (tmp_path / "config.json").write_text(configs.to_json(config))
    for name in (tmp_path / "config.json", tmp_path):
        found = config_files.load(str(name))
        assert configs.difference(found, config, neutral=True) == []
        assert found.is_locked and found.model.hidden == (7, 5)
        assert grid.described(str(name)) == []
    line = ["--dry_run", f"--workdir={tmp_path}/s", "--config.objective.gamma=2.0"]
    assert main(["sweep", f"--config={tmp_path}", "--sweep=objective.beta=1,2", *line]) == 0


def test_what_follows_the_colon_goes_to_get_config(tmp_path, said):
    program = "from vae.configs import base\ndef get_config(x=''):\n" \
              "    config = base.get_config()\n    config.data.path = x\n" \
              "    return config\n"  # fmt: skip
    path = write(tmp_path / "mine.py", program)
    for given, argument in (("", ""), (":", ""), (":a", "a"), (":a:b", "a:b")):
        assert config_files.load(f"{path}{given}").data.path == argument
    odd = write(tmp_path / "a:b.py", program)
    assert config_files.load(str(odd)).data.path == ""
    (tmp_path / "config.json").write_text(configs.to_json(base.get_config()))
    assert "takes no argument" in said("train", f"--config={tmp_path}/config.json:x")


def test_placeholders_and_references_follow_overrides(tmp_path):
    from tests.test_arguments import parse

    program = "from ml_collections import config_dict\n{base}" \
              "    config.data.size = config_dict.placeholder(int)\n" \
              "    config.train.epochs = config.get_ref('seed') * 2\n    return config"  # fmt: skip
    path = write(tmp_path / "mine.py", program)
    config = parse("train", f"--config={path}", "--config.seed=7", "--config.data.size=9").config
    assert (config.seed, config.train.epochs, config.data.size) == (7, 14, 9)


def test_other_mappings_are_configs_too(tmp_path):
    for kind in (".to_dict()", "", ".lock()"):
        text = "from vae.configs import base\n"
        text += f"def get_config():\n    return base.get_config(){kind}"
        assert config_files.load(str(write(tmp_path / "mine.py", text))).is_locked
    frozen = "from vae.configs import base\nfrom ml_collections import FrozenConfigDict\n" \
             "def get_config():\n    return FrozenConfigDict(base.get_config())"  # fmt: skip
    found = config_files.load(str(write(tmp_path / "mine.py", frozen)))
    found.objective.beta = 2.0
    configs.check(found)


def test_ctrl_c_inside_a_config_file_is_ctrl_c(tmp_path):
    path = write(tmp_path / "mine.py", "def get_config():\n    raise KeyboardInterrupt")
    assert main(["train", f"--config={path}"]) == 130


def test_a_file_is_run_anew_each_time(tmp_path):
    path = tmp_path / "mine.py"
    for beta in itertools.islice(itertools.count(1), 3):
        write(path, f"{BASE}    config.objective.beta = {beta}.0\n    return config")
        assert config_files.load(str(path)).objective.beta == beta

"""Command lines as absl reads them, and what its flags and JAX's set. Nothing here trains."""

import logging as python_logging
import os
import pstats
import subprocess
import sys

import jax
import pytest
from absl import flags, logging

from vae import arguments
from vae.__main__ import VERBS, main
from vae.arguments import Help
from vae.errors import UserError

DIGITS = "--config=configs/digits.py"


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """absl's flags and handlers belong to the process: each test leaves them as they were."""
    before, level = list(python_logging.root.handlers), python_logging.root.level
    yield
    python_logging.root.handlers[:] = before
    python_logging.root.setLevel(level)
    arguments.common()
    logging.set_verbosity(logging.WARNING)


def parse(verb, *given):
    shared = arguments.common()
    name, rest = arguments.verb_of([verb, *given], shared)
    return arguments.parse(name, VERBS[name], rest, shared)


@pytest.mark.parametrize(
    "given",
    [
        [DIGITS],
        ["-config=configs/digits.py"],
        ["--config", "configs/digits.py"],
        ["-config", "configs/digits.py"],
        ["--config=configs/base.py", DIGITS],  # the last counts
    ],
)
def test_every_form_names_the_config(given):
    values = parse("train", *given)
    assert values.config.data.name == "digits" and values.config.is_locked
    assert values.config_file == "configs/digits.py"


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        (["--config.objective.beta=4"], "objective.beta", 4.0),
        (["--config.objective.beta", "4"], "objective.beta", 4.0),
        (["-config.objective.beta", "4"], "objective.beta", 4.0),
        (["--config.objective.alpha", "-0.5"], "objective.alpha", -0.5),
        (["--config.objective.beta=4", "--config.objective.beta=5"], "objective.beta", 5.0),
        (["--config.data.stream"], "data.stream", True),
        (["--config.data.stream=true"], "data.stream", True),
        (["--config.data.stream", "--noconfig.data.stream"], "data.stream", False),
        (["-noconfig.data.standardize"], "data.standardize", False),
        (["--config.data.stream=0"], "data.stream", False),
        (["--config.model.hidden=(8,4)"], "model.hidden", (8, 4)),
        (["--config.model.hidden", "(8,)"], "model.hidden", (8,)),
        (["--config.model.hidden=8", "--config.model.hidden=4"], "model.hidden", (8, 4)),
        (["--config.data.path=a=b"], "data.path", "a=b"),
    ],
)
def test_overrides_have_the_forms_that_config_flags_documents(given, key, value):
    group, name = key.split(".")
    before, after = [*given, "--config", "configs/digits.py"], [DIGITS, *given]
    for line in (before, after):
        assert parse("train", *line).config[group][name] == value


@pytest.mark.parametrize(
    ("given", "dry_run", "seeds"),
    [
        (["--dry_run"], True, 1),
        (["--dry_run=true", "--seeds", "3"], True, 3),
        (["--dry_run", "--nodry_run", "-seeds=2"], False, 2),
        (["--seeds=2", "--seeds=5"], False, 5),
        (["--undefok=other,more", "--other=3", "--nomore", "--seeds=2"], False, 2),
    ],
)
def test_flags_have_absls_forms(given, dry_run, seeds):
    values = parse("sweep", DIGITS, *given)
    assert (values.dry_run, values.seeds) == (dry_run, seeds)


def test_a_flag_that_takes_many_is_repeated():
    lines = ["--sweep=seed=1,2", "--sweep", "objective.beta=1,2"]
    assert parse("sweep", DIGITS, *lines).sweep == ["seed=1,2", "objective.beta=1,2"]
    assert parse("sweep", DIGITS, lines[0]).sweep == ["seed=1,2"]  # and none is left of before
    assert parse("report", "--compare", "a", "b", "c").compare == ["a", "b", "c"]


def test_a_flagfile_stands_for_its_lines(tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("--seeds=4\n--config.objective.beta=3.0\n")
    outer.write_text(f"# my runs\n// of May\n\n{DIGITS}\n--flagfile={inner}\n")
    for given in ([f"--flagfile={outer}"], ["-flagfile", str(outer)]):
        values = parse("sweep", *given, "--config.objective.gamma=2.0")
        assert (values.seeds, values.config.objective.beta) == (4, 3.0)
        assert values.config.objective.gamma == 2.0
    assert parse(f"--flagfile={outer}", "sweep").seeds == 4
    with pytest.raises(UserError, match="--flagfile: .*nowhere"):
        parse("sweep", "--flagfile=nowhere")


def test_two_dashes_end_the_flags():
    with pytest.raises(UserError, match="does not take '--seeds=3'"):
        parse("sweep", DIGITS, "--", "--seeds=3")
    assert parse("prepare", "--data_dir=d", "--", "--name").name == "--name"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_flags_stand_before_the_verb_too(place):
    line = [DIGITS, "--seeds=2"]
    line.insert(place, "sweep")
    assert parse(*line).seeds == 2
    shared = arguments.common()
    given = ["--debug", "--verbosity", "1", *line]
    assert arguments.verb_of(given, shared)[0] == "sweep"


@pytest.mark.parametrize("form", ["--help", "-help", "-h", "-?", "--helpshort", "--help=true"])
def test_help_is_ours_whatever_stands_behind_it(form, capsys):
    for line in (["train", form, "--config=nothing", "--wrong"], [form, "train"]):
        assert main(line) == 0
        assert "--extend" in capsys.readouterr().out
    assert main([form]) == 0
    assert "reproduce NAME" in capsys.readouterr().out
    assert main(["help", "train"]) == 0
    assert "--extend" in capsys.readouterr().out
    assert parse("train", "--nohelp", DIGITS).config


def test_all_help_lists_absls_and_jaxs_flags(capsys):
    for form, words in (("--helpfull", "--[no]jax_enable_x64"), ("--helpxml", "<AllFlags>")):
        assert main(["train", form]) == 0
        out = capsys.readouterr().out
        assert words in out and "stderrthreshold" in out and "jax_debug_nans" in out


@pytest.mark.parametrize(
    ("given", "verbosity"),
    [([], -3), (["--verbosity=1"], 1), (["-v", "0"], 0), (["--debug"], -1),
     (["--debug", "-v=-2"], -2)],
)  # fmt: skip
def test_absls_logging_says_what_was_asked_for_and_else_nothing(given, verbosity):
    parse("evaluate", "--workdir=x", "-v=1")
    parse("evaluate", "--workdir=x", *given)
    assert logging.get_verbosity() == verbosity


def test_absls_logging_flags_are_absls_own(capsys):
    parse("evaluate", "--workdir=x", "--logtostderr", "--stderrthreshold=info", "--verbosity=0")
    assert flags.FLAGS.logtostderr and flags.FLAGS.stderrthreshold == "info"
    assert logging.get_absl_handler() in python_logging.root.handlers
    parse("evaluate", "--workdir=x")
    assert not flags.FLAGS.logtostderr


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        (["--jax_debug_nans"], "jax_debug_nans", True),
        (["--jax_debug_nans", "--nojax_debug_nans"], "jax_debug_nans", False),
        (["--jax_default_matmul_precision", "float32"], "jax_default_matmul_precision", "float32"),
        (["-jax_log_compiles=true"], "jax_log_compiles", True),
        (["--jax_platforms=cpu"], "jax_platforms", "cpu"),
    ],
)
def test_jaxs_flags_are_jaxs_own_also_in_processes_started_here(monkeypatch, given, name, value):
    monkeypatch.setenv(name.upper(), "before")
    before = jax.config.values[name]
    try:
        parse("train", *given, DIGITS)
        assert jax.config.values[name] == value and os.environ[name.upper()] == str(value)
    finally:
        jax.config.update(name, before)


@pytest.mark.parametrize("flag", ["--jax_debug_nans=maybe", "--jax_default_matmul_precision=much"])
def test_a_wrong_value_of_jaxs_flags_is_named(flag):
    with pytest.raises(UserError, match=flag.split("=")[0].lstrip("-")):
        parse("train", DIGITS, flag)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["train", "--confg=x"], "did you mean 'config'"),
        (["train", "--seed=3"], "no flag --seed"),
        (["train", "--config=nothing", "--wrong"], "no flag --wrong"),
        (["--wrong=3"], "no flag --wrong"),
        (["train", DIGITS, "--extnd"], "did you mean 'extend'"),
        (["evaluate", "--wrkdir=x"], "did you mean 'workdir'"),
        (["evaluate", "--debg", "--workdir=x"], "did you mean 'debug'"),
        (["train", DIGITS, "--jax_debug_nan"], "no flag --jax_debug_nan"),
        (["train", DIGITS, "--noconfig.train.epochs"], "True or False"),
        (["train", DIGITS, "--noconfig.data.streem"], "did you mean 'data.stream'"),
        (["train", DIGITS, "--config.train.epochs"], "Missing value"),
        (["train", "--config"], "Missing value"),
        (["train", "--config="], "needs --config: a shipped one"),
        (["sweep", DIGITS, "--seeds=many"], "seeds"),
        (["sweep", DIGITS, "--dry_run=perhaps"], "dry_run"),
        (["--workdir", "w", "train", DIGITS], "no verb 'w'"),
        (["--debug=maybe"], "debug"),
        (["--debug=0"], "no verb: one of"),
        (["--nodebug", "trian"], "did you mean 'train'"),
    ],
)
def test_what_absl_would_not_read_is_said_in_a_line(line, words, capsys):
    assert main(line) == 2
    err = capsys.readouterr().err.strip()
    assert words in err and len(err.splitlines()) == 1


def test_a_command_line_can_be_checked_alone(tmp_path, capsys):
    assert main(["train", DIGITS, f"--workdir={tmp_path}/run", "--only_check_args"]) == 0
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ""


def test_a_command_runs_under_absls_profiler(tmp_path):
    """In a process of its own: the profiler writes as it ends."""
    stats, root = tmp_path / "stats", os.path.dirname(os.path.dirname(arguments.__file__))
    command = ["train", DIGITS, "--process_id=5", f"--profile_file={stats}"]
    done = subprocess.run(
        [sys.executable, "-m", "vae", *command], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 2 and "--coordinator is missing" in done.stderr, done.stderr
    assert any(name == "initialize" for _, _, name in pstats.Stats(str(stats)).stats)


def test_a_flag_for_help_is_raised_as_it_is_read():
    with pytest.raises(Help) as asked:
        parse("train", "--helpfull")
    assert asked.value.form == "helpfull"

"""Bad input through the command line: exit code, one or two lines, nothing lost or half-written."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import last_state
from vae import runs
from vae.__main__ import VERBS, main
from vae.errors import shortened

SMALL = [
    "--config=configs/digits.py",
    "--config.model.hidden=(16,)",
    "--config.train.epochs=2",
    "--config.train.eval_epochs=1.0",
    "--config.train.parallel=jit",
    "--config.eval.iwae_samples=(5,)",
]


@pytest.mark.parametrize(
    ("program", "called"),
    [
        (Path(runs.__file__).with_name("__main__.py"), "python -m vae"),
        (Path("/bin/vae"), "vae"),
        (Path("/my tools/own.py"), "'/my tools/own.py'"),
    ],
)
def test_the_command_that_a_page_shows_can_be_pasted(program, called, monkeypatch):
    monkeypatch.delenv("VAE_COMMAND", raising=False)
    monkeypatch.setattr(sys, "argv", [str(program), "train", "--workdir=my runs/a", "--x=(1, 2)"])
    assert runs.command() == f"{called} train '--workdir=my runs/a' '--x=(1, 2)'"



@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", *SMALL, f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture
def fails(capsys, tmp_path):
    """`fails(code, words, *arguments)`: the exit code, the words on stderr, no new directory."""

    def check(code, words, *arguments):
        capsys.readouterr()
        assert main(list(map(str, arguments))) == code
        err = capsys.readouterr().err.strip()
        assert words in err, err
        assert len([line for line in err.splitlines() if not line.startswith("warning")]) <= 2
        assert "Traceback" not in err

    return check


def files(workdir):
    kept = (p for p in Path(workdir).rglob("*") if p.name != "lock")
    return {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in kept}


def test_help_lists_every_verb_within_a_second_and_without_jax():
    code = "import sys, vae.__main__ as m; m.main(['--help']); assert 'jax' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_lists_its_flags(name, capsys):
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"--{flag.name}" in out for flag in VERBS[name].flags)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "did you mean 'train'"),
        (["train"], "needs --config: a shipped one"),
        (["train", "--config=configs/none.py"], "there is no such file"),
        (["train", *SMALL, "--config.objective.bta=2.0"], "did you mean 'objective.beta'"),
        (["train", *SMALL, "--config.train.epochs=ten"], "train.epochs=ten"),
        (["train", *SMALL, "--config.model.latent_size=-3"], "at least 1"),
        (["train", *SMALL, "--wrkdir=x"], "did you mean 'workdir'"),
        (["train", *SMALL, "--config.model.encoder=mpl"], "did you mean 'mlp'"),
        (["report"], "needs --workdir, or --compare"),
        (["report", "--compare", "nothing"], "at least two run directories"),
        (["report", "--compare", "nothing", "nowhere"], "nothing is not a run directory"),
        (["report", "--workdir=nothing", "--format=jpg"], "did you mean 'png'"),
        (["reproduce"], "needs NAME"),
        (["reproduce", "aevbb"], "did you mean 'aevb'"),
        (["reproduce", "aevb", "--scale=fast"], "full, quick"),
        (["train", *SMALL, "--config.objective.name=elob"], "did you mean 'elbo'"),
        (["train", *SMALL, "--config.optimizer.name=adan"], "did you mean"),
        (["train", *SMALL, "--config.data.name=digit"], "did you mean 'digits'"),
        (["train", *SMALL, "--config.train.batch_size=5000"], "train.batch_size=5000"),
        (["train", *SMALL, "--config.data.binarization=none",
          "--config.model.likelihood=bernoulli"], "data.binarization"),
        (["train", *SMALL, "--config.data.binarization=dynamic",
          "--config.model.likelihood=gaussian_fixed"], "data.binarization=none"),
        (["train", *SMALL, "--config.model.activation=rleu"], "relu"),
        (["train", *SMALL, "--config.data.name=mnist", "--config.data.dir=no"], "prepare mnist"),
        (["train", *SMALL, "--config.train.wandb=mine"], "wandb is missing"),
        (["evaluate"], "needs --workdir"),
        (["evaluate", "--workdir=nowhere"], "not a run directory"),
        (["report", "--workdir=nowhere"], "not a run directory"),
        (["sample", "--workdir=nowhere", "--num=4"], "not a run directory"),
        (["prepare"], "needs NAME"),
        (["prepare", "digits", "--data_dir=nowhere"], "digits"),
    ],
)
def test_wrong_commands_exit_2_and_write_nothing(fails, tmp_path, monkeypatch, arguments, words):
    root = Path(__file__).resolve().parent.parent
    arguments = [a.replace("configs/", f"{root}/configs/") for a in arguments]
    monkeypatch.chdir(tmp_path)
    fails(2, words, *arguments)
    assert list(tmp_path.iterdir()) == []


LONG = "x" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        [LONG],
        ["train", f"--{LONG}=3"],
        ["train", *SMALL, f"--{LONG}"],
        ["train", *SMALL, LONG],
        ["train", f"--config={LONG}"],
        ["train", *SMALL, f"--config.{LONG}=3"],
        ["train", *SMALL, f"--config.train.epochs={LONG}"],
        ["train", *SMALL, f"--config.objective.beta={LONG}"],
        ["train", *SMALL, f"--config.data.stream={LONG}"],
        ["train", *SMALL, f"--config.data.kind={LONG}"],
        ["train", *SMALL, "--config.data.kind=" + "a b " * 1250],
        ["train", *SMALL, f"--config.model.hidden={LONG}"],
        ["train", *SMALL, "--config.eval.metrics=" + repr(("x",) * 1500)],
        ["train", *SMALL, f"--config.train.epochs={'1' * 5000}"],
        ["train", *SMALL, f"--config.train.epochs={'1' * 4000}"],
        ["train", *SMALL, f"--flagfile={LONG}"],
        ["train", *SMALL, f"--coordinator={LONG}", "--process_id=0", "--num_processes=1"],
        ["sweep", *SMALL, f"--sweep={LONG}"],
        ["sweep", *SMALL, f"--sweep={LONG}=3"],
        ["sweep", *SMALL, f"--sweep=objective.beta={LONG}"],
        ["sweep", *SMALL, f"--sweep=objective.beta=log({','.join('1' * 2500)})"],
        ["sweep", *SMALL, "--sweep=seed=1", f"--launcher={LONG}"],
        ["sweep", *SMALL, f"--seeds={LONG}"],
        ["evaluate", f"--workdir={LONG}"],
        ["report", "--compare", LONG, "b"],
        ["reproduce", LONG],
        ["prepare", LONG, "--data_dir=d"],
    ],
)
def test_a_value_of_thousands_of_letters_is_shortened(arguments, tmp_path, monkeypatch, capsys):
    root = Path(__file__).resolve().parent.parent
    arguments = [a.replace("configs/", f"{root}/configs/") for a in arguments]
    monkeypatch.chdir(tmp_path)
    assert main(arguments) in (1, 2)
    err = capsys.readouterr().err.strip()
    assert err.startswith("error: ") and len(err.splitlines()) <= 2
    assert 20 < len(err) < 1500 and " more)..." in err, err
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_very_long_is_printed_as_it_is():
    for message in ("x" * 200, "a b " * 249, "one\n" + "y" * 200 + "\ntwo"):
        assert shortened(message) == message
    cut = shortened(f"--config={LONG}z: there is no such file")
    assert cut.startswith("--config=xxx") and cut.endswith("xz: there is no such file")
    assert len(cut) < 240


@pytest.mark.parametrize("given", list(itertools.product([False, True], repeat=3)))
def test_the_flags_of_several_processes_go_together(fails, tmp_path, given):
    flags = ["--coordinator=localhost:1234", "--num_processes=2", "--process_id=5"]
    chosen = [flag for flag, there in zip(flags, given, strict=True) if there]
    if not chosen:
        return  # one process
    words = "process_id below it (got 5)" if all(given) else "is missing"
    fails(2, words, "train", *SMALL, f"--workdir={tmp_path}/run", *chosen)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["", "host", ":1", "host:", "host:port", "host:²"])
def test_a_coordinator_is_a_host_and_a_port(fails, place):
    fails(2, "HOST:PORT", "train", *SMALL, f"--coordinator={place}", "--num_processes=2",
          "--process_id=0")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_so_in_plain_words(verb, number, monkeypatch, capsys):
    """Whatever the verb was about: what is below lets go of what it holds, and the code is 128 and
    the signal's number."""
    released = []

    def interrupted(values):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            released.append(verb)

    needed = ["--config=configs/digits.py"] if VERBS[verb].config else []
    needed += ["NAME"] if VERBS[verb].argument else []
    needed += [f"--{flag.name}=x" for flag in VERBS[verb].flags if flag.required]
    monkeypatch.setitem(VERBS, verb, dataclasses.replace(VERBS[verb], call=interrupted))
    before = signal.getsignal(signal.SIGTERM)
    assert main([verb, *needed]) == 128 + number
    assert released == [verb] and signal.getsignal(signal.SIGTERM) == before
    assert capsys.readouterr().err == "interrupted; run the same command to go on\n"


def test_the_loop_saves_before_it_is_interrupted(trained, tmp_path, capsys, monkeypatch):
    """A signal that comes while the first steps run: the run stops, and goes on from there."""
    from vae.training.engine import Single

    run, sent = Single.run, []

    def signalled(engine, fed):
        if not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        return run(engine, fed)

    workdir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Single, "run", signalled)
        assert main(["train", *SMALL, f"--workdir={workdir}"]) == 143
    err = capsys.readouterr().err
    assert err.startswith("interrupted and saved at step ") and "error" not in err
    assert main(["train", *SMALL, f"--workdir={workdir}"]) == 0
    assert "resuming at step" in capsys.readouterr().out
    ours, whole = last_state(workdir), last_state(trained)
    assert all(np.array_equal(ours[name], value) for name, value in whole.items())


def test_a_workdir_with_another_config_is_refused_with_the_difference(fails, trained):
    before = files(trained)
    fails(2, "objective.beta: 1.0 -> 4.0", "train", *SMALL, "--config.objective.beta=4.0",
          f"--workdir={trained}")
    assert files(trained) == before


def test_a_workdir_with_other_files_is_refused(fails, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    fails(2, "holds other files", "train", *SMALL, f"--workdir={tmp_path}")
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    assert not (tmp_path / "config.json").exists()


def test_a_workdir_in_use_is_refused(fails, trained):
    from vae.runs import locked

    with locked(trained):
        fails(2, "in use by another process", "train", *SMALL, f"--workdir={trained}")


def test_an_unwritable_workdir_is_refused(fails, tmp_path):
    (tmp_path / "file").write_text("")
    fails(2, "cannot write", "train", *SMALL, f"--workdir={tmp_path}/file/run")


def test_a_damaged_config_is_named(fails, trained, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    (workdir / "config.json").write_text('{"seed": 0,')
    fails(2, "config.json cannot be read", "evaluate", f"--workdir={workdir}")


@pytest.mark.parametrize(
    ("name", "left", "code", "words"),
    [
        ("config.json", "{", 2, "config.json cannot be read"),
        ("config.json", None, 2, "is not a run directory"),
        ("data.json", None, 2, "data.json does not exist"),
        ("data.json", '{"shape"', 2, "data.json cannot be read"),
        ("checkpoints", None, 2, "holds no checkpoint yet"),
        ("metrics.jsonl", '{"step": 1\n{"step": 2}\n', 2, "metrics.jsonl is damaged at line 1"),
    ],
)
def test_a_report_of_a_half_written_run_says_what_is_missing(
    fails, trained, tmp_path, name, left, code, words
):
    cut = tmp_path / "cut"
    shutil.copytree(trained, cut)
    (cut / "report.html").unlink(missing_ok=True)
    if left is not None:
        (cut / name).write_text(left)
    elif (cut / name).is_dir():
        shutil.rmtree(cut / name)
    else:
        (cut / name).unlink()
    fails(code, words, "report", f"--workdir={cut}")
    assert not (cut / "report.html").exists()


def test_a_run_with_no_readable_checkpoint_exits_1(fails, trained, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained, workdir)
    for path in (workdir / "checkpoints").rglob("d/*"):
        path.write_bytes(b"")
    fails(1, "no checkpoint", "evaluate", f"--workdir={workdir}")


def test_nan_in_the_data_is_refused(fails, tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    x[17, 2] = np.nan
    np.savez(tmp_path / "data.npz", x=x)
    fails(2, "17", "train", *SMALL, "--config.data.name=files",
          f"--config.data.path={tmp_path}/data.npz", "--config.data.binarization=none",
          "--config.model.likelihood=gaussian_fixed", f"--workdir={tmp_path}/run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_diverging_run_exits_1_keeps_its_checkpoint_and_dumps_the_batch(fails, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(500, 5)).astype(np.float32))
    workdir = tmp_path / "run"
    fails(1, "is not finite at step", "train", *SMALL, "--config.data.name=files",
          f"--config.data.path={tmp_path}/data.npz", "--config.data.binarization=none",
          "--config.model.likelihood=gaussian_per_pixel", "--config.optimizer.name=sgd",
          "--config.optimizer.warmup_epochs=5.0", "--config.train.epochs=20",
          "--config.optimizer.learning_rate=50.0", f"--workdir={workdir}")
    assert np.load(workdir / "bad_batch.npz")["x"].shape == (100, 5)
    assert (workdir / "checkpoints").exists()


@pytest.mark.slow
def test_a_full_disk_exits_1_and_a_larger_one_goes_on(tmp_path):
    """A tmpfs of 1.5 MB: the run stops with the reason; moved to a larger disk it finishes."""
    large = ["--config.model.hidden=(200,200)", "--config.train.epochs=6"]
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(small)]
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    subprocess.run(mount, check=True)
    try:
        command = [sys.executable, "-m", "vae", "train", *SMALL, *large]
        done = subprocess.run(
            [*command, f"--workdir={small}/run"], capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 1, done.stderr
        assert "space" in done.stderr and "Traceback" not in done.stderr
        shutil.copytree(small / "run", tmp_path / "run")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    subprocess.run([*command, f"--workdir={tmp_path}/run"], check=True, timeout=200)


def test_evaluate_report_and_sample_write_what_they_say(trained, capsys):
    assert main(["evaluate", f"--workdir={trained}"]) == 0
    assert "nll_iwae_5" in capsys.readouterr().out
    result = json.loads((trained / "evaluation.json").read_text())
    assert result["split"] == "test" and result["num_examples"] == 300
    metrics = result["metrics"]
    total = metrics["distortion"]["value"] + metrics["rate"]["value"]
    np.testing.assert_allclose(-metrics["elbo"]["value"], total, rtol=1e-6)
    assert main(["report", f"--workdir={trained}"]) == 0
    assert (trained / "report.html").stat().st_size > 10_000
    assert main(["sample", f"--workdir={trained}", "--num=9"]) == 0
    [archive] = (trained / "figures").parent.rglob("samples.npz")
    assert next(iter(np.load(archive).values())).shape == (9, 8, 8, 1)

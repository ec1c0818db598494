"""Programs that outlast their process: kept under all that they depend on, and never trusted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.helpers import grey_dataset, last_state, small_config
from vae import programs, runs
from vae.errors import UserError
from vae.programs import Kept, value
from vae.training import setup

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path / "programs")
    return tmp_path / "programs"


def drawn(state, key, unused):
    return {"a": state["a"] + jax.random.normal(key, (3,))}, key


def kept(function=drawn, key="k", name="test"):
    return Kept(lambda: jax.jit(function, donate_argnums=0), name, key)


def never(*args):
    raise AssertionError("traced again")


def arguments(unused=np.int32):
    return {"a": np.arange(3, dtype=np.float32)}, jax.random.key(3), unused(0)


def test_a_kept_program_gives_what_the_jitted_function_does(folder):
    want, want_key = jax.jit(drawn)(*arguments())
    for function in (drawn, never):  # the second reads what the first wrote
        found, key = kept(function)(*arguments())
        np.testing.assert_array_equal(found["a"], want["a"])
        assert key == want_key
    shapes, _ = kept(never).shapes(*arguments())
    assert shapes["a"].shape == (3,) and shapes["a"].dtype == np.float32


def test_a_root_key_of_a_kept_program_is_of_jaxs_own_threefry(tmp_path):
    """A Poisson draw asks for it by identity; the second process reads what the first wrote."""
    code = (
        "import jax, numpy as np; from vae.probability import noise; "
        "key = noise.key_for(3, 'sample'); "
        "assert key == noise.key_for(np.uint32(3), 'sample'); print(jax.random.poisson(key, 2.0))"
    )
    env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], env=env, check=True)
        assert list((tmp_path / "programs").iterdir())


def test_arguments_are_donated_to_a_kept_program(folder):
    kept()(*arguments())
    state = jax.device_put({"a": np.zeros(3, np.float32)})
    kept(never)(state, *arguments()[1:])
    assert state["a"].is_deleted()


def test_without_a_key_nothing_is_kept(folder):
    assert kept(key=None)(*arguments())[0]["a"].shape == (3,)
    assert value("a fact", None, lambda: [1, 2]) == [1, 2]
    assert not folder.exists()


def test_what_a_program_depends_on_has_one_of_its_own(folder, monkeypatch):
    kept()(*arguments())
    others = [
        lambda: kept(never, key="other")(*arguments()),
        lambda: kept(never, name="other")(*arguments()),
        lambda: kept(never)({"a": np.zeros((1, 3), np.float32)}, *arguments()[1:]),
        lambda: kept(never)({"b": np.zeros(3, np.float32)}, *arguments()[1:]),
        lambda: kept(never)(*arguments(np.uint32)),
    ]
    for other in others:
        with pytest.raises(AssertionError, match="traced again"):
            other()
    with jax.default_matmul_precision("float32"), pytest.raises(AssertionError):
        kept(never)(*arguments())
    for place, what in ((runs, "source"), (programs, "_machine")):
        with monkeypatch.context() as changed:
            changed.setattr(place, what, lambda: "another")
            with pytest.raises(AssertionError, match="traced again"):
                kept(never)(*arguments())


def test_an_argument_that_is_not_used_counts_too(folder):
    # What is lowered leaves it out, so two programs lower to the same.
    kept()(*arguments())
    found, _ = kept()(*arguments(np.uint32))
    assert found["a"].shape == (3,)


def test_another_source_that_lowers_to_the_same_compiles_nothing(folder, monkeypatch):
    kept()(*arguments())
    monkeypatch.setattr(runs, "source", lambda: "another")
    monkeypatch.setattr(programs, "_dumped", never)
    kept()(*arguments())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data + b"more",
    ],
    ids=["empty", "no checksum", "half", "a bit", "more"],
)
def test_a_damaged_file_is_traced_and_written_anew(folder, damage):
    want, _ = kept()(*arguments())
    whole = {path: path.read_bytes() for path in folder.iterdir()}
    for path in whole:
        path.write_bytes(damage(whole[path]))
    found, _ = kept()(*arguments())
    np.testing.assert_array_equal(found["a"], want["a"])
    kept(never)(*arguments())
    value("fact", "k", lambda: 1)
    (path,) = set(folder.iterdir()) - set(whole)
    path.write_bytes(damage(path.read_bytes()))
    assert value("fact", "k", lambda: 2) == 2 and value("fact", "k", never) == 2


def test_a_file_that_is_whole_and_no_program_is_traced_anew(folder):
    kept()(*arguments())
    for path in folder.iterdir():
        programs._put(path, b"64" * 32)
    kept()(*arguments())


@pytest.mark.parametrize("fault", ["_dumped", "_loaded"])
def test_a_backend_that_cannot_keep_programs_has_jaxs_cache(folder, monkeypatch, fault):
    monkeypatch.setattr(programs, fault, lambda _: b"" if fault == "_dumped" else None)
    kept()(*arguments())
    monkeypatch.setattr(programs, "_without_cache", never)
    found, _ = kept()(*arguments())
    np.testing.assert_array_equal(found["a"], jax.jit(drawn)(*arguments())[0]["a"])


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(programs, "_folder", lambda: tmp_path / "file" / "programs")
    assert kept()(*arguments())[0]["a"].shape == (3,)


def test_inside_another_trace_it_is_the_function(folder):
    whole = jax.jit(lambda a: kept()({"a": a}, *arguments()[1:])[0]["a"])
    assert whole(np.zeros(3, np.float32)).shape == (3,) and not folder.exists()


def test_what_was_used_least_recently_goes_first(folder, monkeypatch):
    folder.mkdir()
    for number in range(4):
        (folder / str(number)).write_bytes(bytes(100))
        os.utime(folder / str(number), (number, number))
    programs._get(folder / "0")  # used now
    monkeypatch.setattr(programs, "MOST_BYTES", 250)
    programs._make_room(folder)
    assert {path.name for path in folder.iterdir()} == {"0", "3"}


def test_where_programs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        with jax.debug_key_reuse(False):
            assert programs._folder() == tmp_path / "programs"
            with jax.debug_nans(True):
                assert programs._folder() is None
            with jax.disable_jit():
                assert programs._folder() is None
            monkeypatch.setattr(jax, "device_count", lambda: 2)
            assert programs._folder() is None
        monkeypatch.setattr(jax, "device_count", lambda: 1)
        with jax.debug_key_reuse(True):
            assert programs._folder() is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


# What a warm command has no use for, by verb; torch is never imported.
HEAVY = {
    "flax", "optax", "scipy", "sklearn", "pandas", "tensorflow_datasets", "tensorboardX", "grain",
    "rich", "pyarrow", "optuna", "wandb", "PIL", "matplotlib", "jinja2",
}  # fmt: skip
DRAWN = {"PIL", "matplotlib", "jinja2"}  # by a report
SCRIPT = """
import json, sys
from vae.__main__ import main
for command in json.loads(sys.argv[1]):
    assert main(command) == 0
    print("MODULES", command[0], *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def commands(workdir, *verbs):
    changes = {"model.hidden": "(16,)", "model.latent_size": 3, "eval.iwae_samples": "(10,)"}
    config = [f"--config.{key}={text}" for key, text in changes.items()]
    train = ["train", "--config=configs/digits.py", "--config.train.epochs=1", *config]
    flags = [f"--workdir={workdir}"]
    return [[*(train if verb == "train" else [verb]), *flags] for verb in verbs]


def run(folder, lines, **env):
    """Runs commands in one new process; top-level modules after each."""
    torch = folder / "path" / "torch"
    torch.mkdir(parents=True, exist_ok=True)
    (torch / "__init__.py").write_text(f"open({str(folder / 'torch')!r}, 'w')\nraise ImportError")
    given = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{torch.parent}",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        "JAX_NUM_CPU_DEVICES": "1",
    }
    command = [sys.executable, "-P", "-c", SCRIPT, json.dumps(lines)]
    done = subprocess.run(command, cwd=ROOT, env=given | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (folder / "torch").exists(), "torch was imported"
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("MODULES")]
    return {verb: set(names) for _, verb, *names in told}


def numbers(workdir):
    """Everything that a run logs but times."""
    records = runs.read_metrics(workdir)
    return [{k: v for k, v in r.items() if k != "examples_per_second"} for r in records]


def assert_same(*workdirs):
    """Weights, optimiser, everything logged and every metric, bit for bit."""
    first, *others = map(last_state, workdirs)
    for other in others:
        assert other.keys() == first.keys()
        for path, array in first.items():
            np.testing.assert_array_equal(other[path], array, err_msg=path)
    assert all(numbers(workdir) == numbers(workdirs[0]) for workdir in workdirs)
    found = [runs.read_json(workdir / "evaluation.json")["metrics"] for workdir in workdirs]
    assert all(metrics == found[0] for metrics in found)


def test_a_warm_start_imports_little_and_gives_the_same(tmp_path):
    verbs = ("train", "evaluate", "report")
    run(tmp_path, commands(tmp_path / "cold", *verbs))
    warm = run(tmp_path, commands(tmp_path / "warm", *verbs))
    assert not HEAVY & warm["train"] and not HEAVY & warm["evaluate"]
    assert HEAVY & warm["report"] == DRAWN
    assert_same(tmp_path / "cold", tmp_path / "warm")


@pytest.mark.slow
def test_keeping_programs_changes_no_bit(tmp_path):
    verbs = ("train", "evaluate")
    for name, kept in (("kept", "1"), ("again", "1"), ("none", "0")):
        run(tmp_path, commands(tmp_path / name, *verbs), JAX_ENABLE_COMPILATION_CACHE=kept)
    assert_same(tmp_path / "kept", tmp_path / "again", tmp_path / "none")


def found(config):
    """A config's program by a key of its own."""
    dataset = grey_dataset()
    return setup.program(config, dataset, setup.key(config, dataset))


def test_what_is_refused_is_refused_where_nothing_is_traced(folder, monkeypatch):
    want = found(small_config(objective__name="autoencoder", model__likelihood="bernoulli"))
    monkeypatch.setattr(setup, "build", never)
    again = found(small_config(objective__name="autoencoder", model__likelihood="bernoulli"))
    assert again.terms == want.terms
    for key, number in (("beta", 2.0), ("capacity_epochs", 1.0)):
        changed = {"objective__name": "autoencoder", f"objective__{key}": number}
        with pytest.raises(UserError, match=f"has no {key.partition('_')[0]}"):
            found(small_config(**changed))


def test_a_key_is_of_all_that_is_not_traced(monkeypatch):
    def key(dataset=None, **changes):
        return setup.key(small_config(**changes), dataset or grey_dataset())

    same = ({"seed": 3}, {"objective__beta": 2.0}, {"optimizer__learning_rate": 0.1})
    assert {key(**changes) for changes in same} == {key()}
    others = [
        {"model__latent_size": 4}, {"model__hidden": (8,)}, {"train__batch_size": 20},
        {"train__ema": 0.9}, {"train__skip_steps": 1}, {"train__epochs": 5},
        {"objective__beta_schedule": "linear"}, {"optimizer__name": "sgd"},
        {"model__dtype": "bfloat16"}, {"data__binarization": "none"},
    ]  # fmt: skip
    data = [grey_dataset(110), grey_dataset(shape=(4, 2, 1)), grey_dataset(levels=9)]
    keys = [key(), *(key(**changes) for changes in others), *map(key, data)]
    assert len(set(keys)) == len(keys)


def test_a_key_of_a_kept_program_draws_counts(tmp_path):
    """Poisson draws, those of the negative binomial, ask whose key it is."""
    script = (
        "import jax; from vae.probability import noise;"
        "print(jax.random.poisson(noise.key_for(3, 'sample'), 9.0, (4,)).tolist())"
    )
    given = os.environ | {
        "PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
    }  # fmt: skip
    told = []
    for _ in range(2):  # compiles, then reads
        done = subprocess.run(
            [sys.executable, "-c", script], env=given, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1] and list((tmp_path / "programs").iterdir())

"""compress and decompress: the file, and what is said of one that does not fit."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

import vae
from tests import margins
from tests.helpers import finish, small_config, start_verb
from vae.__main__ import main
from vae.coding import container
from vae.errors import UserError
from vae.evaluation import compress

pytest.importorskip("constriction", reason="constriction codes: pip install 'vae[code]'")
HEADER = container.Header(3, [4], 2, 12, 0, [2, 1], 64, "weights", "0.1", "cpu")
WORDS = [np.array([7, 2**32 - 1], np.uint32), np.array([5], np.uint32)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of one config, by other seeds."""
    made = [tmp_path_factory.mktemp("runs") / name for name in ("a", "b")]
    for seed, workdir in enumerate(made):
        config = small_config(train__epochs=1, seed=seed, model__likelihood="bernoulli")
        vae.train(config, str(workdir))
    return made


def test_a_file_is_read_as_it_was_written(tmp_path):
    size = container.write(tmp_path / "f", HEADER, WORDS)
    assert size == (tmp_path / "f").stat().st_size
    header, words = container.read(tmp_path / "f")
    assert header == HEADER
    for found, written in zip(words, WORDS, strict=True):
        np.testing.assert_array_equal(found, written)


@pytest.mark.parametrize("part", ["first", "header", "words", "checksum", "end"])
def test_a_damaged_file_is_found_out(tmp_path, part):
    container.write(tmp_path / "f", HEADER, WORDS)
    content = bytearray((tmp_path / "f").read_bytes())
    if part == "end":
        content = content[:-5]
    else:
        place = {"first": 0, "header": 20, "words": -40, "checksum": -1}[part]
        content[place] ^= 4
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UserError, match="no file that compress" if part == "first" else "damaged"):
        container.read(tmp_path / "f")


def test_of_200_changes_of_a_file_each_is_refused_in_a_line(tmp_path):
    """Bits that flip, parts that are cut, taken out, doubled or overwritten; and files whose
    checksum is right, of a header that is not."""
    container.write(tmp_path / "f", HEADER, WORDS)
    whole, rng = (tmp_path / "f").read_bytes(), np.random.default_rng(0)
    made = [whole, b""]
    while len(made) < 202:
        first, last = sorted(rng.integers(0, len(whole) + 1, 2).tolist())
        part = whole[first:last]
        noise = rng.integers(0, 256, len(part), np.uint8).tobytes()
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        header = json.dumps({**dataclasses.asdict(HEADER), "num": ["x", -1, None][first % 3]})
        body = whole[:8] + len(header).to_bytes(4, "little") + header.encode() + part
        cut, doubled = whole[:first] + whole[last:], whole[:last] + part + whole[last:]
        changes = [
            whole[:first], cut, doubled, whole[:first] + noise + whole[last:], bytes(flipped),
            body + hashlib.sha256(body).digest(),
        ]  # fmt: skip
        change = changes[len(made) % len(changes)]
        if change not in made:
            made.append(change)
    for number, content in enumerate(made[1:]):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(UserError, match=f"{tmp_path}/f (is|has)") as refused:
            container.read(tmp_path / "f")
        assert "\n" not in str(refused.value), number


def test_a_file_of_another_version_is_refused(tmp_path):
    container.write(tmp_path / "f", HEADER, WORDS)
    content = bytearray((tmp_path / "f").read_bytes())
    content[7] = 9
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(UserError, match="version 9 of the format"):
        container.read(tmp_path / "f")


def test_test_images_come_back_to_the_last_bit(runs, tmp_path, capsys):
    file, back = tmp_path / "test.vaebits", tmp_path / "back.npz"
    assert main(["compress", f"--workdir={runs[0]}", "--streams=7", f"--output={file}"]) == 0
    said = capsys.readouterr().out
    assert f"in {file.stat().st_size:,} bytes" in said
    asked = [f"--workdir={runs[0]}", f"--input={file}", f"--output={back}"]
    assert main(["decompress", *asked]) == 0
    x = vae.load(runs[0]).examples("test")
    with np.load(back) as found:
        assert found["x"].dtype == np.uint8
        np.testing.assert_array_equal(found["x"], x)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"weights": "0"}, "compressed by another run"),
        ({"jax": "0.0.1"}, "written with jax 0.0.1"),
        ({"device": "TPU v9"}, "on TPU v9"),
    ],
)
def test_what_both_sides_have_to_share_is_checked(runs, tmp_path, capsys, changes, words):
    file, back = tmp_path / "f", tmp_path / "back.npz"
    assert main(["compress", f"--workdir={runs[0]}", f"--output={file}"]) == 0
    header, stacks = container.read(file)
    container.write(file, dataclasses.replace(header, **changes), stacks)
    asked = [f"--workdir={runs[0]}", f"--input={file}", f"--output={back}"]
    assert main(["decompress", *asked]) == 2
    assert words in capsys.readouterr().err and not back.exists()


def test_the_file_of_another_run_is_refused(runs, tmp_path, capsys):
    file = tmp_path / "f"
    assert main(["compress", f"--workdir={runs[0]}", f"--output={file}"]) == 0
    asked = [f"--workdir={runs[1]}", f"--input={file}", f"--output={tmp_path / 'x.npz'}"]
    assert main(["decompress", *asked]) == 2
    assert "another run" in capsys.readouterr().err


def test_evaluation_lays_the_length_beside_the_bound(runs):
    metrics = vae.evaluate(str(runs[0]), metrics=["code"])["metrics"]
    run = vae.load(runs[0])
    bound = -run.elbo(run.examples("test"), samples=100).mean() / np.log(2.0) / np.prod(run.shape)
    # Latents of a model this young are far from the prior, and bits taken back are not quite even.
    margins.near(metrics["bits_net"]["value"], bound, 0.02 * bound)
    assert metrics["bits_png"]["value"] > metrics["bits_net"]["value"]
    first = metrics["bits_first"]["value"] * np.prod(run.shape) * len(run.examples("test"))
    assert round(first) == compress.coder(run, compress.PRECISION, compress.STREAMS, 2).push(
        np.zeros((0, *run.shape), int)
    ).first


@pytest.mark.slow
def test_more_devices_write_the_same_bytes(runs, tmp_path):
    written = []
    for devices in (1, 4):
        file = tmp_path / str(devices)
        asked = ("compress", runs[0], f"--output={file}")
        finish(start_verb(*asked, JAX_NUM_CPU_DEVICES=str(devices)))
        written.append(file.read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("flag", ["--precision=0", "--precision=30", "--streams=0"])
def test_settings_that_make_no_sense_are_refused(runs, tmp_path, capsys, flag):
    file = tmp_path / "f"
    assert main(["compress", f"--workdir={runs[0]}", f"--output={file}", flag]) == 2
    assert flag in capsys.readouterr().err and not file.exists()

"""`prepare`: original IDX files to TFDS's format, checked before and whole after."""

import gzip
import importlib.util
import struct

import numpy as np
import pytest

from tests.helpers import original
from vae.data import describe, idx, load, prepare
from vae.errors import RunError, UserError

RNG = np.random.default_rng(0)
ARRAYS = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (30, 28, 28)).astype(np.uint8),
    "train-labels-idx1-ubyte": RNG.integers(0, 10, 30).astype(np.uint8),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (10, 28, 28)).astype(np.uint8),
    "t10k-labels-idx1-ubyte": RNG.integers(0, 10, 10).astype(np.uint8),
}


def _bytes(array):
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def originals(tmp_path, small_row):
    """Four small IDX files, one gzipped; the tables are made to expect them."""
    for name in ("mnist", "fashion_mnist", "kmnist"):
        small_row(name, sizes={"train": 30, "test": 10}, validation=5)
    folder = tmp_path / "originals"
    folder.mkdir()
    for name, array in ARRAYS.items():
        (folder / name).write_bytes(_bytes(array))
    path = folder / "train-images-idx3-ubyte"
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return folder


@pytest.mark.parametrize("name", ["fashion_mnist", "kmnist"])
def test_idx_files_become_a_data_set(config, originals, tmp_path, name):
    folder = prepare(name, str(tmp_path / "out"), str(originals))
    assert folder == tmp_path / "out" / name / "3.0.1"
    data = load(config(name=name, dir=str(tmp_path / "out")))
    assert [len(split) for split in data.splits.values()] == [25, 5, 10]
    for prefix, parts in (("train", ("train", "validation")), ("t10k", ("test",))):
        ours = {
            (image.tobytes(), label)
            for part in parts
            for image, label in zip(data.splits[part].x, data.splits[part].labels, strict=True)
        }
        images, labels = (
            ARRAYS[f"{prefix}-images-idx3-ubyte"],
            ARRAYS[f"{prefix}-labels-idx1-ubyte"],
        )
        assert ours == {(i.tobytes(), label) for i, label in zip(images, labels, strict=True)}


def test_tfds_reads_what_was_prepared(originals, tmp_path):
    import tensorflow_datasets as tfds

    prepare("kmnist", str(tmp_path), str(originals))
    source = tfds.data_source("kmnist", data_dir=str(tmp_path), download=False, split="test")
    images = {example["image"].tobytes() for example in source}
    assert images == {image.tobytes() for image in ARRAYS["t10k-images-idx3-ubyte"]}


def test_preparing_twice_does_nothing(originals, tmp_path):
    folder = prepare("kmnist", str(tmp_path), str(originals))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert prepare("kmnist", str(tmp_path)) == folder  # not even the originals are needed
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    (folder / "dataset_info.json").unlink()
    with pytest.raises(UserError, match="is damaged.*\nDelete that folder"):
        prepare("kmnist", str(tmp_path), str(originals))


def _damage(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("t10k-images-idx3-ubyte", lambda b: b[:-1], "10x28x28"),
        ("t10k-images-idx3-ubyte", lambda b: b + b"\0", "10x28x28"),
        ("t10k-images-idx3-ubyte", lambda b: b"\0\0\x08\x01" + b[4:], "damaged or not of kmnist"),
        ("t10k-labels-idx1-ubyte", lambda b: b[:7] + b"\x09" + b[8:-1], "IDX of shape 10"),
        ("t10k-labels-idx1-ubyte", lambda b: b[:-1] + b"\x0a", "holds 10, kmnist has 0..9"),
        ("train-images-idx3-ubyte.gz", lambda b: b[:-3000], "is damaged .*: fetch it again"),
        ("train-images-idx3-ubyte.gz", lambda b: b[:2000] + b[2100:], "is damaged"),
        ("train-labels-idx1-ubyte", lambda b: b"", "damaged or not of kmnist"),
    ],
)
def test_wrong_originals_are_refused_and_leave_nothing(originals, tmp_path, name, change, message):
    _damage(originals, name, change)
    with pytest.raises(UserError, match=message) as caught:
        prepare("kmnist", str(tmp_path / "out"), str(originals))
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_contents_decide_which_data_set_it_is(originals, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="train-images-idx3-ubyte.gz is damaged: its unpacked md5"):
        prepare("mnist", str(tmp_path / "out"), str(originals))
    digest = idx.hashlib.md5(_bytes(ARRAYS["t10k-images-idx3-ubyte"])).hexdigest()
    monkeypatch.setitem(idx._MNIST_MD5, "t10k-images", digest)
    with pytest.raises(UserError, match="belongs to mnist, not to fashion_mnist"):
        prepare("fashion_mnist", str(tmp_path / "out"), str(originals))


def test_missing_originals_are_named(originals, tmp_path):
    (originals / "t10k-labels-idx1-ubyte").unlink()
    for folder, name in (
        (originals, "t10k-labels-idx1-ubyte"),
        (tmp_path / "none", "train-images"),
    ):
        with pytest.raises(UserError, match=f"holds no {name}.*--from"):
            prepare("kmnist", str(tmp_path / "out"), str(folder))


def test_interrupted_preparation_leaves_nothing_that_loads(
    config, originals, tmp_path, monkeypatch
):
    from tensorflow_datasets.image_classification import mnist

    def interrupted(self, *args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mnist.tfds.features.Image, "encode_example", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare("kmnist", str(tmp_path / "out"), str(originals))
    with pytest.raises(UserError, match="kmnist is not prepared"):
        load(config(name="kmnist", dir=str(tmp_path / "out")))
    killed = tmp_path / "out" / "kmnist" / "incomplete.XYZ_3.0.1"  # as SIGKILL leaves it
    (killed / "parts").mkdir(parents=True)
    prepare("kmnist", str(tmp_path / "out"), str(originals))
    load(config(name="kmnist", dir=str(tmp_path / "out")))
    assert not killed.exists()


def test_what_needs_no_preparing_or_cannot_be_says_so(tmp_path, monkeypatch):
    for name in ("digits", "sprites", "files"):
        with pytest.raises(UserError, match=f"{name} needs no preparing"):
            prepare(name, str(tmp_path))
    with pytest.raises(UserError, match="prepare celeb_a: --from reads mnist, fashion_mnist"):
        prepare("celeb_a", str(tmp_path), str(tmp_path))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow" else find(name)
    )
    with pytest.raises(UserError, match="downloading cifar10 needs .*pip install tensorflow-cpu$"):
        prepare("cifar10", str(tmp_path))


def test_download_goes_through_tfds_and_fails_in_one_line(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.util import DownloadError

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    asked = {}

    class Builder:
        def __init__(self, name, **keys):
            asked.update(name=name, **keys)

        def download_and_prepare(self):
            raise self.error

    monkeypatch.setattr(tfds, "builder", Builder)
    for error in (ConnectionError("no\nnetwork"), DownloadError("no\nnetwork")):
        Builder.error = error
        with pytest.raises(RunError, match="^preparing cifar10 failed: no network$"):
            prepare("cifar10", str(tmp_path))
    assert (asked["name"], asked["version"], asked["file_format"]) == (
        "cifar10",
        "3.0.2",
        "array_record",
    )
    Builder.error = ImportError("No module named 'h5py'")
    with pytest.raises(UserError, match="needs another package: No module named 'h5py'"):
        prepare("cifar10", str(tmp_path))


def test_full_disk_is_one_line_and_leaves_nothing_that_loads(
    config, originals, tmp_path, monkeypatch
):
    from tensorflow_datasets.core import writer

    def full(self, *args, **keys):
        raise RuntimeError("write() failed: No space left on device;\nat byte 8388608")

    monkeypatch.setattr(writer.Writer, "finalize", full)
    with pytest.raises(RunError, match="^preparing kmnist failed: .*No space left on device.*$"):
        prepare("kmnist", str(tmp_path / "out"), str(originals))
    with pytest.raises(UserError, match="kmnist is not prepared"):
        load(config(name="kmnist", dir=str(tmp_path / "out")))


@pytest.mark.slow
def test_real_mnist_from_its_original_files(config, tmp_path):
    folder = original("mnist")
    prepare("mnist", str(tmp_path), str(folder))
    data = load(config(name="mnist", dir=str(tmp_path)))
    assert describe(data) == (
        "mnist 3.0.1: train 50,000, validation 10,000, test 10,000; 28x28x1, 0..255"
    )
    x, labels = idx.read_split("mnist", folder, "test", 10_000, 10)
    order = np.lexsort(x.reshape(10_000, -1).T)
    ours = np.lexsort(data.splits["test"].x.reshape(10_000, -1).T)
    np.testing.assert_array_equal(data.splits["test"].x[ours], x[order])
    train = np.concatenate([data.splits[split].labels for split in ("train", "validation")])
    assert np.bincount(train).tolist() == [  # as published
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    np.testing.assert_array_equal(np.bincount(data.splits["test"].labels), np.bincount(labels))

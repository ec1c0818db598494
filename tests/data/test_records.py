"""Data sets in TFDS's format: what each row makes of the records, the cache, and damage."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae.data import describe, load, records
from vae.errors import RunError, UserError

RNG = np.random.default_rng(0)


def _digits(number, start=0):
    """Examples of 28x28 with the number of the example in the top row."""
    x = RNG.integers(0, 256, (number, 28, 28)).astype(np.uint8)
    x[:, 0, 0] = np.arange(start, start + number)
    return x, [
        {"image": Image.fromarray(image), "label": index % 10} for index, image in enumerate(x)
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_mnist_row(config, write_tfds, stream):
    (train, train_examples), (test, test_examples) = _digits(300), _digits(30, 200)
    folder = write_tfds("mnist", {"train": train_examples, "test": test_examples})
    data = load(config(name="mnist", dir=folder, validation_size=40, stream=stream))
    assert describe(data) == "mnist 3.0.1: train 260, validation 40, test 30; 28x28x1, 0..255"
    x = np.concatenate([data.splits[name].x[:] for name in ("train", "validation")])
    labels = np.concatenate([data.splits[name].labels[:] for name in ("train", "validation")])
    # TFDS writes in the order of its hash; the pictures and labels are the same ones.
    place = {image.tobytes(): index for index, image in enumerate(train)}
    found = [place[image.tobytes()] for image in x]
    assert sorted(found) == list(range(300)) and x.shape[1:] == (28, 28, 1)
    np.testing.assert_array_equal(labels, np.array(found) % 10)
    assert labels.dtype == np.int32
    assert {image.tobytes() for image in data.splits["test"].x[:]} == {i.tobytes() for i in test}


def test_emnist_letters_are_turned_upright(config, write_tfds):
    upright = np.zeros((28, 28), np.uint8)
    upright[4:24, 10] = 255  # an L: as it should be seen
    upright[23, 10:20] = 255
    stored = {"image": Image.fromarray(np.ascontiguousarray(upright.T)), "label": 12}
    folder = write_tfds("emnist/letters", {"train": [stored] * 20, "test": [stored] * 5})
    data = load(config(name="emnist/letters", dir=folder, validation_size=5))
    for split in data.splits.values():
        assert (split.x[..., 0] == upright).all() and (split.labels == 12).all()


def test_omniglot_is_small_bright_ink_on_black(config, write_tfds):
    page = np.full((105, 105, 3), 255, np.uint8)
    page[30:34, 20:80] = 0  # one dark stroke of 4 lines
    example = {"image": Image.fromarray(page), "label": 7}
    folder = write_tfds("omniglot", {"train": [example] * 20, "test": [example] * 5})
    data = load(config(name="omniglot", dir=folder, validation_size=5))
    x = data.splits["test"].x[0, :, :, 0].astype(int)
    assert data.shape == (28, 28, 1) and data.kind == "grey"
    assert x[0, 0] == 0 and x[8, 12] > 150  # 32 / 105 of the height
    ink = 60 * 4 * 255 / 105**2
    assert abs(x.mean() - ink) < 0.05 * ink


def test_celeb_a_is_the_middle_at_64(config, write_tfds):
    face = np.zeros((218, 178, 3), np.uint8)
    face[35:183, 15:163] = (200, 100, 50)  # the centre of 148
    splits = {"train": 6, "validation": 3, "test": 3}
    example = {"image": Image.fromarray(face)}
    folder = write_tfds("celeb_a", {split: [example] * count for split, count in splits.items()})
    data = load(config(name="celeb_a", dir=folder))
    assert {name: len(split) for name, split in data.splits.items()} == splits
    assert data.shape == (64, 64, 3) and data.splits["train"].labels is None
    error = abs(data.splits["test"].x.astype(int) - (200, 100, 50))
    assert error[:, 2:-2, 2:-2].max() < 12 and error.max() < 60  # JPEG; its blocks cross the edge
    assert load(config(name="celeb_a", dir=folder, image_size=32)).shape == (32, 32, 3)


def test_dsprites_are_binary_with_factors(config, write_tfds, small_row):
    small_row("dsprites", test=5)
    factors = RNG.integers(0, 3, (40, 5))
    keys = [f"label_{key}" for key in ("shape", "scale", "orientation", "x_position", "y_position")]
    examples = []
    for row in factors:
        image = np.zeros((64, 64), np.uint8)
        image[:5, 0] = row > 0
        examples.append({"image": Image.fromarray(image), **dict(zip(keys, row, strict=True))})
    folder = write_tfds("dsprites", {"train": examples})
    with pytest.raises(UserError, match="data.validation_size=99 does not leave a training set"):
        load(config(name="dsprites", validation_size=99, dir=folder))
    memory, stream = (
        load(config(name="dsprites", validation_size=4, dir=folder, stream=stream))
        for stream in (False, True)
    )
    assert memory.factor_names == ("shape", "scale", "orientation", "x_position", "y_position")
    assert memory.factor_sizes == (3, 6, 40, 32, 32) and memory.kind == "binary"
    for name, split in memory.splits.items():
        np.testing.assert_array_equal(split.x[:, :5, 0, 0], split.factors > 0)
        np.testing.assert_array_equal(stream.splits[name].x[:], split.x)
        np.testing.assert_array_equal(stream.splits[name].factors[:], split.factors)
    assert [len(split) for split in memory.splits.values()] == [31, 4, 5]


@pytest.fixture
def prepared(write_tfds):
    """A small MNIST; returns its data_dir and the folder of the version."""
    splits = {"train": _digits(300)[1], "test": _digits(300)[1]}
    folder = Path(write_tfds("mnist", splits))
    return str(folder), folder / "mnist" / "3.0.1"


def _load(config, directory, **keys):
    return load(config(name="mnist", dir=directory, validation_size=20, **keys))


def test_decoding_happens_once_and_again_when_it_must(config, prepared, monkeypatch, tmp_path):
    directory, folder = prepared
    decoded = []
    picture = records._Reader.picture
    monkeypatch.setattr(
        records._Reader, "picture", lambda self, f: decoded.append(1) or picture(self, f)
    )
    first = _load(config, directory)
    assert len(decoded) == 600
    again = _load(config, directory)
    assert len(decoded) == 600
    np.testing.assert_array_equal(first.splits["test"].x, again.splits["test"].x)
    assert _load(config, directory, image_size=14).shape == (14, 14, 1)  # has its own cache
    assert len(decoded) == 1200
    damaged = next(folder.glob("decoded-*/test/x.npy"))
    damaged.write_bytes(damaged.read_bytes()[:999])
    _load(config, directory)
    _load(config, directory, image_size=14)
    assert len(decoded) == 1500
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("Made for a test", "Made again"))
    _load(config, directory)
    assert len(decoded) == 2100  # another data set, as far as one can see
    assert not list(folder.glob("**/.new-*"))


def test_read_only_data_is_decoded_into_the_users_cache(config, prepared, monkeypatch):
    directory, folder = prepared
    monkeypatch.setattr(records.os, "access", lambda path, mode: False)  # root may write anywhere
    _load(config, directory)
    assert not list(folder.glob("decoded-*"))
    _load(config, directory)


def test_a_cache_that_cannot_be_written_is_one_message(config, prepared, monkeypatch, tmp_path):
    directory, _ = prepared
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(records.os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match="cannot write the cache .*\nMake room there"):
        _load(config, directory)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("file", ["*test.array_record*", "dataset_info.json", "features.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half"])
def test_damaged_data_says_to_prepare_it_again(config, prepared, stream, file, damage):
    directory, folder = prepared
    (path,) = folder.glob(file)
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[: len(content) // 2] if damage == "half" else b"")
    with pytest.raises(UserError, match=r"3\.0\.1 is damaged .*\nDelete that folder and prepare"):
        _load(config, directory, stream=stream)


def test_records_damaged_in_the_middle_are_found_when_they_are_read(config, prepared):
    directory, folder = prepared
    (path,) = folder.glob("*test.array_record*")
    content = bytearray(path.read_bytes())
    middle = len(content) // 4
    content[middle : middle + 2000] = RNG.bytes(2000)
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        _load(config, directory)
    assert not list(folder.glob("decoded-*/test"))  # nothing half-written
    with pytest.raises(UserError, match="is damaged"):
        _ = _load(config, directory, stream=True).splits["test"].x[:]


def test_tfrecord_files_are_refused_with_the_way_out(config, prepared):
    directory, folder = prepared
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
    with pytest.raises(UserError, match="holds tfrecord files.*\n.*prepare mnist --data_dir DIR"):
        _load(config, directory)


def test_what_an_interrupted_preparation_leaves_is_not_the_data_set(config, prepared):
    directory, folder = prepared
    shutil.move(folder, folder.with_name("incomplete.ABCDEF_3.0.1"))
    with pytest.raises(UserError, match="mnist is not prepared"):
        _load(config, directory)


@pytest.fixture
def write_other(tmp_path):
    """`write_other(name, features, {split: examples})`: a data set that the table does not have."""

    def write(name, features, splits):
        import tensorflow_datasets as tfds

        with tfds.core.registered.skip_registration():

            class Written(tfds.core.GeneratorBasedBuilder):
                VERSION = tfds.core.Version("1.2.0")

                def _info(self):
                    return tfds.core.DatasetInfo(
                        builder=self, description="", features=tfds.features.FeaturesDict(features)
                    )

                def _split_generators(self, dl_manager):
                    return {split: enumerate(examples) for split, examples in splits.items()}

                def _generate_examples(self):
                    raise AssertionError("the split generators generate")

        Written.name = name
        folder = tmp_path / "tfds"
        Written(data_dir=str(folder), file_format="array_record").download_and_prepare()
        return str(folder)

    return write


@pytest.mark.parametrize("stream", [False, True])
def test_pictures_of_tfds_that_the_table_does_not_have(config, write_other, stream):
    import tensorflow_datasets as tfds

    features = {"photo": tfds.features.Image(shape=(8, 8, 3)),
                "kind": tfds.features.ClassLabel(num_classes=4)}  # fmt: skip
    photos = RNG.integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    photos[:, 0, 0, 0] = np.arange(50)
    examples = [{"photo": Image.fromarray(x), "kind": n % 4} for n, x in enumerate(photos)]
    folder = write_other("flowers", features, {"train": examples[:40], "test": examples[40:]})
    data = load(config(name="tfds:flowers", dir=folder, stream=stream))
    assert describe(data).startswith("tfds:flowers 1.2.0: train 36, validation 4, test 10; 8x8x3")
    for split in data.splits.values():
        at = np.asarray(split.x)[:, 0, 0, 0]
        np.testing.assert_array_equal(split.x[:], photos[at])
        np.testing.assert_array_equal(split.labels[:], at % 4)


@pytest.mark.parametrize("stream", [False, True])
def test_vectors_of_tfds_that_the_table_does_not_have(config, write_other, stream):
    import tensorflow_datasets as tfds

    features = {"x": tfds.features.Tensor(shape=(3,), dtype=np.float32),
                "note": tfds.features.Text()}  # fmt: skip
    x = RNG.normal(size=(40, 3)).astype(np.float32)
    folder = write_other("waves", features, {"train": [{"x": row, "note": ""} for row in x]})
    data = load(config(name="tfds:waves", dir=folder, stream=stream))
    assert (data.kind, data.shape, data.name) == ("real", (3,), "tfds:waves")
    seen = np.concatenate([np.asarray(split.x) for split in data.splits.values()])
    assert sorted(seen.tolist()) == sorted(x.tolist())


def test_of_tfds_only_what_is_prepared_and_fits_is_read(config, write_other, tmp_path):
    import tensorflow_datasets as tfds

    with pytest.raises(UserError, match="tfds:roses: no version of it in"):
        load(config(name="tfds:roses", dir=str(tmp_path)))
    features = {"note": tfds.features.Text()}
    folder = write_other("notes", features, {"train": [{"note": "a"}] * 20})
    with pytest.raises(UserError, match="it needs pictures or vectors of one size"):
        load(config(name="tfds:notes", dir=folder))
    features = {"image": tfds.features.Image(shape=(6, 8, 1))}
    picture = {"image": Image.fromarray(np.zeros((6, 8), np.uint8))}
    folder = write_other("wide", features, {"train": [picture] * 20})
    with pytest.raises(UserError, match="holds pictures of 6x8"):
        load(config(name="tfds:wide", dir=folder))

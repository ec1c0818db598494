"""The user's own arrays and pictures: every layout that is read, and every refusal."""

import warnings

import numpy as np
import pytest
from PIL import Image

from vae.data import describe, load
from vae.data.observe import observed, training_mean
from vae.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 6, 5)).astype(np.uint8)
REAL = RNG.normal(size=(40, 7))


@pytest.fixture
def load_files(config, tmp_path):
    """Saves arrays as .npz (several) or .npy (one) and loads them."""

    def run(arrays, **keys):
        path = tmp_path / ("data.npz" if isinstance(arrays, dict) else "data.npy")
        if isinstance(arrays, dict):
            np.savez(path, **arrays)
        else:
            np.save(path, arrays)
        return load(config(name="files", path=str(path), **keys))

    return run


def _sorted(split_arrays):
    return np.sort(
        np.concatenate([a.reshape(len(a), -1).sum(1, dtype=float) for a in split_arrays])
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("array", "kind", "levels", "shape"),
    [
        (GREY, "grey", 256, (6, 5, 1)),
        (GREY.astype(np.int64)[..., None], "grey", 256, (6, 5, 1)),
        (RNG.integers(0, 256, (40, 4, 4, 3)).astype(np.uint8), "grey", 256, (4, 4, 3)),
        (GREY > 99, "binary", 2, (6, 5, 1)),
        ((GREY > 99).astype(np.float64), "binary", 2, (6, 5, 1)),
        (REAL, "real", 0, (7,)),
        (REAL.reshape(40, 7, 1, 1).astype(np.float16), "real", 0, (7, 1, 1)),
    ],
)
def test_an_array_is_what_its_values_say(load_files, array, kind, levels, shape, stream):
    data = load_files(array, stream=stream)
    assert (data.kind, data.levels, data.shape) == (kind, levels, shape)
    assert [len(split) for split in data.splits.values()] == [32, 4, 4]
    x = [np.asarray(split.x) for split in data.splits.values()]
    assert x[0].dtype == (np.float32 if kind == "real" else np.uint8)
    np.testing.assert_allclose(_sorted(x), _sorted([array]), rtol=1e-5)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_that_are_first_are_put_last_and_it_is_said(load_files, channels, dtype, stream):
    last = RNG.integers(0, 256, (40, 8, 6, channels)).astype(dtype)
    if dtype is np.float32:
        last /= 255
    with warnings.catch_warnings(action="error"):
        wanted = {name: split.x[:] for name, split in load_files(last).splits.items()}
    for arrays in (last.transpose(0, 3, 1, 2), {"train": np.moveaxis(last, 3, 1)}):
        with pytest.warns(UserWarning, match=r"channels are first, \[N, C, H, W\]") as said:
            data = load_files(arrays, stream=stream)
        assert len(said) == 1 and data.shape == (8, 6, channels)
        for split, expected in wanted.items():
            np.testing.assert_array_equal(data.splits[split].x[:], expected)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((40, 3, 4, 4), None),  # 3x4 pixels of 4 channels, as the last axis says
        ((40, 8, 6, 4), None),
        ((40, 8, 6, 5), "taken for 8x6 pixels of 5 channels"),
        ((40, 12, 8, 8), "taken for 12x8 pixels of 8 channels"),
    ],
)
def test_axes_that_may_be_what_the_last_says_stay(load_files, shape, said):
    x = np.arange(np.prod(shape)).reshape(shape) % 256
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert load_files(x).shape == shape[1:]
    assert [said in str(line.message) for line in found] == [True] * (said is not None)


def test_arrays_that_are_not_read_are_named(load_files):
    arrays = {"train": GREY[:30], "val": GREY[30:], "train_labels": np.arange(30), "classes": GREY}
    with pytest.warns(UserWarning, match="holds arrays that are not read: classes, val"):
        load_files(arrays)
    with warnings.catch_warnings(action="error"):
        load_files({"x": GREY, "labels": np.arange(40), "context": REAL})


def test_labels_stay_with_their_examples(load_files):
    x = np.arange(40 * 4).reshape(40, 2, 2).astype(np.uint8)
    for key in ("labels", "y"):
        data = load_files({"x": x, key: x[:, 0, 0].astype(float)})
        for split in data.splits.values():
            assert split.labels.dtype == np.int32
            np.testing.assert_array_equal(split.labels, split.x[:, 0, 0, 0])


@pytest.mark.parametrize("names", ["{}", "x_{}"])
def test_given_splits_are_kept(load_files, names):
    arrays = {names.format("train"): GREY[:30], names.format("test"): GREY[30:]}
    data = load_files({**arrays, "test_labels": np.arange(10)})
    np.testing.assert_array_equal(data.splits["test"].x[..., 0], GREY[30:])
    np.testing.assert_array_equal(data.splits["test"].labels, np.arange(10))
    assert data.splits["train"].labels is None
    assert (len(data.splits["train"]), len(data.splits["validation"])) == (27, 3)
    data = load_files({**arrays, names.format("validation"): GREY[:7]})
    np.testing.assert_array_equal(data.splits["validation"].x[..., 0], GREY[:7])


def test_real_numbers_are_not_binarised_and_ones_need_none(load_files):
    with pytest.raises(UserError, match="data.binarization='dynamic'.*data.binarization=none"):
        load_files(REAL, binarization="dynamic")
    data = load_files(GREY > 99, binarization="dynamic")
    assert data.kind == "binary" and not data.splits["test"].binarized


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "most", "levels", "dtype"),
    [
        ("binary", 1, 2, np.uint8),
        ("grey", 200, 256, np.uint8),
        ("real", 3, 0, np.float32),
        ("counts", 255, 0, np.uint8),
        ("counts", 60_000, 0, np.uint16),
        ("counts", 2**24, 0, np.int32),
        ("tokens", 9, 10, np.uint8),
        ("tokens", 4_000, 4_001, np.uint16),
    ],
)
def test_numbers_are_what_data_kind_says(load_files, kind, most, levels, dtype, stream):
    """In the smallest type that holds them, as whole or floating-point numbers in the file."""
    x = np.arange(280).reshape(40, 7) % (most + 1)
    x[-1, -1] = most
    for array in (x, x.astype(np.float64)):
        data = load_files(array, kind=kind, stream=stream)
        assert (data.kind, data.levels, data.shape) == (kind, levels, (7,))
        parts = [np.asarray(split.x) for split in data.splits.values()]
        assert {part.dtype for part in parts} == {np.dtype(dtype)}
        np.testing.assert_array_equal(_sorted(parts), _sorted([x]))
        seen = np.concatenate([observed(data, split)[:] for split in data.splits])
        scale = levels - 1 if kind == "grey" else 1  # only brightness is brought to [0, 1]
        assert seen.dtype == np.float32
        np.testing.assert_allclose(_sorted([seen * scale]), _sorted([x]), rtol=1e-5)
        np.testing.assert_allclose(
            training_mean(data), observed(data, "train")[:].mean(0), rtol=1e-5
        )
        told = describe(data)
        assert told.endswith({"counts": "; 7, counts", "tokens": f"tokens 0..{most}"}.get(kind, ""))


def test_a_part_of_the_tokens_keeps_all_ids(load_files):
    x = np.zeros((40, 7), int)
    x[0] = 30
    data = load_files({"train": x[1:], "test": x[:2]}, kind="tokens", size=20)
    assert data.levels == 31 and sum(map(len, data.splits.values())) == 20


@pytest.mark.parametrize(
    ("kind", "array", "message"),
    [
        ("counts", REAL, "counts.*0 to 16777216.*holds fractions"),
        ("counts", np.arange(280).reshape(40, 7) - 3, "holds -3"),
        ("counts", np.full((40, 7), 2**24 + 1), "holds 16777217"),
        ("counts", GREY, r"vectors \[N, D\]: .* has 3 axes"),
        ("tokens", np.full((40, 7), 2**16), "0 to 65535.*holds 65536"),
        ("grey", np.full((40, 7), 256), "holds 256: scale and round"),
        ("grey", GREY / 255, "holds fractions: scale and round"),
        ("binary", GREY, "0 to 1, and .* holds 25"),
        ("words", REAL, "data.kind='words' is not one of"),
    ],
)
def test_numbers_that_are_not_of_their_kind_are_refused(load_files, kind, array, message):
    with pytest.raises(UserError, match=message) as caught:
        load_files(array, kind=kind)
    assert len(str(caught.value).splitlines()) <= 2


def test_only_your_own_arrays_need_a_kind(config, load_files, tmp_path):
    with pytest.raises(UserError, match="data.kind='counts' is for data.name=files"):
        load(config(kind="counts"))
    (tmp_path / "pictures").mkdir()
    for index, array in enumerate(GREY):
        Image.fromarray(array).save(tmp_path / "pictures" / f"{index}.png")
    keys = dict(name="files", path=str(tmp_path / "pictures"))
    assert load(config(**keys, kind="grey")).kind == "grey"
    with pytest.raises(UserError, match="pictures, which are grey"):
        load(config(**keys, kind="counts"))
    with pytest.raises(UserError, match="holds counts, which have no brightness"):
        load_files(REAL.astype(int) ** 2, kind="counts", binarization="dynamic")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (np.where(np.arange(280).reshape(40, 7) == 88, np.nan, REAL), "NaN.*example 12"),
        (np.where(np.arange(280).reshape(40, 7) == 7, np.inf, REAL), "infinity.*example 1:"),
        (np.full((40, 7), 1e300), "infinity"),
        (GREY.astype(int) + 10, "whole numbers from 10 to 265"),
        (GREY.astype(int) - 10, "whole numbers from -10"),
        (np.arange(40.0), r"float64 of shape \(40,\)"),
        (np.array(["a", "b"]), "<U1"),
        (np.array([{}]), "damaged"),
        (REAL[:0], r"shape \(0, 7\)"),
        (REAL[:2], "does not leave a training set"),
        ({"z": REAL}, "holds z: name the array x or train"),
        ({"x": REAL, "y": np.arange(3)}, r"labels of shape \(3,\) do not fit 40"),
        ({"x": REAL, "y": np.linspace(0, 1, 40)}, "labels have to be whole numbers"),
        ({"train": REAL, "test": REAL[:, :3]}, "the splits differ"),
    ],
)
def test_data_that_is_not_data_is_refused(load_files, arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        load_files(arrays)
    assert len(str(caught.value).splitlines()) <= 2


def test_vectors_have_no_image_size(load_files):
    with pytest.raises(UserError, match="data.image_size=8.*vectors"):
        load_files(REAL, image_size=8)


@pytest.mark.parametrize("name", ["data.npz", "data.npy"])
def test_damaged_and_missing_files_are_refused(config, tmp_path, name):
    path = tmp_path / name
    for keys in (dict(path=""), dict(path=str(path)), dict(path=str(tmp_path / "x.txt"))):
        with pytest.raises(UserError, match="data.path"):
            load(config(name="files", **keys))
    (tmp_path / "x.txt").write_text("1,2")
    with pytest.raises(UserError, match="give an .npz, .npy or .csv file"):
        load(config(name="files", path=str(tmp_path / "x.txt")))
    np.savez(path, x=REAL) if name == "data.npz" else np.save(path, REAL)
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no array" * 50):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is damaged"):
            load(config(name="files", path=str(path)))


def test_contents_damaged_inside_a_zip_are_refused(config, tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.tile(REAL, (100, 1)))
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        load(config(name="files", path=str(path)))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"columns": np.array(["a", "b"])}, "columns has 2 names, and an example has shape"),
        ({"columns": np.array(list("abcdeaf"))}, "columns has 'a' twice"),
        ({"columns": np.ones((7, 1), int)}, "as columns: give names"),
        ({"columns": np.ones(7)}, "as columns: give names"),
        ({"columns": np.array("abc")}, "as columns: give names"),
        ({"vocabulary": np.array(["a", "b"]), "kind": "tokens"}, "2 names, and 6 is among"),
    ],
)
def test_names_that_do_not_fit_are_refused(load_files, names, words):
    kind = names.pop("kind", "")
    x = np.tile(np.arange(7), (40, 1)) if kind else REAL
    with pytest.raises(UserError, match=words):
        load_files({"x": x, **names}, kind=kind)


@pytest.mark.parametrize("dtype", [int, "U", "S"])
def test_names_that_are_numbers_are_names(load_files, dtype):
    data = load_files({"x": REAL, "columns": np.arange(7).astype(dtype)})
    assert data.columns == ("0", "1", "2", "3", "4", "5", "6")

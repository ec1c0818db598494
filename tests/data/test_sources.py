"""`prepare` of data sets that are files of arrays, and how their arrays are cut into splits."""

import urllib.error

import numpy as np
import pytest

from tests.helpers import original
from vae import data
from vae.data import adbench, freyfaces, likes, movielens, sources
from vae.errors import RunError, UserError

RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    """ADBench's file of 60 ordinary rows, numbered, among 20 anomalies."""
    x, y = RNG.normal(size=(80, 3)), (np.arange(80) % 4 == 3).astype(int)
    x[:, 0] = np.arange(80)
    np.savez(tmp_path / "38_thyroid.npz", X=x, y=y)
    return tmp_path


def test_adbench_trains_on_the_first_half_of_the_ordinary_rows(table, config, tmp_path):
    folder = data.prepare("adbench", str(tmp_path / "D"), str(table))
    assert folder == tmp_path / "D" / "adbench"
    loaded = data.load(config(name="adbench/thyroid", dir=str(tmp_path / "D")))
    ordinary = [row for row in range(80) if row % 4 != 3]
    fitted = [*loaded.splits["train"].x[:, 0], *loaded.splits["validation"].x[:, 0]]
    assert sorted(fitted) == ordinary[:30]
    test = loaded.splits["test"]
    anomalies = [row for row in range(80) if row % 4 == 3]
    assert test.x[:, 0].tolist() == ordinary[30:] + anomalies
    assert test.labels.tolist() == [0] * 30 + [1] * 20
    assert not loaded.splits["train"].labels.any()


def test_prepare_does_nothing_twice_and_leaves_nothing_half_made(table, tmp_path):
    where = data.prepare("adbench/thyroid", str(tmp_path / "D"), str(table)) / "arrays.npz"
    before = where.stat().st_mtime_ns
    (table / "38_thyroid.npz").unlink()
    data.prepare("adbench/thyroid", str(tmp_path / "D"), str(table))
    assert where.stat().st_mtime_ns == before
    (table / "44_Wilt.npz").write_bytes(b"no arrays")
    with pytest.raises(UserError, match="44_Wilt.npz is no table of ADBench"):
        data.prepare("adbench/Wilt", str(tmp_path / "D"), str(table))
    assert not (tmp_path / "D" / "adbench" / "Wilt").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("adbench/thyroid", "38_thyroid.npz"),
        ("adbench", "no table of ADBench"),
        ("freyfaces", "freyfaces.pkl"),
        ("movielens_1m", "ratings.dat"),
    ],
)
def test_missing_originals_are_named(tmp_path, name, said):
    with pytest.raises(UserError, match=said):
        data.prepare(name, str(tmp_path / "D"), str(tmp_path))


def test_data_that_are_not_prepared_say_how(config, tmp_path):
    with pytest.raises(UserError, match="prepare freyfaces --data_dir"):
        data.load(config(name="freyfaces", dir=str(tmp_path)))


def test_a_pickle_that_is_not_the_known_one_is_not_opened(tmp_path):
    (tmp_path / "freyfaces.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UserError, match="not the file known by that name"):
        freyfaces.arrays(tmp_path)


def test_a_download_that_fails_says_what_to_do(tmp_path, monkeypatch):
    def refuse(url, timeout):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(sources.urllib.request, "urlopen", refuse)
    with pytest.raises(RunError, match="no route.*--from"):
        data.prepare("freyfaces", str(tmp_path))
    assert not (tmp_path / "freyfaces").exists()


def test_frey_faces_are_drawn_into_three_splits_by_number(config, tmp_path):
    data.prepare("freyfaces", str(tmp_path), str(original("freyfaces")))

    def faces(number: int) -> dict[str, set[bytes]]:
        loaded = data.load(config(name="freyfaces", dir=str(tmp_path), split=number))
        assert loaded.shape == (28, 20, 1)
        return {name: [x.tobytes() for x in s.x] for name, s in loaded.splits.items()}

    first, again, other = faces(0), faces(0), faces(1)
    assert {name: len(x) for name, x in first.items()} == {
        "train": 1565, "validation": 200, "test": 200
    }  # fmt: skip
    assert first == again and first["test"] != other["test"]


def test_a_published_score_proves_the_split_of_adbench(config, tmp_path):
    """|standardised x|^2 is what the published VAE amounts to: 52.12 on vowels, 35.41 on wilt."""
    from sklearn.metrics import roc_auc_score

    folder = original("adbench")
    for name, published in (("vowels", 52.12), ("Wilt", 35.41), ("cardio", 96.55)):
        arrays = adbench.arrays(folder, f"adbench/{name}")
        train, test = arrays["x_train"], arrays["x_test"]
        distance = np.square((test - train.mean(0)) / train.std(0)).sum(1)
        assert 100 * roc_auc_score(arrays["y_test"], distance) == pytest.approx(published, abs=0.05)


RATINGS = [(1, 10, 5.0), (1, 20, 4.0), (1, 30, 3.5), (1, 40, 4.0), (1, 50, 5.0), (1, 60, 4.5)]
RATINGS += [(2, 10, 5.0), (2, 20, 1.0)]
RATINGS += [(7, film, 4.0) for film in (10, 20, 40, 50, 70)]


@pytest.mark.parametrize("size", ["100k", "1m", "20m"])
def test_movielens_keeps_likes_of_users_with_five(tmp_path, size):
    ratings, by, titles, between = movielens._FILES[size]
    head = ["user,film,rating,when"] if size == "20m" else []
    lines = [by.join(map(str, (*row, 0))) for row in RATINGS]
    (tmp_path / ratings).write_text("\n".join([*head, *lines]) + "\n")
    name = '"Usual Suspects, The (1995)"' if between == "," else "Usual Suspects, The (1995)"
    shown = [between.join((str(film), name if film == 50 else f"F{film}", "x"))
             for film in range(10, 80, 10)]  # fmt: skip
    (tmp_path / titles).write_text("\n".join(shown) + "\n")
    found = movielens.arrays(tmp_path, size)
    # User 2 likes too little; nobody who is left likes film 30.
    assert found["columns"].tolist() == [
        "F10", "F20", "F40", "Usual Suspects, The (1995)", "F60", "F70"
    ]  # fmt: skip
    assert found["x"].tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 1]]


def test_films_of_one_title_are_told_apart():
    named = {1: "Alien (1979)", 5: "Chasing Amy (1997)", 9: "Chasing Amy (1997)"}
    assert movielens._titles(np.array([1, 5, 7, 9]), named) == [
        "Alien (1979)", "Chasing Amy (1997), film 5", "film 7", "Chasing Amy (1997), film 9",
    ]  # fmt: skip



def test_movielens_100k_as_published(tmp_path):
    found = movielens.arrays(original("ml-100k"), "100k")
    assert found["x"].shape == (938, 1447) or found["x"].shape[1] == 1447
    assert found["x"].sum(1).min() >= 5 and found["x"].sum(0).min() >= 1
    assert "Toy Story (1995)" in found["columns"]


def test_held_back_likes_are_a_fifth_of_every_users(tmp_path):
    x = (RNG.random((40, 30)) < 0.5).astype(np.uint8)
    shown, held = likes.hold_back(x, 0.2, seed=3)
    assert ((shown + held).toarray() == x).all()
    count = x.sum(1)
    assert (held.toarray().sum(1) == np.maximum(1, (0.2 * count).astype(int))).all()
    again = likes.hold_back(x, 0.2, seed=3)[1]
    other = likes.hold_back(x, 0.2, seed=4)[1]
    assert (again != held).nnz == 0 and (other != held).nnz > 0
    with pytest.raises(UserError, match="user 0 has fewer than 2"):
        likes.hold_back(np.eye(3, dtype=np.uint8))


@pytest.fixture
def liked(tmp_path):
    x = (RNG.random((50, 12)) < 0.5).astype(np.uint8)
    x[:, :2] = 1
    np.savez(tmp_path / "likes.npz", x=x)
    return str(tmp_path / "likes.npz"), x


def test_leaving_items_out_trains_on_all_users(config, liked):
    path, x = liked
    loaded = data.load(config(name="files", path=path, kind="counts", leave_items=True, split=2))
    train, test = (np.asarray(loaded.splits[name].x) for name in ("train", "test"))
    assert len(train) == len(test) == len(x)
    shown, _ = likes.hold_back(test, seed=2)
    assert (train == shown.toarray()).all()


@pytest.mark.parametrize("stream", [False, True])
def test_fewer_bits_merge_neighbouring_levels(tmp_path, config, stream):
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    keys = dict(name="files", path=str(tmp_path / "x.npy"), stream=stream)
    loaded, whole = data.load(config(**keys, bits=5)), data.load(config(**keys))
    assert (loaded.levels, whole.levels) == (32, 256)
    for name, split in loaded.splits.items():
        np.testing.assert_array_equal(np.asarray(split.x), np.asarray(whole.splits[name].x) >> 3)
    with pytest.raises(UserError, match="digits has 17 levels"):
        data.load(config(bits=3))
    with pytest.raises(UserError, match="data.binarization=dynamic; set data.bits=0"):
        data.load(config(**keys, bits=3, binarization="dynamic"))


def test_a_class_left_out_is_in_the_test_alone(config):
    loaded = data.load(config(left_out=3))
    whole = data.load(config())
    for name in ("train", "validation"):
        kept = np.asarray(whole.splits[name].labels) != 3
        assert (loaded.splits[name].x == whole.splits[name].x[kept]).all()
        assert not loaded.splits[name].labels.any()
    assert (loaded.splits["test"].labels == (whole.splits["test"].labels == 3)).all()
    with pytest.raises(UserError, match="left_out=12: no examples"):
        data.load(config(left_out=12))


def test_a_few_of_each_class_are_drawn_by_number(config):
    def drawn(number: int):
        train = data.load(config(per_class=5, split=number)).splits["train"]
        return train, {x.tobytes() for x in train.x}

    (train, first), (_, again), (_, other) = drawn(0), drawn(0), drawn(1)
    assert np.bincount(train.labels).tolist() == [5] * 10
    assert first == again != other
    whole = data.load(config())
    assert first <= {x.tobytes() for x in whole.splits["train"].x}
    few = data.load(config(per_class=5, split=1))
    assert (few.splits["test"].x == whole.splits["test"].x).all()
    with pytest.raises(UserError, match="per_class=500"):
        data.load(config(per_class=500))


def test_standardising_is_by_the_training_set_alone(config, tmp_path):
    x = RNG.normal(3.0, 5.0, (100, 4))
    x[:, 2] = 7.0
    np.savez(tmp_path / "t.npz", x=x)
    path = str(tmp_path / "t.npz")
    raw = data.load(config(name="files", path=path))
    scaled = data.load(config(name="files", path=path, standardize=True))
    train = np.asarray(scaled.splits["train"].x)
    assert train.mean(0) == pytest.approx(np.zeros(4), abs=1e-6)
    assert train.std(0) == pytest.approx([1.0, 1.0, 0.0, 1.0], abs=1e-6)
    mean, std = scaled.scaler
    test = (np.asarray(raw.splits["test"].x, np.float64) - mean) / std
    assert np.asarray(scaled.splits["test"].x) == pytest.approx(test, abs=1e-6)
    with pytest.raises(UserError, match="standardize is for vectors"):
        data.load(config(standardize=True))


def test_a_split_number_is_refused_where_nothing_is_drawn(config, write_tfds=None):
    from vae.data.splits import partition

    sizes = {"train": 100, "validation": 10, "test": 10}
    with pytest.raises(UserError, match="data.split=1"):
        partition(sizes, 0, 0, True, number=1)
    with pytest.raises(UserError, match="data.split=1"):
        partition({"train": 100}, 10, 10, False, number=1)
    one, two = (partition({"train": 100}, 10, 10, True, number=n) for n in (1, 2))
    assert set(one["test"][1]) != set(two["test"][1])

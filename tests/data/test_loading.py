"""What `load` promises for every source: sizes, disjointness, one test set, clear refusals."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from tests.margins import within
from vae.data import describe, load, prepare, table
from vae.data.splits import partition
from vae.errors import UserError, typed

SIZES = {"train": 60_000, "test": 10_000}


def _rows(parts):
    return [(source, row) for source, rows in parts.values() for row in rows.tolist()]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("sizes", [{"train": 900}, {"train": 900, "test": 80}])
@pytest.mark.parametrize("size", [0, 300])
@pytest.mark.parametrize("exact", [-1, 50])
def test_splits_are_disjoint_and_add_up(sizes, shuffle, size, exact):
    parts = partition(sizes, 100, 80, shuffle, exact, size)
    rows = _rows(parts)
    assert list(parts) == ["train", "validation", "test"]
    assert len(rows) == len(set(rows)) == (size or sum(sizes.values()))
    if exact != -1:
        assert len(parts["validation"][1]) == exact


def test_validation_set_is_not_the_test_set_and_comes_last():
    parts = partition(SIZES, 10_000, 0, False)
    assert {name: len(rows) for name, (_, rows) in parts.items()} == {
        "train": 50_000,
        "validation": 10_000,
        "test": 10_000,
    }
    np.testing.assert_array_equal(parts["validation"][1], np.arange(50_000, 60_000))
    assert parts["validation"][0] == "train" and parts["test"][0] == "test"


def test_own_validation_split_is_used():
    parts = partition({**SIZES, "validation": 500}, 0, 0, False)
    assert parts["validation"][0] == "validation" and len(parts["train"][1]) == 60_000


def test_subset_is_drawn_in_proportion_and_within_the_splits_of_the_whole():
    whole = partition({"train": 1000}, 100, 200, True)
    small, smaller = (partition({"train": 1000}, 100, 200, True, size=size) for size in (500, 50))
    assert [len(rows) for _, rows in small.values()] == [350, 50, 100]
    for split in whole:
        assert set(small[split][1]) < set(whole[split][1])
        assert set(smaller[split][1]) < set(small[split][1])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (dict(exact=60_000), "data.validation_size=60000 does not leave a training set"),
        (dict(exact=0), "data.validation_size=0"),
        (dict(exact=-2), "data.validation_size=-2"),
        (dict(size=70_001), "data.size=70001 is more than the 70000"),
        (dict(size=-1), "data.size=-1"),
        (dict(size=2), "data.size=2 is too small"),
        (dict(size=500, exact=499), "data.size=500 is too small"),
    ],
)
def test_impossible_sizes_are_refused(keys, message):
    with pytest.raises(UserError, match=message):
        partition(SIZES, 10_000, 0, False, **keys)


def test_digits_are_those_of_scikit_learn(config):
    data = load(config())
    assert describe(data) == ("digits 1.0: train 1,297, validation 200, test 300; 8x8x1, 0..16")
    assert (data.kind, data.levels, data.shape) == ("grey", 17, (8, 8, 1))
    ours = [
        (*x.ravel(), y) for s in data.splits.values() for x, y in zip(s.x, s.labels, strict=True)
    ]
    bunch = load_digits()
    theirs = [(*x, y) for x, y in zip(bunch.data.astype(int), bunch.target, strict=True)]
    assert sorted(ours) == sorted(theirs)
    assert (
        data.splits["train"].x.dtype == np.uint8 and data.splits["train"].labels.dtype == np.int32
    )


def test_a_bundled_table_is_sklearns(config):
    data = load(config(name="breast_cancer", binarization="none"))
    ours = [(*x, y) for s in data.splits.values() for x, y in zip(s.x, s.labels, strict=True)]
    bunch = load_breast_cancer()
    theirs = [(*x, y) for x, y in zip(bunch.data.astype(np.float32), bunch.target, strict=True)]
    assert sorted(ours) == sorted(theirs)
    assert (data.kind, len(data.splits["test"])) == ("real", 200)


def test_dynamic_binarisation_fixes_validation_and_test_once(config):
    raw, data, again = load(config()), *(load(config(binarization="dynamic")) for _ in range(2))
    assert data.kind == "grey" and data.levels == 17
    np.testing.assert_array_equal(data.splits["train"].x, raw.splits["train"].x)
    assert not data.splits["train"].binarized
    assert describe(data).endswith("8x8x1, 0..16, binarised at every step")
    for name in ("validation", "test"):
        split = data.splits[name]
        assert split.binarized and set(np.unique(split.x)) == {0, 1}
        np.testing.assert_array_equal(split.x, again.splits[name].x)
        assert (split.x[raw.splits[name].x == 16] == 1).all()
        p = raw.splits[name].x / 16
        within(split.x.mean(), p.mean(), np.sqrt((p * (1 - p)).sum()) / p.size)


def test_static_binarisation_shares_the_test_set_with_dynamic(config):
    static, dynamic = (load(config(binarization=kind)) for kind in ("static", "dynamic"))
    assert (static.kind, static.levels) == ("binary", 2)
    assert static.splits["train"].x.max() == 1
    assert describe(static).endswith("8x8x1, 0 and 1, binarised once")
    np.testing.assert_array_equal(static.splits["test"].x, dynamic.splits["test"].x)


def test_subset_is_binarised_as_the_whole(config):
    whole, part = (load(config(binarization="static", size=size)) for size in (0, 200))
    everything = {x.tobytes() for x in whole.splits["test"].x}
    assert all(x.tobytes() in everything for x in part.splits["test"].x)


@pytest.mark.parametrize("binarization", ["none", "static", "dynamic"])
@pytest.mark.parametrize("image_size", [0, 6])
def test_stream_and_memory_give_the_same_examples(config, binarization, image_size):
    keys = dict(binarization=binarization, size=300, image_size=image_size)
    memory, stream = (load(config(stream=stream, **keys)) for stream in (False, True))
    assert memory.shape == stream.shape == ((6, 6, 1) if image_size else (8, 8, 1))
    for name, split in memory.splits.items():
        lazy = stream.splits[name]
        np.testing.assert_array_equal(np.asarray(lazy.x), split.x)
        np.testing.assert_array_equal(lazy.x[[5, 2, 2]], split.x[[5, 2, 2]])
        np.testing.assert_array_equal(lazy.x[4], split.x[4])
        np.testing.assert_array_equal(lazy.labels[1:7], split.labels[1:7])
        assert (len(lazy), lazy.binarized) == (len(split), split.binarized)


def test_resizing_keeps_the_range_and_the_brightness(config):
    raw, large = (load(config(image_size=size)).splits["train"].x for size in (0, 16))
    assert large.shape[1:] == (16, 16, 1) and large.dtype == np.uint8 and large.max() <= 16
    assert abs(large.mean() - raw.mean()) < 0.3  # of 16 levels; edges count a little differently


def test_unknown_names_are_refused_with_the_nearest(config):
    with pytest.raises(UserError, match="data.name='digit'.*did you mean 'digits'"):
        load(config(name="digit"))
    with pytest.raises(UserError, match="data.binarization='dynamical'.*did you mean 'dynamic'"):
        load(config(binarization="dynamical"))
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        prepare("mnits")
    with pytest.raises(UserError, match="data.image_size=-3"):
        load(config(image_size=-3))


def test_data_that_is_not_prepared_says_how(config, tmp_path, monkeypatch):
    folder = str(tmp_path / "some where")
    with pytest.raises(UserError) as caught:
        load(config(name="mnist", dir=folder))
    assert f"{typed()} prepare mnist --data_dir '{folder}'" in str(caught.value)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VAE_COMMAND", "../my project/launch.sh")  # as it was typed
    run = r"'\.\./my project/launch\.sh' prepare mnist$"
    with pytest.raises(UserError, match=rf"no .*mnist/3\.0\.1\nRun: {run}"):
        load(config(name="mnist"))


def test_rows_agree_with_tfds(tmp_path):
    import tensorflow_datasets as tfds

    for name, row in table.ROWS.items():
        if row.source == "tfds":
            builder = tfds.builder(row.tfds, data_dir=str(tmp_path))
            features = builder.info.features
            assert str(builder.version) == row.version, name
            height, width, _ = features[row.image].shape
            assert row.shape[:2] in ((height, width), (28, 28), (64, 64)), name
            for key, count in row.factors:
                assert features[key].num_classes == count, (name, key)
            assert not row.label or features[row.label].shape == (), name


def test_importing_the_room_is_light():
    heavy = "jax, sklearn, grain, tensorflow_datasets, PIL"
    code = f"import sys, vae.data; print([m for m in '{heavy}'.split(', ') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

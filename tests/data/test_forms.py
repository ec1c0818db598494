"""Files of every form that a user may have: each is read with the values that were written, or is
refused in one message with all that is wrong with it."""

import io
import json
import sys
import warnings

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import feather, parquet
from scipy import sparse

from vae import automatic
from vae import config as configs
from vae.__main__ import main
from vae.data import csvfiles, frames, load
from vae.data.files import look
from vae.errors import UserError

RNG = np.random.default_rng(0)
X = np.round(RNG.normal(size=(40, 3)), 3)
NAMES = ("a", "b", "c")
SEX = np.array(["f", "m"] * 20)
IDS = np.array([f"P{n:03}" for n in range(40)])
SICK = np.array([("ill", "well")[n % 3 == 0] for n in range(40)])
COUNTS = RNG.poisson(2.0, (40, 5))
PHOTOS = RNG.integers(0, 256, (40, 6, 5, 3)).astype(np.uint8)


def loaded(path, label="", kind=""):
    """The whole data set as training takes it, its splits put together in the file's order."""
    config = configs.default()
    config.data.kind = kind
    config.data.name, config.data.path, config.data.label = "files", str(path), label
    config.data.standardize = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config, source = automatic.opened(config)
        dataset = load(config.data, source)
        whole = source.dataset(config.data.kind).splits["train"]
    assert sum(map(len, dataset.splits.values())) == len(whole)
    return config, dataset, whole


def csv_text(columns, separator=",", end="\n"):
    rows = zip(*columns.values(), strict=True)
    return end.join([separator.join(columns), *(separator.join(map(str, row)) for row in rows), ""])


def plain():
    return dict(zip(NAMES, X.T, strict=True))


def mixed():
    return {"patient": IDS, "a": X[:, 0], "sex": SEX, "b": X[:, 1], "state": SICK}


MIXED = np.stack([X[:, 0], SEX == "f", SEX == "m", X[:, 1]], axis=1)
CSV = {
    "plain": (csv_text(plain()), X),
    "quoted": (csv_text({f'"{k}"': [f'"{v}"' for v in c] for k, c in plain().items()}), X),
    "with a mark of the byte order": ("\ufeff" + csv_text(plain()), X),
    "by semicolons": (csv_text(plain(), ";"), X),
    "by tabs": (csv_text(plain(), "\t"), X),
    "of Windows": (csv_text(plain(), end="\r\n"), X),
    "decimal commas": (csv_text(plain(), ";").replace(".", ","), X),
    "an id of numbers": (csv_text({"ID": range(40), **plain()}), X),
    "an index of texts": (csv_text({"Index": IDS, **plain()}), X),
    "pandas' index of texts": (csv_text({"": IDS, **plain()}), X),
}


@pytest.mark.parametrize("name", CSV)
def test_tables_of_text(tmp_path, name):
    text, x = CSV[name]
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    config, dataset, whole = loaded(path)
    np.testing.assert_array_equal(whole.x[:], x)
    assert dataset.columns == NAMES and dataset.label == ""
    assert config.model.likelihood == "gaussian_learned"
    wanted = {"an id of numbers": "ID", "an index of texts": "Index",
              "pandas' index of texts": "index"}.get(name, "none")
    assert config.data.id == wanted and (whole.ids is None) == (wanted == "none")


def arrow_table(columns):
    return pyarrow.table({k: pyarrow.array(v.tolist()) for k, v in columns.items()})


def write_table(path, columns):
    table = arrow_table(columns)
    if path.suffix == ".csv":
        path.write_text(csv_text(columns))
    elif path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    else:
        form = pyarrow.ipc.new_stream if path.stem == "stream" else pyarrow.ipc.new_file
        with form(path, table.schema) as writer:
            writer.write_table(table)
    return path


@pytest.mark.parametrize(
    "name", ["t.csv", "t.parquet", "t.feather", "file.arrow", "stream.arrow"]
)
def test_texts_are_categories_and_labels_and_ids_keep_their_rows(tmp_path, name):
    path = write_table(tmp_path / name, mixed())
    config, dataset, whole = loaded(path, "state", "real")
    np.testing.assert_array_equal(whole.x[:], MIXED)
    assert dataset.columns == ("a", "sex=f", "sex=m", "b") and dataset.categories == ("sex",)
    assert (dataset.label, dataset.classes) == ("state", ("ill", "well"))
    assert dataset.identifier == config.data.id == "patient"
    for split in dataset.splits.values():  # each row with its own
        at = [IDS.tolist().index(each) for each in split.ids]
        np.testing.assert_array_equal(split.x[:], MIXED[at].astype(np.float32))
        np.testing.assert_array_equal(split.labels[:], (SICK == "well")[at])
    if path.suffix == ".csv":  # as another table is scored by the run
        table = frames.taken(csvfiles.read(path, text=True), dataset.columns)
        np.testing.assert_array_equal(table, MIXED)
        assert frames.sources(dataset.columns, tuple(mixed())) == {"a", "b", "sex"}
    again = load(config.data)  # as a run reads them again
    np.testing.assert_array_equal(again.splits["test"].x, dataset.splits["test"].x)


@pytest.mark.parametrize(
    ("columns", "x"),
    [
        ({"a": np.arange(40), "b": np.arange(40) % 2 == 0},
         np.stack([np.arange(40), np.arange(40) % 2 == 0], 1)),
        ({"a": X[:, 0].astype(np.float32)}, X[:, :1].astype(np.float32)),
        ({"a": list(X)}, X),
        ({"a": list(PHOTOS[..., 0])}, PHOTOS[..., :1]),
    ],
)  # fmt: skip
def test_columns_of_any_numbers_and_of_lists(tmp_path, columns, x):
    table = pyarrow.table({
        k: pyarrow.array([v.tolist() for v in c] if isinstance(c, list) else c)
        for k, c in columns.items()
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "t.parquet")
    _, dataset, whole = loaded(tmp_path / "t.parquet")
    np.testing.assert_array_equal(whole.x[:], x)
    assert dataset.shape == x.shape[1:]


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_sparse_matrices(tmp_path, form):
    sparse.save_npz(tmp_path / "s.npz", sparse.csr_matrix(COUNTS).asformat(form))
    config, dataset, whole = loaded(tmp_path / "s.npz")
    np.testing.assert_array_equal(whole.x[:], COUNTS)
    assert dataset.kind == "counts" and config.model.likelihood == "negative_binomial"


@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
@pytest.mark.parametrize("whole_numbers", [True, False])
def test_cells(tmp_path, form, whole_numbers):
    h5py = pytest.importorskip("h5py")
    x = (COUNTS if whole_numbers else COUNTS + 0.25).astype(np.float32)
    with h5py.File(tmp_path / "c.h5ad", "w") as file:
        if form == "dense":
            file["X"] = x
        else:
            matrix = sparse.csr_matrix(x).asformat(form)
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = f"{form}_matrix", x.shape
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(matrix, part)
        for name, index in (("obs", IDS), ("var", [f"gene{n}" for n in range(5)])):
            file.create_group(name).attrs["_index"] = "_index"
            file[name]["_index"] = np.array(index, dtype=object)
        kinds = file["obs"].create_group("kind")
        kinds["categories"] = np.array(["T", "B"], dtype=object)
        kinds["codes"] = np.arange(40, dtype=np.int8) % 2
        file["obs"]["batch"] = np.arange(40) // 20
    config, dataset, whole = loaded(tmp_path / "c.h5ad", "kind")
    np.testing.assert_array_equal(whole.x[:], x)
    assert dataset.kind == ("counts" if whole_numbers else "real")
    assert dataset.columns == tuple(f"gene{n}" for n in range(5))
    assert dataset.classes == ("B", "T") and dataset.label == "kind"
    np.testing.assert_array_equal(whole.labels, 1 - np.arange(40) % 2)
    assert whole.ids.tolist() == IDS.tolist() and config.data.id == "obs_names"
    assert loaded(tmp_path / "c.h5ad", "batch")[2].labels.tolist() == [0] * 20 + [1] * 20


def test_cells_need_their_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "c.h5ad").write_bytes(b"x")
    with pytest.raises(UserError, match=r"needs h5py: pip install 'vae\[cells\]'"):
        look(str(tmp_path / "c.h5ad"))


def save_to_disk(folder, table, features):
    """As `datasets` does."""
    folder.mkdir(parents=True)
    said = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    table = table.replace_schema_metadata(said)
    with pyarrow.ipc.new_stream(folder / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    names = [{"filename": "data-00000-of-00001.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": names}))


def png(array):
    written = io.BytesIO()
    Image.fromarray(array).save(written, "png")
    return {"bytes": written.getvalue(), "path": None}


def test_a_saved_data_set_of_pictures(tmp_path):
    kind = {"names": ["cat", "dog"], "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "kind": kind}
    for split, part in (("train", slice(0, 30)), ("test", slice(30, 40))):
        photos = [png(photo) for photo in PHOTOS[part]]
        table = pyarrow.table({"image": photos, "kind": (np.arange(40) % 2)[part]})
        save_to_disk(tmp_path / "d" / split, table, features)
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    config, dataset, count = _several(tmp_path / "d")
    np.testing.assert_array_equal(dataset.splits["test"].x, PHOTOS[30:])
    assert dataset.classes == ("cat", "dog") and dataset.label == "kind"
    np.testing.assert_array_equal(dataset.splits["test"].labels, np.arange(30, 40) % 2)
    assert config.model.likelihood == "discretized_logistic_mixture" and count == 40
    before = dataset.contents
    assert before and _several(tmp_path / "d")[1].contents == before


def _several(path):
    config = configs.default()
    config.data.name, config.data.path = "files", str(path)
    config, source = automatic.opened(config)
    dataset = load(config.data, source)
    return config, dataset, sum(len(split) for split in dataset.splits.values())


def test_a_saved_data_set_of_rows_has_the_same_columns_in_all_splits(tmp_path):
    for split, part in (("train", slice(0, 30)), ("validation", slice(30, 35))):
        columns = {"a": X[part, 0], "word": np.where(np.arange(40) < 30, "x", "y")[part]}
        save_to_disk(tmp_path / "d" / split, arrow_table(columns), {})
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    _, dataset, _ = _several(tmp_path / "d")
    assert dataset.columns == ("a", "word") and dataset.column_kinds[1].levels == ("x", "y")
    assert (dataset.splits["validation"].x[:, 1] == 1).all()  # all are y


@pytest.mark.parametrize("splits", [False, True])
def test_folders_of_classes(tmp_path, splits):
    for number, photo in enumerate(PHOTOS):
        split = ("train", "train", "test", "validation")[number % 4] if splits else ""
        folder = tmp_path / split / ("cat", "dog", "eel")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        photo[0, 0, 0] = number % 3
        Image.fromarray(photo).save(folder / f"{number:02}.png")
    config = configs.default()
    config.data.name, config.data.path = "files", str(tmp_path)
    config, source = automatic.opened(config)
    dataset = load(config.data, source)
    assert dataset.classes == ("cat", "dog", "eel")
    for split in dataset.splits.values():
        np.testing.assert_array_equal(split.labels, split.x[:, 0, 0, 0])
    config.data.label = "none"
    assert load(config.data).splits["train"].labels is None


@pytest.mark.parametrize("place", ["", "cat/small"])
def test_folders_of_another_layout_have_no_labels_and_say_so(tmp_path, place):
    for name in ("cat", "dog", place):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for number, photo in enumerate(PHOTOS[:15]):
            Image.fromarray(photo).save(tmp_path / name / f"{number}.png")
    with pytest.warns(UserWarning, match="no labels, because pictures are not all in sub-folders"):
        found = look(str(tmp_path))
    assert found.dataset("").splits["train"].labels is None and not found.misfits


def bad_table(**changes):
    return mixed() | changes


LATER = X[:, 1].astype(object)
LATER[[4, 9]] = ""
BAD = {  # what is written, and all that is to be said of it
    "missing numbers": (bad_table(b=LATER), ["example 4, b: 'nothing' is no number", "(2 such"]),
    "two kinds of cells": (
        bad_table(b=np.where(np.arange(40) == 7, "much", X[:, 1].astype(str))),
        ["example 7, b: 'much' is no number"],
    ),
    "a missing category, and a missing number": (
        bad_table(b=LATER, sex=np.where(np.arange(40) == 3, "", SEX)),
        ["example 3, sex: 'nothing' is no category", "example 4, b: 'nothing'", "in 2 ways"],
    ),
    "texts that are no categories": (
        bad_table(note=np.array([f"said {n} {n % 37}" for n in range(40)])),
        ["note has 40 different texts in 40 rows: leave the column out, or set data.id=note"],
    ),
    "a label that is not there, and more": (
        {"x": X[:, 0], "b": LATER, "stat": SICK},
        ["data.label='state'", "did you mean 'stat'?", "example 4, b", "in 2 ways"],
    ),
    "a decimal comma": (
        {"a": np.array(['"1,5"'] * 40), "state": SICK}, ["'1,5' has a decimal comma"],
    ),
    "nothing but labels": ({"state": SICK}, ["no column of features, only state"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_table_is_said_at_once(tmp_path, name, capsys):
    columns, words = BAD[name]
    path = tmp_path / "t.csv"
    path.write_text(csv_text(columns))
    assert main(["data", str(path), "--label=state", "--kind=real"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and all(word in said for word in words), said
    assert main(["train", f"--data={path}", "--label=state", "--config.data.kind=real"]) == 2
    assert capsys.readouterr().err == said


def write_bad_parquet(path):
    columns = {
        "when": pyarrow.array(range(40), pyarrow.duration("s")),
        "b": pyarrow.array([np.inf, *X[1:, 1].tolist()]), "a": X[:, 0],
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns), path)


def write_uneven_lists(path):
    parquet.write_table(pyarrow.table({"x": [[1.0] * (1 + n % 2) for n in range(40)]}), path)


def write_bad_arrays(path):
    x = X.copy()
    x[4, 0] = np.inf
    np.savez(path, x=x, labels=np.arange(39), columns=np.array(["a", "a", "b"]))


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("t.parquet", write_bad_parquet,
         ["when holds duration[s]", "write it as numbers or leave it out", "example 0, b: 'inf'"]),
        ("t.parquet", write_uneven_lists, ["the lists of x have different lengths (1, 2)"]),
        ("t.parquet", lambda path: path.write_bytes(b"PAR1"), ["is damaged or of another form"]),
        ("t.arrow", lambda path: path.write_bytes(b"ARROW"), ["is damaged or of another form"]),
        ("t.h5ad", lambda path: path.write_bytes(b"HDF"), ["is damaged or not of numbers"]),
        ("t.npz", write_bad_arrays,
         ["columns has 'a' twice", "NaN", "labels of shape (39,) do not fit", "in 3 ways"]),
        ("t.xlsx", lambda path: path.write_bytes(b""), ["give an .npz, .npy or .csv", ".parquet"]),
    ],
)
def test_other_files_that_do_not_fit(tmp_path, name, write, words, capsys):
    if name.endswith("h5ad"):
        pytest.importorskip("h5py")
    write(tmp_path / name)
    assert main(["data", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words), said


def test_what_is_wrong_with_pictures_is_said_at_once(tmp_path, capsys):
    for number, photo in enumerate(PHOTOS[:20]):
        Image.fromarray(photo).save(tmp_path / f"{number:02}.png")
    (tmp_path / "03.png").write_bytes(b"no picture")
    Image.fromarray(np.full((6, 5), 7000, np.uint16)).save(tmp_path / "07.png")
    Image.fromarray(PHOTOS[0][:4]).save(tmp_path / "09.png")
    assert main(["data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    for words in ("in 3 ways", "03.png is not a readable picture", "07.png has more than 8 bits",
                  "6x5 and", "is 4x5: set data.image_size"):
        assert words in said

"""encode, reconstruct, interpolate and sample: what they write is what `Trained` gives."""

import csv

import numpy as np
import pytest
from pyarrow import parquet

import vae
from tests.helpers import small_config
from vae import runs
from vae.__main__ import main
from vae.scores.probes import linear_probe

COLORS = np.array(["red", "green", "blue"])


def written(path):
    """The columns of a table by name: numbers where they are, else text."""
    if path.suffix == ".parquet":
        return {name: np.array(c) for name, c in parquet.read_table(path).to_pydict().items()}
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    found = {name: [row[name] for row in rows] for name in rows[0]}
    return {name: _numbers(cells) for name, cells in found.items()}


def _numbers(cells):
    try:
        return np.array(cells, float)
    except ValueError:
        return np.array(cells)


def latents(table, name):
    return np.stack([values for key, values in table.items() if key.startswith(f"{name}_")], 1)


def write_table(path, num, seed, **more):
    rng = np.random.default_rng(seed)
    color, size = rng.integers(0, 3, num), rng.normal(5.0, 2.0, num)
    columns = {
        "patient": [f"p{seed}-{n}" for n in range(num)], "size": size, "color": COLORS[color],
        "weight": 100.0 * size + rng.normal(size=num), "group": np.where(color > 0, "ill", "well"),
    } | more  # fmt: skip
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return columns


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("digits") / "run"
    config = small_config(
        data__name="digits", train__epochs=3, train__batch_size=100, eval__metrics=("probes",)
    )
    return vae.train(config, str(workdir)) and workdir


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A run of a table with an id, a column of text and one of labels."""
    folder = tmp_path_factory.mktemp("table")
    write_table(folder / "t.csv", 200, 0)
    line = ["train", f"--data={folder}/t.csv", "--label=group", "--config.model.hidden=(8,)",
            "--config.model.latent_size=3", "--config.train.epochs=3",
            "--config.model.likelihood=gaussian_learned",
            "--config.data.standardize=True"]  # fmt: skip
    assert main([*line, f"--workdir={folder}/run"]) == 0
    return folder / "run"


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_encode_writes_what_trained_gives(digits, tmp_path, suffix):
    path = tmp_path / f"z{suffix}"
    assert main(["encode", f"--workdir={digits}", f"--output={path}"]) == 0
    run = vae.load(digits)
    mean, std = run.encode(run.examples("test"))
    labels = run.dataset.splits["test"].labels
    if suffix == ".npz":
        found = dict(np.load(path))
    else:
        columns = written(path)
        found = {name: latents(columns, name) for name in ("mean", "std")}
        found["label"] = columns["label"]
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found["std"], std, rtol=1e-6)
    np.testing.assert_array_equal(found["label"], labels)


def test_a_linear_probe_of_the_file_is_the_evaluation_s(digits, tmp_path):
    assert main(["evaluate", f"--workdir={digits}"]) == 0
    metrics, name = runs.read_json(digits / "evaluation.json")["metrics"], "linear_probe_error"
    parts = {}
    for split in ("train", "test"):
        path = tmp_path / f"{split}.npz"
        assert main(["encode", f"--workdir={digits}", f"--input={split}", f"--output={path}"]) == 0
        parts[split] = dict(np.load(path))
    codes = [(parts[split]["mean"], parts[split]["label"]) for split in ("train", "test")]
    found = linear_probe(*codes[0], *codes[1])
    assert found[name].value == metrics[name]["value"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_table_s_columns_come_in_any_order_with_ids_labels_and_the_rest(table, tmp_path, order):
    """And a file without the labels, or one of the categories, is read as the training table."""
    new = write_table(tmp_path / "new.csv", 20, 1, note=[f"n{n}" for n in range(20)])
    new = {name: new[name] for name in list(new)[::order]}
    with open(tmp_path / "new.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(new)
        writer.writerows(zip(*new.values(), strict=True))
    output = tmp_path / "z.csv"
    assert main(["encode", f"--workdir={table}", f"--input={tmp_path}/new.csv",
                 f"--output={output}"]) == 0  # fmt: skip
    columns, run = written(output), vae.load(table)
    wanted = {"size": new["size"], "weight": new["weight"]} | {
        f"color={color}": (np.array(new["color"]) == color).astype(float) for color in COLORS
    }
    x = run.prepare(np.stack([wanted[name] for name in run.described["columns"]], 1))
    np.testing.assert_allclose(latents(columns, "mean"), run.encode(x)[0], rtol=1e-4, atol=1e-5)
    assert columns["note"].tolist() == list(new["note"])
    assert columns["patient"].tolist() == list(new["patient"])
    assert columns["group"].tolist() == list(new["group"])


def test_reconstructions_are_in_the_table_s_own_units(table, tmp_path):
    output = tmp_path / "r.csv"
    assert main(["reconstruct", f"--workdir={table}", f"--output={output}"]) == 0
    columns, run = written(output), vae.load(table)
    x = run.examples("test")
    mean, std = (np.array(run.described[name]) for name in ("mean", "std"))
    for place, name in enumerate(run.described["columns"]):
        expected = run.reconstruct(x)[:, place] * std[place] + mean[place]
        np.testing.assert_allclose(columns[name], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(run.prepare(run.restore(x)), x, rtol=1e-5, atol=5e-5)


def test_a_way_between_two_examples_begins_and_ends_at_their_reconstructions(digits, tmp_path):
    path = tmp_path / "way.npz"
    line = ["interpolate", f"--workdir={digits}", "--first=3", "--last=8", "--steps=5"]
    assert main([*line, f"--output={path}"]) == 0
    run, found = vae.load(digits), dict(np.load(path))
    x = run.examples("test")
    np.testing.assert_allclose(found["share"], [0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(found["x"][[0, -1]], run.reconstruct(x[[3, 8]]), atol=1e-5)
    middle = run.encode(x[[3, 8]])[0].mean(0, keepdims=True)
    np.testing.assert_allclose(found["x"][[2]], run.decode(middle), atol=1e-5)


@pytest.mark.parametrize(
    ("verb", "flags", "words"),
    [
        ("encode", ["--output=z.txt"], "give a name that ends in .csv, .parquet, .npz"),
        ("encode", ["--output=z.csv", "--input=tset"], "give train, validation or test"),
        ("interpolate", ["--output=z.csv", "--last=300"], "test has 300, from 0 on"),
        ("interpolate", ["--output=z.csv", "--steps=1"], "give a number from 2 to"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    digits, tmp_path, verb, flags, words, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main([verb, f"--workdir={digits}", *flags]) == 2
    assert words in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_table_that_lacks_columns_is_refused_by_name(table, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("size,color\n1.0,red\n")
    line = ["encode", f"--workdir={table}", f"--input={tmp_path}/new.csv"]
    assert main([*line, f"--output={tmp_path}/z.csv"]) == 2
    assert "lacks 1 of the 5 columns that the run was trained on: weight" in capsys.readouterr().err


def test_a_run_says_what_it_is(digits, table):
    assert "digits 8×8×1 (binary), mlp encoder, 3 latents, bernoulli, elbo, step" in repr(
        vae.load(digits)
    )
    run = vae.load(table)
    x = run.examples("test")
    assert run.elbo(x, 200).shape == (len(x),)
    assert (run.elbo(x, 200) < run.log_likelihood(x, 200) + 0.5).mean() > 0.9


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("conditional") / "run"
    config = small_config(data__name="digits", data__context="labels", train__epochs=2)
    return vae.train(config, str(workdir)) and workdir


def test_a_class_can_be_sampled_and_the_file_says_which(conditional, capsys):
    line = ["sample", f"--workdir={conditional}", "--num=12"]
    assert main([*line, "--class=3", "--draw"]) == 0
    found, run = dict(np.load(conditional / "samples.npz")), vae.load(conditional)
    assert found["label"].tolist() == [3] * 12 and set(np.unique(found["draw"])) == {0.0, 1.0}
    expected = run.sample(12, draw=True, context=np.full(12, 3))
    np.testing.assert_array_equal(found["draw"], expected)
    assert main(line) == 0
    found = dict(np.load(conditional / "samples.npz"))
    assert found["label"].tolist() == [*range(10), 0, 1] and "mean" in found
    assert main([*line, "--class=12"]) == 2
    assert "--class='12' is not one of: 0, 1, 2" in capsys.readouterr().err


def test_a_model_without_labels_has_no_classes(digits, capsys):
    assert main(["sample", f"--workdir={digits}", "--class=3"]) == 2
    assert "is not given labels: train with data.context=labels" in capsys.readouterr().err

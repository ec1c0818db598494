"""`vae.fit` and `vae.results`: data of a program, in one call, and what comes of it."""

import numpy as np
import pytest
from scipy import sparse

import vae
from tests.helpers import last_state
from vae import config as configs
from vae import runs
from vae.errors import UserError

pandas = pytest.importorskip("pandas", reason="DataFrames need the extra frames")
SMALL = {"hidden": (8,), "latent_size": 2, "epochs": 2, "iwae_samples": (5,)}

ONE = {"likelihood": "gaussian_learned", "data__standardize": True}


def frame(num=120, seed=0):
    rng = np.random.default_rng(seed)
    size, color = rng.normal(5.0, 2.0, num), rng.integers(0, 2, num)
    return pandas.DataFrame({
        "size": size, "color": np.array(["red", "blue"])[color],
        "weight": 3.0 * size + rng.normal(size=num), "kind": np.where(color > 0, "ill", "well"),
    }, index=[f"row{n}" for n in range(num)])  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Of text as zeros and ones beside numbers, under one Gaussian."""
    workdir = tmp_path_factory.mktemp("fit") / "run"
    return vae.fit(frame(), labels="kind", workdir=workdir, **SMALL | ONE)


def test_a_table_with_holes_comes_in_and_is_imputed(tmp_path):
    table = frame().drop(columns="kind")
    table.iloc[::5, 0], table.iloc[::7, 1] = np.nan, None
    model = vae.fit(table, workdir=tmp_path / "run", **SMALL)
    kinds = dict(zip(model.column_names, model.column_kinds, strict=True))
    assert kinds["color"].levels == ("blue", "red") and kinds["size"].holes
    missing = table.isna()
    filled, drawn = model.impute(table, samples=50), model.impute(table, samples=50, draws=2)
    for found in (filled, *drawn):
        assert found.index.equals(table.index) and not found.isna().any(axis=None)
        pandas.testing.assert_frame_equal(found.where(~missing), table.where(~missing),
                                          check_dtype=False)  # fmt: skip
        assert set(found["color"]) == {"red", "blue"}
        assert found["size"].between(table["size"].min(), table["size"].max()).all()
    assert not drawn[0]["size"].equals(drawn[1]["size"])
    assert np.isfinite(model.elbo(table)).all() and model.encode(table)[0].index.equals(table.index)
    assert set(model.reconstruct(table)["color"]) <= {"red", "blue"}
    with pytest.raises(UserError, match="color: 'green' is none of its 2 levels"):
        model.impute(table.assign(color="green"))
    with pytest.raises(UserError, match="lacks 1 of the 3 columns .*: weight"):
        model.impute(table.drop(columns="weight"))


def test_a_table_comes_in_and_tables_go_out(model):
    table = frame()
    mean, std = model.encode(table)
    assert mean.index.equals(table.index) and list(mean.columns) == ["z0", "z1"]
    assert (std.to_numpy() > 0).all()
    back = model.reconstruct(table.drop(columns="kind"))
    assert list(back.columns) == model.described["columns"]
    x = model.taken(table)
    np.testing.assert_allclose(mean, model.encode(x)[0], rtol=1e-6)
    np.testing.assert_allclose(back, model.restore(model.reconstruct(x)), rtol=1e-6)
    np.testing.assert_allclose(model.log_likelihood(table), model.log_likelihood(x), rtol=1e-6)
    place = model.described["columns"].index("size")
    scaled = (table["size"] - model.described["mean"][place]) / model.described["std"][place]
    np.testing.assert_allclose(x[:, place], scaled, rtol=1e-5)
    red = x[:, model.described["columns"].index("color=red")]
    assert (red > 0).tolist() == (table["color"] == "red").tolist()


def test_the_run_has_its_data_and_is_evaluated_by_itself(model):
    assert model.dataset.classes == ("ill", "well") and len(model.dataset.splits["train"]) == 96
    vae.evaluate(str(model.workdir))
    rows = vae.results(model.workdir.parent)
    assert rows["state"].tolist() == ["evaluated"] and rows["model.latent_size"].tolist() == [2]
    elbo = runs.read_json(model.workdir / "evaluation.json")["metrics"]["elbo"]
    assert rows["elbo"].tolist() == [elbo["value"]]
    assert rows["elbo_stderr"].tolist() == [elbo["stderr"]]


def test_the_same_call_is_the_same_run_and_other_data_are_refused(model, capsys):
    before = last_state(model.workdir)
    again = vae.fit(frame(), labels="kind", workdir=model.workdir, **SMALL | ONE)
    assert "already finished" in capsys.readouterr().out and again.step == model.step
    with pytest.raises(UserError, match="holds a run of other data: give another workdir"):
        vae.fit(frame(seed=1), labels="kind", workdir=model.workdir, **SMALL | ONE)
    for name, value in last_state(model.workdir).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_directory_of_its_own_follows_from_data_and_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).poisson(2.0, (60, 4))
    one, two = vae.fit(x, **SMALL), vae.fit(x, **SMALL)
    assert one.workdir == two.workdir and one.described["kind"] == "counts"
    assert vae.fit(x + 1, **SMALL).workdir != one.workdir
    assert vae.fit(x, **SMALL | {"latent_size": 3}).workdir != one.workdir
    assert len(vae.results("runs")) == 3


def test_train_takes_data_too(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4))
    config = configs.default({"model.hidden": (8,), "train.epochs": 1})
    one = vae.train(config, str(tmp_path / "one"), data=x)
    two = vae.fit(x, config=config, workdir=tmp_path / "two")
    for name, value in last_state(two.workdir).items():
        np.testing.assert_array_equal(last_state(one)[name], value)


@pytest.mark.parametrize("labelled", [False, True])
def test_sparse_matrices_and_labels_of_text(labelled, tmp_path):
    x = sparse.random(80, 12, 0.2, "csr", random_state=0)
    labels = np.where(np.arange(80) % 3, "a", "b").astype(object) if labelled else None
    model = vae.fit(x, labels, workdir=tmp_path / "run", **SMALL)
    whole = np.concatenate([split.x for split in model.dataset.splits.values()])
    mean, std = (np.array(model.described[name]) for name in ("mean", "std"))
    found = np.sort(whole.astype(np.float64) * std + mean, 0)
    np.testing.assert_allclose(found, np.sort(x.toarray(), 0), atol=1e-5)
    assert model.dataset.classes == (("a", "b") if labelled else ())


def test_cells(tmp_path):
    anndata = pytest.importorskip("anndata")
    counts = np.random.default_rng(0).poisson(1.0, (70, 5)).astype(np.float32)
    cells = anndata.AnnData(counts, {"type": np.where(np.arange(70) % 2, "T", "B")})
    model = vae.fit(cells, labels="type", workdir=tmp_path / "run", **SMALL)
    assert model.described["kind"] == "counts" and model.dataset.classes == ("B", "T")
    found = np.concatenate([split.x for split in model.dataset.splits.values()])
    np.testing.assert_array_equal(found.sum(0), counts.sum(0))


def test_pictures_start_from_a_shipped_config(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    model = vae.fit(x, config="base", workdir=tmp_path / "run", train__epochs=1, hidden=(8,))
    assert model.config.model.likelihood == "discretized_logistic_mixture"


@pytest.mark.parametrize(
    ("x", "labels", "changes", "words"),
    [
        (np.zeros((4, 2), object), None, {}, "is no data: give numbers"),
        (np.ones((4, 2)), [1, 2], {}, "give one label each"),
        (np.ones((4, 2)), "kind", {}, "an array has no columns"),
        (frame(9), "knd", {}, "the table has no such column"),
        (np.ones((4, 2)), None, {"samples": 3}, "say which, objective__samples, eval__samples"),
        (np.ones((4, 2)), None, {"latents": 3}, "config has no key 'latents'"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(x, labels, changes, words, tmp_path):
    with pytest.raises(UserError, match=words):
        vae.fit(x, labels, workdir=tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()

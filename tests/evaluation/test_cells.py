"""What a run says of cells: files of AnnData, and genes that differ between groups."""

import numpy as np
import pytest

import vae
from tests.data import anndata_files
from vae.data.files import load as files_load
from vae.errors import UserError
from vae.evaluation import cell_files
from vae.evaluation.differential import compare, differential
from vae.evaluation.transform import encode, reconstruct

h5py = pytest.importorskip("h5py")
GENES, CELLS, PLANTED = 60, 1000, [3, 11, 20, 27, 33, 40, 48, 55]
KINDS = np.array(["A", "B"], dtype=object)[np.arange(CELLS) % 2]
LANES = np.array(["one", "two"], dtype=object)[np.arange(CELLS) // 2 % 2]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Counts with genes planted at four times the share in A, and depths that all cells differ
    in."""
    rng = np.random.default_rng(0)
    base = rng.gamma(2.0, 1.0, GENES) + 0.2
    shares = np.where((KINDS == "A")[:, None], 1.0, 0.25 ** np.isin(np.arange(GENES), PLANTED))
    depth = rng.lognormal(0.0, 0.4, (CELLS, 1))
    mean = 5.0 * depth * base * shares
    x = rng.poisson(rng.gamma(10.0, mean / 10.0)).astype(np.float32)
    path = tmp_path_factory.mktemp("cells") / "cells.h5ad"
    return anndata_files.write(path, x, {"kind": KINDS, "lane": LANES}), x


@pytest.fixture(scope="module")
def run(cells, tmp_path_factory):
    """A run given the lane."""
    workdir = tmp_path_factory.mktemp("run") / "run"
    return vae.fit(
        cells[0], config="configs/cells.py", workdir=workdir, covariates=("lane",),
        hidden=(32,), latent_size=4, epochs=150, learning_rate=5e-3, patience=0,
        train__batch_size=48, train__eval_epochs=150.0,
    )  # fmt: skip


def test_planted_genes_are_on_top_and_others_are_not(run, cells, tmp_path):
    found = differential(run.workdir, cells[0], "kind", "A", "B", tmp_path / "genes.csv")
    assert (found["a"], found["b"]) == (500, 500)
    lines = [line.split(",") for line in (tmp_path / "genes.csv").read_text().splitlines()]
    assert lines[0][0] == "gene" and len(lines) == GENES + 1
    assert {name for name, *_ in lines[1:9]} == {f"gene{n}" for n in PLANTED}
    columns = {name: np.array([float(line[n]) for line in lines[1:]])
               for n, name in enumerate(lines[0]) if n}  # fmt: skip
    # The planted genes take shares from the others in A, so theirs is less than two.
    assert (columns["lfc_mean"][:8] > 1.0).all() and (columns["probability"][:8] > 0.9).all()
    assert (np.abs(columns["lfc_mean"][8:]) < 0.5).all() and found["genes"] == 8
    assert (columns["bayes_factor"][:8] > columns["bayes_factor"][8:].max()).all()


def test_swapped_groups_change_the_sign_and_a_group_does_not_differ_from_itself(run, cells):
    x, context = cells[1], np.eye(2, dtype=np.float32)[(LANES == "two").astype(int)]
    a, b = (np.flatnonzero(KINDS == kind) for kind in "AB")
    one, other = compare(run, x, a, b, context), compare(run, x, b, a, context)
    error = 6 * one["lfc_std"] / np.sqrt(5000)
    assert (np.abs(one["lfc_mean"] + other["lfc_mean"]) < 2 * error).all()
    same = compare(run, x, a, a, context)
    assert (np.abs(same["lfc_mean"]) < 2 * error + 6 * same["lfc_std"] / np.sqrt(5000)).all()


def test_latents_and_normalised_expression_are_added_to_a_copy(run, cells, tmp_path):
    path, x = cells
    before = path.read_bytes()
    assert encode(run.workdir, path, tmp_path / "z.h5ad") == (CELLS, 4)
    assert reconstruct(run.workdir, tmp_path / "z.h5ad", tmp_path / "z.h5ad") == CELLS
    assert path.read_bytes() == before
    context = np.eye(2, dtype=np.float32)[(LANES == "two").astype(int)]
    with h5py.File(tmp_path / "z.h5ad") as file:
        latents, shares = file["obsm"]["X_vae"][:], file["layers"]["vae_normalized"][:]
        assert file["obs"]["_index"].asstr()[:].tolist() == [f"cell{n}" for n in range(CELLS)]
    np.testing.assert_allclose(latents, run.encode(x, context)[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(shares.sum(1), 10_000, rtol=1e-4)
    expected = 1e4 * run.shares(latents, context)
    np.testing.assert_allclose(shares, expected, rtol=1e-3, atol=1e-3)
    again = files_load(str(tmp_path / "z.h5ad"), 0, label="kind")
    np.testing.assert_array_equal(again.splits["train"].x[:], x)
    assert again.columns[:2] == ("gene0", "gene1")


@pytest.mark.parametrize("source", ["file", "test"])
def test_anndata_reads_what_is_written(run, cells, tmp_path, source):
    anndata = pytest.importorskip("anndata")
    encode(run.workdir, cells[0] if source == "file" else source, tmp_path / "z.h5ad")
    found = anndata.read_h5ad(tmp_path / "z.h5ad")
    assert found.obsm["X_vae"].shape == (CELLS if source == "file" else 100, 4)
    assert found.var_names[0] == "gene0" and found.obs_names[0].startswith("cell")
    assert source == "test" or found.obs["kind"].tolist() == KINDS.tolist()


def test_nothing_is_half_written(run, cells, tmp_path):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(cells[0].read_bytes())

    def broken():
        yield np.zeros((3, 4))
        raise UserError("in the middle")

    with pytest.raises(UserError, match="in the middle"):
        cell_files.write(path, path, "obsm", "X_vae", broken(), (CELLS, 4), None, [])
    assert path.read_bytes() == cells[0].read_bytes() and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("groups, a, b, message", [
    ("kind", "C", "B", "kind has no value 'C'; it has A, B"),
    ("knid", "A", "B", r"no column 'knid' \(did you mean 'kind'\?\)"),
])  # fmt: skip
def test_groups_that_are_not_there(run, cells, tmp_path, groups, a, b, message):
    with pytest.raises(UserError, match=message):
        differential(run.workdir, cells[0], groups, a, b, tmp_path / "genes.csv")
    assert not list(tmp_path.iterdir())

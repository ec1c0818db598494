"""Columns of obs and of tables as the context of a conditional model."""

import warnings

import numpy as np
import pytest

from tests.data import anndata_files
from vae.config import default, with_values
from vae.data import covariates, load
from vae.errors import UserError

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(3.0, (60, 4)).astype(np.float32)
BATCH = np.array(["b", "a", "c"] * 20, dtype=object)
AGE = RNG.normal(50.0, 9.0, 60)


def cells(folder, **obs):
    return anndata_files.write(folder / "c.h5ad", COUNTS, {"batch": BATCH, "age": AGE} | obs)


def table(folder):
    rows = ["g0,g1,batch,age", *(
        f"{a:g},{b:g},{k},{n!r}"
        for a, b, k, n in zip(*COUNTS.T[:2], BATCH, AGE.tolist(), strict=True)
    )]  # fmt: skip
    (folder / "t.csv").write_text("\n".join(rows))
    return folder / "t.csv"


def loaded(path, wanted, **more):
    values = {"name": "files", "path": str(path), "covariates": wanted, "kind": "counts",
              "binarization": "none", "standardize": False, "id": "none"} | more  # fmt: skip
    return load(with_values(default(), {f"data.{k}": v for k, v in values.items()}).data)


@pytest.mark.parametrize("written", [cells, table])
def test_texts_are_one_hot_and_numbers_standardised(tmp_path, written):
    dataset = loaded(written(tmp_path), ("batch", "age"))
    assert dataset.covariates == ("batch=a", "batch=b", "batch=c", "age")
    context = {name: split.context for name, split in dataset.splits.items()}
    assert all((each[:, :3].sum(1) == 1).all() for each in context.values())
    np.testing.assert_allclose(context["train"][:, 3].mean(), 0.0, atol=1e-6)
    np.testing.assert_allclose(context["train"][:, 3].std(), 1.0, rtol=1e-6)
    # Rows keep together: x of the training split tells which rows they are.
    everything = np.concatenate([split.x[:] for split in dataset.splits.values()])
    order = np.concatenate([each[:, :3].argmax(1) for each in context.values()])
    kinds = np.array(["a", "b", "c"])[order]
    width = everything.shape[1]
    expected = {(*row, kind) for row, kind in zip(COUNTS[:, :width].tolist(), BATCH, strict=True)}
    assert {(*row, kind) for row, kind in zip(everything.tolist(), kinds, strict=True)} == expected


def test_columns_of_a_table_are_then_no_features(tmp_path):
    dataset = loaded(table(tmp_path), ("batch", "age"))
    assert dataset.columns == ("g0", "g1") and dataset.categories == ()


def test_numbers_may_be_names(tmp_path):
    path = cells(tmp_path, lane=np.arange(60) % 2)
    assert loaded(path, ("lane",)).covariates == ("lane",)
    assert loaded(path, ("lane:categorical",)).covariates == ("lane=0", "lane=1")


def test_a_file_of_other_cells_is_seen_as_the_training_cells_were(tmp_path):
    """The same standardisation, and the same categories, though not all are there."""
    dataset = loaded(cells(tmp_path), ("batch", "age"))
    mean, std = dataset.context_scaler
    described = {"covariates": dataset.covariates, "context_mean": mean, "context_std": std}
    few = anndata_files.write(
        tmp_path / "few.h5ad", COUNTS[:2], {"batch": ["c", "c"], "age": AGE[:2]}
    )
    got = covariates.of_file(few, ("batch", "age"), described)
    np.testing.assert_array_equal(got[:, :3], [[0, 0, 1], [0, 0, 1]])
    np.testing.assert_allclose(got[:, 3], (AGE[:2] - mean[3]) / std[3], rtol=1e-5)
    strange = anndata_files.write(
        tmp_path / "strange.h5ad", COUNTS[:2], {"batch": ["c", "d"], "age": AGE[:2]}
    )
    with pytest.raises(UserError, match="example 1 has batch 'd', which was not trained on"):
        covariates.of_file(strange, ("batch", "age"), described)


@pytest.mark.parametrize("wanted, more, message", [
    (("bach",), {}, r"no column 'bach' \(did you mean 'batch'\?\)"),
    (("lost",), {}, "lost is missing of 1 examples, first of example 7: fill it"),
    (("holes",), {}, "holes is missing of 2 examples, first of example 3: fill it"),
    (("batch",), {"context": "labels"}, "data.context=''"),
    (("batch",), {"stream": True}, "reads x alone"),
])  # fmt: skip
def test_what_is_not_there_is_said_once(tmp_path, wanted, more, message):
    lost, holes = BATCH.copy(), AGE.copy()
    lost[7], holes[[3, 4]] = None, np.nan
    path = cells(tmp_path, lost=lost, holes=holes)
    with pytest.raises(UserError, match=message):
        loaded(path, wanted, **more)


def test_a_table_says_the_same(tmp_path):
    with pytest.raises(UserError, match=r"has no column 'bach' \(did you mean 'batch'"):
        loaded(table(tmp_path), ("bach",))
    np.savez(tmp_path / "a.npz", x=COUNTS)
    with pytest.raises(UserError, match="columns of .h5ad or of a table"):
        loaded(tmp_path / "a.npz", ("batch",))


def test_genes_of_one_name_get_names_of_their_own(tmp_path):
    """As AnnData's var_names_make_unique has it."""
    genes = np.array(["A", "B", "A", "A-1"])
    np.savez(tmp_path / "a.npz", x=COUNTS.astype(int), genes=genes, cells=np.arange(60).astype(str))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dataset = loaded(tmp_path / "a.npz", (), id="auto")
    assert dataset.columns == ("A", "B", "A-2", "A-1") and "genes of one name" in str(said[0])
    assert dataset.identifier == "cells" and len(dataset.splits["test"].ids) == 6
    np.savez(tmp_path / "b.npz", x=COUNTS.astype(int), genes=genes, cells=np.arange(3).astype(str))
    with pytest.raises(UserError, match="give each a name"):
        loaded(tmp_path / "b.npz", (), id="auto")

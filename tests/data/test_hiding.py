"""Cells that are hidden on purpose: how many, which, and what becomes of them."""

import numpy as np
import pytest

from tests.margins import fixed_rng
from vae.columns import Column
from vae.data import hiding
from vae.data.dataset import Dataset, Split
from vae.errors import UserError

KINDS = (
    Column("gaussian"), Column("log_normal"), Column("negative_binomial"),
    Column("categorical", levels=("a", "b", "c")), Column("bernoulli", levels=(3.0, 5.0)),
    Column("student_t"),
)  # fmt: skip


def table(num=4000, kinds=KINDS, kind="columns"):
    def rows(seed):
        rng = fixed_rng(seed)
        x = np.column_stack([
            rng.standard_normal(num), np.exp(3 * rng.standard_normal(num)),
            rng.poisson(4.0, num), rng.integers(0, 3, num), rng.choice([3.0, 5.0], num),
            rng.standard_t(2, num),
        ])[:, : len(kinds)]  # fmt: skip
        x[:50, 0] = np.nan
        return Split(x)

    splits = {name: rows(seed) for seed, name in enumerate(("train", "validation", "test"))}
    return Dataset("t", "1", kind, 0, splits, column_kinds=kinds)


@pytest.mark.parametrize("how", hiding.WAYS)
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_that_share_of_cells_is_hidden_and_kept(how, share):
    whole = table()
    found = hiding.hide(whole, share, how)
    known = 2 if how == "mar" else 0
    for name, split in found.splits.items():
        before = whole.splits[name].x
        hidden = ~np.isnan(split.hidden)
        assert not hidden[:, :known].any() and not (hidden & np.isnan(before)).any()
        np.testing.assert_array_equal(np.where(hidden, split.hidden, split.x), before)
        assert np.isnan(split.x[hidden]).all()
        shares = hidden[50:, known:].mean(0)
        np.testing.assert_allclose(shares, share, atol=5 * np.sqrt(0.25 / 4000) + 0.01)


def test_what_is_hidden_depends_on_what_it_should():
    """How far a column's hidden cells are from those left: in what is always known, and in their
    own numbers."""
    whole = table()
    x = whole.splits["train"].x[50:]
    known = np.column_stack([x[:, 0], np.log(x[:, 1])])
    apart, own = {}, {}
    for how in hiding.WAYS:
        hidden = ~np.isnan(hiding.hide(whole, 0.5, how).splits["train"].hidden[50:, 5])
        gap = known[hidden].mean(0) - known[~hidden].mean(0)
        apart[how] = np.abs(gap / known.std(0)).max()
        own[how] = np.median(x[hidden, 5]) - np.median(x[~hidden, 5])
    assert apart["mar"] > 0.5 and max(apart["mcar"], apart["mnar"]) < 0.15
    assert own["mnar"] > 0.5 and max(abs(own["mcar"]), abs(own["mar"])) < 0.15


def test_rows_keep_their_hidden_cells_and_data_without_columns_are_refused():
    once, again = (hiding.hide(table(), 0.3, "mcar").splits["test"].hidden for _ in range(2))
    np.testing.assert_array_equal(once, again)
    with pytest.raises(UserError, match="set it, or data.missing=0.0"):
        hiding.hide(table(kind="real"), 0.3, "mcar")
    with pytest.raises(UserError, match="needs 2 columns"):
        hiding.hide(table(kinds=KINDS[:1]), 0.3, "mar")

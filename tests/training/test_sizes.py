"""What is refused before training begins: sizes that cannot be."""

import jax
import numpy as np
import pytest

from tests.helpers import grey_dataset, small_config
from vae import command
from vae.errors import UserError
from vae.training import setup


def test_a_model_larger_than_the_memory_is_refused_with_its_largest_part(monkeypatch):
    """12 weights, and as many numbers three times over, of 4 bytes each: 192."""
    params = {"encoder": {"kernel": jax.ShapeDtypeStruct((2, 5), np.float32),
                          "bias": jax.ShapeDtypeStruct((2,), np.float32)}}  # fmt: skip
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 64, "SC_PHYS_PAGES": 3}.get)
    setup.check_size(params)
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 191, "SC_PHYS_PAGES": 1}.get)
    with pytest.raises(UserError, match="12 weights, 10 of them in encoder/kernel"):
        setup.check_size(params)


@pytest.mark.parametrize("sizes", [{"model__latent_size": 2**31 - 1}, {"model__hidden": (2**30,)}])
def test_giant_models_are_refused_before_anything_is_compiled(sizes):
    with pytest.raises(UserError, match="this machine has"):
        setup.program(small_config(**sizes), grey_dataset())


def test_a_batch_larger_than_the_data_is_refused_whatever_the_objective():
    """Before the objective is traced, with arrays of the batch's size."""
    config = small_config(objective__name="info_vae", train__batch_size=2**31 - 1)
    with pytest.raises(UserError, match="take one from 1 to 120"):
        setup.program(config, grey_dataset())


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 35.8 GiB for an array"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.\nmore\nlines"),
    ],
)
def test_a_lack_of_memory_is_a_message(error, capsys):
    def work():
        raise error

    assert command.guarded(work) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: not enough memory") and len(said.splitlines()) == 2
    with pytest.raises(type(error)):
        command.guarded(work, debug=lambda: True)


def test_another_error_is_not_hidden():
    with pytest.raises(RuntimeError, match="of the program"):
        command.guarded(lambda: (_ for _ in ()).throw(RuntimeError("a fault of the program")))

"""What is refused before anything is compiled or written."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.helpers import grey_dataset, small_config
from vae import data
from vae.configs import cifar10
from vae.errors import UserError
from vae.training import setup


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("binarization", ["dynamic", "static"])
def test_colours_are_not_binarised(binarization, channels):
    """Each would become 0 or 1 by itself: what is left shows none of the picture's colours."""
    dataset = grey_dataset(shape=(4, 4, channels))
    if binarization == "static":  # as loading gives it
        splits = {
            name: dataclasses.replace(split, x=split.x % 2, binarized=True)
            for name, split in dataset.splits.items()
        }
        dataset = dataclasses.replace(dataset, kind="binary", levels=2, splits=splits)
    config = small_config(data__binarization=binarization)
    with pytest.raises(UserError, match=f"{channels} colours of grey:\nset data.binariz") as said:
        setup.check_data(config, dataset)
    assert "model.likelihood=discretized_logistic_mixture" in str(said.value)
    assert len(str(said.value).splitlines()) == 2


def test_the_remedy_for_colours_fits_and_what_is_binary_itself_may_have_channels(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (40, 6, 6, 3)).astype(np.uint8))
    config = small_config(data__name="files", data__path=str(tmp_path / "x.npy"))
    with pytest.raises(UserError, match="'dynamic' would make zeros and ones of each"):
        setup.check_data(config, data.load(config.data))
    config.data.binarization = "none"
    config.model.likelihood = "discretized_logistic_mixture"
    setup.check_data(config, data.load(config.data))
    np.save(tmp_path / "x.npy", rng.integers(0, 2, (40, 6, 6, 3)).astype(np.uint8))
    config = small_config(data__name="files", data__path=str(tmp_path / "x.npy"))
    setup.check_data(config, data.load(config.data))
    setup.check_data(config, grey_dataset(shape=(12,)))  # a vector's entries are no colours
    assert cifar10.get_config().data.binarization == "none"


def test_a_run_of_float64_is_refused():
    config = small_config()
    with jax.enable_x64(True), pytest.raises(UserError, match="train without it"):
        setup.program(config, grey_dataset())

import jax.numpy as jnp
import numpy as np
import pytest

from tests.objectives.weights import SHAPE, build, keys_for


@pytest.fixture(scope="module")
def parts():
    """model, params, x and keys of six examples."""
    x = np.random.default_rng(1).integers(0, 2, (6, *SHAPE)).astype(np.float32)
    return *build(), jnp.asarray(x), keys_for(6)

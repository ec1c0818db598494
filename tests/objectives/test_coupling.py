import jax
import numpy as np

from tests.objectives.shared import keys_for
from vae.objectives import coupling
from vae.probability import noise

DEVICES, COUNT = 4, 8


def drawn(keys, axis):
    """Normal draws of the batch [5], of its second use [5], and of each example [B, 5]."""
    one, two = jax.random.split(coupling.batch_key(keys, axis))
    each = noise.normal(noise.fold(keys, 1), (5,))
    return jax.random.normal(one, 5), jax.random.normal(two, 5), each


def test_the_batch_has_one_key_on_one_device_and_on_four():
    keys = keys_for(COUNT)
    one = jax.jit(lambda keys: drawn(keys, None))(keys)
    four = jax.pmap(lambda keys: drawn(keys, "device"), axis_name="device")(
        keys.reshape(DEVICES, -1)
    )
    for of_one, of_four in zip(one[:2], four[:2], strict=True):
        np.testing.assert_array_equal(of_four, np.tile(of_one, (DEVICES, 1)))
    np.testing.assert_array_equal(one[2], four[2].reshape(COUNT, 5))
    rows = np.concatenate([one[0][None], one[1][None], one[2]])
    assert len(np.unique(rows)) == rows.size


def test_the_batch_s_key_is_none_of_an_example_and_follows_the_step():
    keys, later = keys_for(COUNT), keys_for(COUNT, seed=1)
    own = {tuple(row) for use in (0, 1, 2, 3) for row in data(noise.fold(keys, use)).tolist()}
    own |= {tuple(row) for row in data(keys).tolist()}
    batch = [tuple(data(coupling.batch_key(k, None)).tolist()) for k in (keys, later)]
    assert batch[0] not in own and batch[0] != batch[1]


def data(keys):
    return np.asarray(jax.random.key_data(keys))

"""Recurrent networks along sequences of ids, against sums over all sequences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.margins import near, within
from vae.networks.recurrent import END, gru_decoder, gru_encoder

IDS, LENGTH = 3, 3
ALL = np.array(list(itertools.product(range(IDS), repeat=LENGTH)))


@pytest.fixture(scope="module")
def decoder():
    module = gru_decoder(shape=(LENGTH,), channels=IDS, hidden=(8,), word_dropout=0.5)
    z = jnp.array([[0.5, -2.0]])
    params = module.init(jax.random.key(0), z, None, jnp.zeros((1, LENGTH)))
    scaled = jax.tree.map(lambda p: 3.0 * p, params)  # far from uniform

    def logits(x, keys=None):
        return module.apply(scaled, jnp.repeat(z, len(x), 0), keys, jnp.asarray(x))

    return module, scaled, z, logits


def log_prob(logits, x):
    each = jax.nn.log_softmax(logits)
    return np.asarray(jnp.take_along_axis(each, jnp.asarray(x)[..., None], -1)[..., 0].sum(-1))


def test_probabilities_of_all_sequences_sum_to_one_and_none_goes_on_after_its_end(decoder):
    p = np.exp(log_prob(decoder[3](ALL), ALL))
    assert p.sum() == pytest.approx(1.0, abs=1e-5)
    goes_on = [(row[:-1] == END).any() and (row[list(row).index(END) :] != END).any()
               for row in ALL]  # fmt: skip
    assert p[goes_on].max() < 1e-12 and p[~np.array(goes_on)].min() > 1e-6


def test_no_sequence_begins_with_what_never_does(decoder):
    _, params, z, _ = decoder
    module = gru_decoder(shape=(LENGTH,), channels=IDS, hidden=(8,), never_first=(END, 2))
    repeated = jnp.repeat(z, len(ALL), 0)
    p = np.exp(log_prob(module.apply(params, repeated, None, jnp.asarray(ALL)), ALL))
    assert p.sum() == pytest.approx(1.0, abs=1e-5) and p[ALL[:, 0] != 1].max() == 0.0
    keys = jax.random.split(jax.random.key(3), 500)
    drawn = module.apply(params, keys, jnp.repeat(z, 500, 0), method="sample")
    assert (np.asarray(drawn)[:, 0] == 1).all()
    assert np.asarray(module.apply(params, z).argmax(-1))[0, 0] == 1


def test_an_id_is_given_only_those_before_it(decoder):
    logits = decoder[3]
    one, two = np.array([[1, 2, 1]]), np.array([[1, 2, 2]])
    assert (logits(one) == logits(two)).all()
    assert (logits(np.array([[2, 2, 1]]))[:, 1] != logits(one)[:, 1]).any()


def test_the_greedy_walk_takes_the_most_probable_id_at_every_place(decoder):
    module, params, z, logits = decoder
    along = module.apply(params, z)
    ids = np.asarray(along.argmax(-1))
    assert np.asarray(logits(ids)) == pytest.approx(np.asarray(along), abs=1e-5)


def test_draws_are_as_frequent_as_they_are_probable(decoder):
    module, params, z, logits = decoder
    n = 20_000
    keys = jax.random.split(jax.random.key(1), n)
    drawn = np.asarray(module.apply(params, keys, jnp.repeat(z, n, 0), method="sample"))
    p = np.exp(log_prob(logits(ALL), ALL))
    number = drawn @ [9, 3, 1]
    found = np.bincount(number, minlength=len(ALL)) / n
    within(found, p, np.sqrt(p * (1 - p) / n) + 0.4 / n)


def test_hidden_ids_change_the_logits_of_later_ones_in_training_alone(decoder):
    logits = decoder[3]
    x = np.repeat([[1, 2, 1]], 2000, axis=0)
    keys = jax.random.split(jax.random.key(2), 2000)
    seen, hidden = np.asarray(logits(x)), np.asarray(logits(x, keys))
    assert (seen == seen[0]).all()
    assert hidden[:, 0] == pytest.approx(seen[:, 0], abs=1e-6)  # what begins is never hidden
    changed = np.abs(hidden[:, 1] - seen[:, 1]).max(-1) > 1e-4
    near(changed.mean(), 0.5, 0.15)


def test_the_encoder_sees_nothing_after_the_first_end():
    module = gru_encoder(hidden=(6,))

    def encode(*ids):
        x = jax.nn.one_hot(jnp.array([ids]), IDS)
        params = module.init(jax.random.key(0), x)
        return np.asarray(module.apply(params, x))

    assert encode(1, 2, 0, 0) == pytest.approx(encode(1, 2, 0, 2), abs=1e-6)
    assert np.abs(encode(1, 2, 0, 0) - encode(1, 2, 1, 0)).max() > 1e-3
    assert np.abs(encode(1, 2, 0, 0) - encode(2, 1, 0, 0)).max() > 1e-3


def test_a_step_is_the_published_unit():
    from vae.networks.recurrent import Cell

    rng = np.random.default_rng(0)
    cell = Cell(2)
    h, inputs = rng.normal(size=(1, 2)), rng.normal(size=(1, 6))
    params = cell.init(jax.random.key(0), jnp.array(h), jnp.array(inputs), method="step")
    params = jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape)), params)
    kernel, bias = (np.asarray(params["params"][k]) for k in ("kernel", "bias"))

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    reset, update, candidate = np.split(inputs, 3, axis=1)
    u_reset, u_update, u_candidate = np.split(kernel, 3, axis=1)
    r, u = sigmoid(reset + h @ u_reset), sigmoid(update + h @ u_update)
    n = np.tanh(candidate + r * (h @ u_candidate + bias))
    found = cell.apply(params, jnp.array(h), jnp.array(inputs), method="step")
    assert np.asarray(found) == pytest.approx(u * h + (1 - u) * n, abs=1e-5)

"""Densities of codes: two Markov chains, each a class, of which all probabilities are known."""

import itertools

import jax
import numpy as np
import pytest

from tests.margins import above, below, near
from vae.errors import UserError
from vae.estimators import code_density
from vae.estimators.code_density import Causal, Masked, fit_causal, fit_masked

CODES, LENGTH = 4, 16  # of a map of 4 x 4, row by row
QUICK = {"steps": 2500, "rate": 5e-3, "width": 32, "depth": 2, "average": 0.98}
STEP = 0.7 * np.stack([np.eye(CODES), np.roll(np.eye(CODES), 1, axis=1)]) + 0.3 / CODES
ONE_BY_ONE = {"decoding": 2 * LENGTH, "temperature": 1e4}


def chains(num, seed=0):
    """Codes [num, 16] of chains that mostly stay, or mostly go one up, and which of both."""
    rng = np.random.default_rng(seed)
    kind, codes = rng.integers(0, 2, num), np.zeros((num, LENGTH), int)
    codes[:, 0] = rng.integers(0, CODES, num)
    for i in range(1, LENGTH):
        ways = STEP[kind, codes[:, i - 1]].cumsum(-1)
        codes[:, i] = (rng.random((num, 1)) > ways[:, :-1]).sum(-1)
    return codes, kind


def of_chains(codes):
    """log p of codes [N, 16] under each chain: [2, N]."""
    return np.log(STEP[:, codes[:, :-1], codes[:, 1:]]).sum(-1) - np.log(CODES)


def pairs(codes):
    """How often each code comes after each: shares [4, 4] of all neighbours in sequences."""
    numbers = CODES * codes[:, :-1] + codes[:, 1:]
    return np.bincount(numbers.ravel(), minlength=CODES**2).reshape(CODES, CODES) / numbers.size


@pytest.fixture(scope="module")
def fits():
    codes, kind = chains(20_000)
    labels = np.where(np.arange(20_000) % 10, kind, -1)  # a tenth has none
    return {
        "causal": fit_causal(codes, labels=labels, **QUICK).sampler(),
        # Of one code it sees any of the others, and learns what they say of it more slowly.
        "masked": fit_masked(codes, labels=labels, **QUICK | {"steps": 4000}, **ONE_BY_ONE),
    }


def sampler(fits, name, **changes):
    """The masked one may be asked to decode otherwise than it was fitted to."""
    if name == "causal":
        return fits["causal"]
    density = fits["masked"]
    return Masked(density.about | changes, density.params).sampler()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["causal", "masked"])
def test_neighbours_are_as_often_as_in_the_chains(fits, name):
    drawn = sampler(fits, name).sample(2000, 1)
    near(pairs(drawn), STEP.mean(0) / CODES, 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["causal", "masked"])
def test_draws_of_a_class_are_of_its_chain(fits, name):
    kind = np.arange(1000) % 2
    drawn = sampler(fits, name).sample(1000, 1, labels=kind)
    for number in (0, 1):
        near(pairs(drawn[kind == number]), STEP[number] / CODES, 0.03)
    right = of_chains(drawn).argmax(0) == kind
    driven = sampler(fits, name).sample(1000, 1, labels=kind, guidance=2.0)
    above(right.mean(), 0.95)
    above((of_chains(driven).argmax(0) == kind).mean(), 0.97)


@pytest.mark.slow
def test_many_at_a_time_are_less_like_the_chains_but_like_them(fits):
    """Twelve steps, the surest codes first: neighbours that are drawn at once do not know of each
    other."""
    drawn = sampler(fits, "masked", decoding=12, temperature=4.5).sample(2000, 1)
    near(pairs(drawn), STEP.mean(0) / CODES, 0.04)
    at_once = sampler(fits, "masked", decoding=1, temperature=0.0).sample(2000, 1)
    near(pairs(at_once), 1.0 / CODES**2, 0.03)


@pytest.mark.slow
def test_its_log_p_is_that_of_the_chains(fits):
    codes, kind = chains(2000, seed=1)
    each = of_chains(codes)
    whole = np.logaddexp(*each) - np.log(2.0)
    below((whole - fits["causal"].log_prob(codes)).mean() / LENGTH, 0.02)
    known = np.take_along_axis(each, kind[None], 0)[0]
    below((known - fits["causal"].log_prob(codes, labels=kind)).mean() / LENGTH, 0.02)


@pytest.mark.parametrize("streams", [1, 2])
def test_log_p_sums_to_one_over_all_codes_of_each_codebook(streams):
    """Of random weights; codes of another's codebook have none."""
    about = {"codes": 2 * streams, "length": 6, "streams": streams, "classes": 3}
    density = Causal(about | {"kind": "causal", "width": 8, "depth": 1})
    density.params = jax.tree.map(lambda p: p + 0.5, density.initial(jax.random.key(0)))
    offset = 2 * (np.arange(6) % streams)
    codes = np.array(list(itertools.product((0, 1), repeat=6))) + offset
    for labels in (None, np.full(len(codes), 2)):
        log_p = density.sampler().log_prob(codes, labels=labels)
        np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, atol=1e-5)
        assert len(np.unique(log_p)) > 10
    drawn = density.sampler().sample(50, 1)
    assert ((drawn >= offset) & (drawn < offset + 2)).all()
    if streams == 2:
        assert np.isneginf(density.sampler().log_prob(codes[:, ::-1])).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["causal", "masked"])
def test_draws_follow_their_seed_and_number_and_what_is_saved_gives_them(fits, name, tmp_path):
    found = sampler(fits, name)
    drawn = found.sample(20, 3)
    np.testing.assert_array_equal(found.sample(5, 3, 7), drawn[7:12])
    assert (found.sample(20, 4) != drawn).any() and drawn.min() >= 0 and drawn.max() < CODES
    none = found.sample(20, 3, labels=np.zeros(20, int), guidance=0.0)
    np.testing.assert_array_equal(none, drawn)
    about = {"codes": 4, "length": 3, "streams": 1, "classes": 0, "width": 8, "depth": 1}
    about |= {"kind": name, "decoding": 3, "temperature": 1.0}
    density = {"causal": Causal, "masked": Masked}[name](about)
    density.params = density.initial(jax.random.key(1))
    density.save(tmp_path)
    arrays = {path.name.removesuffix(".npy"): np.load(path) for path in tmp_path.glob("*.npy")}
    again = code_density.of_arrays(arrays).sampler()
    np.testing.assert_array_equal(again.sample(9, 2), density.sampler().sample(9, 2))


@pytest.mark.slow
def test_what_has_no_density_or_is_no_code_is_refused(fits):
    with pytest.raises(UserError, match="has no log p of codes: use causal"):
        sampler(fits, "masked").log_prob(np.zeros((1, LENGTH), int))
    for codes in (np.zeros((2, 3), int), np.full((2, LENGTH), CODES), np.zeros((2, LENGTH))):
        with pytest.raises(UserError, match="codes"):
            fits["causal"].log_prob(codes)
    with pytest.raises(UserError, match="labels"):
        fits["causal"].sample(2, labels=np.array([0, 2]))
    for wrong in ({"decoding": 0}, {"temperature": -1.0}):
        with pytest.raises(UserError, match=r"should be at least 1 and temperature"):
            fit_masked(np.zeros((10, 4), int), **wrong)

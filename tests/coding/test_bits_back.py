"""Bits back: what is pushed comes out again, at the length that the bound says."""

import math

import jax
import numpy as np
import pytest

from tests import margins
from tests.helpers import small_config
from tests.margins import fixed_rng
from tests.objectives.shared import keys_for
from vae import models
from vae.coding.bins import Bins
from vae.coding.bits_back import SPARE, Coder
from vae.coding.streams import WORD, Streams
from vae.errors import UserError

pytest.importorskip("constriction", reason="constriction codes: pip install 'vae[code]'")

LIKELIHOODS = {
    "bernoulli": ("binary", 2, (6, 6, 1)),
    "categorical": ("grey", 16, (4, 4, 2)),
    "categorical_tokens": ("tokens", 9, (12,)),
    "discretized_logistic": ("grey", 256, (6, 6, 1)),
    "discretized_logistic_mixture": ("grey", 32, (4, 4, 3)),
    "negative_binomial": ("counts", 0, (12,)),
    "zero_inflated_negative_binomial": ("counts", 0, (12,)),
}
COUNTS = 200  # of a table: a model that is young gives less than 1e-5 to more


def coder_of(likelihood, precision=10, streams=4, **changes):
    kind, levels, shape = LIKELIHOODS[likelihood]
    config = small_config(**{"model__likelihood": likelihood} | changes)
    model = models.from_config(config.model, shape, levels=levels, kind=kind)
    rng = fixed_rng(0)
    params = jax.tree.map(
        lambda p: p + 0.1 * rng.standard_normal(p.shape).astype(np.float32),
        models.initialise(model, shape),
    )
    return Coder(model, {"params": params}, shape, Bins(precision), streams, COUNTS)


def examples(coder, num):
    """Draws of the model itself."""
    model = coder.model.bind(coder.variables)
    z = model.sample_prior(keys_for(num, 1))
    x = np.asarray(model.draw(keys_for(num, 2), z))
    return np.round(x * coder.top).astype(int).reshape(num, *coder.shape)


MODELS = {
    "mixture": {"model__prior": "mixture", "model__prior_components": 3},
    "vamp": {"model__prior": "vamp", "model__prior_components": 3},
    "autoregressive": {"model__prior": "autoregressive"},
    "chain": {"model__name": "chain", "model__upper_sizes": (4, 2), "model__layer_hidden": (8,)},
    "ladder": {"model__name": "ladder", "model__upper_sizes": (4, 2), "model__layer_hidden": (8,)},
    "top_down": {"model__name": "top_down", "model__groups": (2, 1), "model__filters": (4, 6)},
}
SLOW = {"top_down": pytest.mark.slow}  # its networks are compiled one by one
WITH = [
    pytest.param(changes, marks=SLOW.get(name, ()), id=name) for name, changes in MODELS.items()
]


@pytest.mark.parametrize(
    ("likelihood", "changes"),
    [
        *(pytest.param(name, {}, id=name) for name in LIKELIHOODS),
        *(
            pytest.param("bernoulli", changes, id=name)
            for name, changes in MODELS.items()
            if name not in SLOW
        ),
        pytest.param(
            "discretized_logistic_mixture", MODELS["top_down"], id="top_down",
            marks=SLOW["top_down"],
        ),
    ],
)  # fmt: skip
def test_what_is_pushed_comes_out_at_the_length_of_its_code(likelihood, changes):
    coder = coder_of(likelihood, **changes)
    x = examples(coder, 10)  # of four stacks, two get one less
    coded = coder.push(x)
    np.testing.assert_array_equal(coder.pop(coded.words, 10, coded.first_words), x)
    # ANS loses less than a hundredth of a percent, and the ends of stacks are counted in bits.
    assert abs(coded.net - coded.ideal.sum()) < 1e-3 * coded.ideal.sum() + coder.streams


def test_no_examples_leave_the_stacks_as_they_were():
    coder = coder_of("bernoulli")
    words = Streams(coder.first_words(0, 5)).words
    assert coder.pop(words, 0, 5).shape == (0, *coder.shape)


def test_stacks_begin_with_more_bits_where_the_first_images_need_them():
    """z_1 has one latent and the stack few bits; z_2, popped right after x, has thirty."""
    changes = {"model__latent_size": 1, "model__upper_sizes": (30,)}
    coder = coder_of("bernoulli", **MODELS["chain"] | changes)
    x = examples(coder, 5)
    coded = coder.push(x)
    assert coded.first_words > -(-10 // WORD) + SPARE
    np.testing.assert_array_equal(coder.pop(coded.words, 5, coded.first_words), x)


def test_other_weights_are_found_out():
    coder = coder_of("bernoulli")
    coded = coder.push(examples(coder, 8))
    other = jax.tree.map(lambda p: p * 1.5, coder.variables)
    wrong = Coder(coder.model, other, coder.shape, coder.bins, coder.streams)
    with pytest.raises(UserError, match="do not come out as they went in"):
        wrong.pop(coded.words, 8, coded.first_words)


@pytest.mark.parametrize("changes", [pytest.param({}, id="normal"), *WITH])
def test_the_length_is_minus_the_bound(changes):
    """Of one image, at many draws of z, each made of random bits: beside the bound's own terms."""
    coder = coder_of("bernoulli", precision=12, streams=1024, **changes)
    x = examples(coder, 1).repeat(1024, 0)
    lengths = coder.push(x).ideal * math.log(2.0)
    seen = x[:1].astype(np.float32)
    model = coder.model.bind(coder.variables)
    joint = model.joint(model.encode(seen), seen, keys_for(1), count=1024)
    bounds = np.asarray(joint.log_weight[:, 0], np.float64)
    error = math.hypot(lengths.std(), bounds.std()) / math.sqrt(1024)
    margins.near(lengths.mean(), -bounds.mean(), 6.0 * error + 0.02)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_tables_of_values_are_the_likelihood(likelihood):
    coder = coder_of(likelihood)
    model = coder.model.bind(coder.variables)
    x = coder._seen(examples(coder, 3))
    theta = model.decode(fixed_rng(1).standard_normal((3, model.latent_size)).astype(np.float32))
    total = np.zeros(3)
    for channel in range(coder.channels):
        table = np.asarray(coder._probabilities(coder.variables, theta, x, channel), np.float64)
        np.testing.assert_allclose(table.sum(-1), 1.0, atol=2e-5)
        level = np.round(x * coder.top).astype(int).reshape(3, -1, coder.channels)[..., channel]
        total += np.log(np.take_along_axis(table, level[..., None], -1)).sum((1, 2))
    np.testing.assert_allclose(total, model.log_likelihood(theta, x), rtol=2e-4)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model__prior": "realnvp"}, "model.prior=normal, mixture, vamp or autoregressive"),
        ({"model__posterior": "full_covariance"}, "model.posterior=diagonal"),
        ({"model__likelihood": "gaussian_fixed"}, "gaussian_fixed is none: train with"),
    ],
)
def test_models_that_cannot_code_are_refused(changes, words):
    with pytest.raises(UserError, match=words):
        coder_of("bernoulli", **changes)

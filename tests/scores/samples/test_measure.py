"""Metrics by name: what is there, what their units say, and what is refused."""

import functools

import numpy as np
import pytest

from tests.margins import above, below, near, within
from vae.errors import UserError
from vae.scores.samples import METRICS, Extractor, scores, two_sample

OF_PIXELS = {name for name in METRICS if not name.startswith("class_")}
MEMORY = {
    "nearest_training_distance",
    "nearest_training_distance_data",
    "memorised",
    "data_copying",
}


def images(num, seed=0, shape=(5, 4, 1)):
    return np.random.default_rng(seed).random((num, *shape)).astype(np.float32)


def bright(x):
    """Features of which one is a class."""
    return np.asarray(x).reshape(len(x), -1)[:, :3]


@pytest.fixture(scope="module", autouse=True)
def quick():
    """How well a network tells two sets apart is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        brief = functools.partial(two_sample.two_sample_test, epochs=2)
        patch.setattr(two_sample, "two_sample_test", brief)
        yield


@pytest.fixture(scope="module")
def found(quick):
    return scores(images(300), images(260, 1), images(280, 2), k=4, seed=3)


def test_all_that_apply_are_given(found):
    assert list(found) == [name for name in METRICS if name in OF_PIXELS]
    for metric in found.values():
        assert type(metric.value) is float and np.isfinite(metric.value)
        assert metric.stderr is None or type(metric.stderr) is float
    without = scores(images(300), images(260, 1))
    assert set(without) == OF_PIXELS - MEMORY
    for no_pictures in (
        (images(300, shape=(6,)), images(260, 1, shape=(6,))),
        (9.0 * images(300), 9.0 * images(260, 1)),
    ):
        assert set(scores(*no_pictures)) == OF_PIXELS - MEMORY - {"sharpness", "sharpness_data"}


def test_equal_distributions_score_as_they_should(found):
    def value(name):
        return found[name].value

    within(value("kernel_distance"), 0.0, found["kernel_distance"].stderr)
    near(value("density"), 1.0, 0.4)
    above(value("coverage"), 0.8)
    near(value("two_sample_accuracy"), 0.5, 0.2)
    below(value("memorised"), 0.08)
    within(value("data_copying"), 0.0, found["data_copying"].stderr)
    near(value("sharpness"), value("sharpness_data"), rel=0.45)
    near(value("diversity"), value("diversity_data"), rel=0.1)


@pytest.mark.parametrize("shape", [(5, 4, 1), (6, 6, 3)])
def test_copies_of_the_training_set_are_told(shape):
    train, held_out = images(300, 0, shape), images(250, 1, shape)
    found = scores(train[:200], held_out, train, names=("memorised", "data_copying"))
    assert found["memorised"].value == 1.0
    below(found["data_copying"].value, -5.0 * found["data_copying"].stderr)


def test_units_say_what_it_is_of(found):
    for name, metric in found.items():
        unit = metric.unit
        assert ("features: pixels (20 numbers)" in unit) == (not name.startswith("sharpness")), name
        assert "300 samples" in unit or "260 of the data" in unit or "two_sample" in name
    assert "k=4" in found["precision"].unit and "k=4" in found["coverage"].unit
    for name in ("kernel_distance", "two_sample_accuracy", "data_copying"):
        assert "seed 3" in found[name].unit
    assert "130 samples" in found["two_sample_accuracy"].unit
    assert "280 training examples" in found["memorised"].unit
    assert "6 k-means cells" in found["data_copying"].unit  # of 40 examples or more each
    assert "FID" not in " ".join(metric.unit for metric in found.values())


def test_a_classifier_names_its_features_and_counts_classes():
    classifier = Extractor(
        "classifier of noise", bright, lambda x: (bright(x)[:, 0] > 0.5).astype(int)
    )
    found = scores(images(300), images(260, 1), extractor=classifier)
    assert set(found) == set(METRICS) - MEMORY
    assert "features: classifier of noise (3 numbers)" in found["frechet_distance"].unit
    near(found["class_entropy"].value, np.log(2.0), rel=0.05)
    by_hand = scores(images(300), images(260, 1), extractor=bright, names=["frechet_distance"])
    assert by_hand["frechet_distance"].value == found["frechet_distance"].value
    assert f"{__name__}:bright" in by_hand["frechet_distance"].unit


def test_names_are_chosen_and_only_what_they_need_is_done():
    def once(x):
        raise AssertionError("sharpness is of no features")

    found = scores(images(30), images(20, 1), extractor=once, names=("sharpness",))
    assert list(found) == ["sharpness"]
    found = scores(images(30), images(20, 1), names=iter(("recall", "precision")), k=2)
    assert list(found) == ["recall", "precision"]
    assert list(scores(images(30), images(20, 1), names="diversity")) == ["diversity"]
    with pytest.raises(UserError, match="names='precison'.*did you mean 'precision'"):
        scores(images(30), images(20), names=("precison",))


@pytest.mark.parametrize(
    ("name", "message"),
    (
        ("memorised", "give train"),
        ("class_entropy", "needs a classifier, which pixels is not"),
        ("sharpness", "needs images"),
    ),
)
def test_what_does_not_apply_is_refused(name, message):
    with pytest.raises(UserError, match=message):
        scores(images(30, shape=(6,)), images(20, shape=(6,)), names=(name,))


def test_examples_that_cannot_be_compared_are_refused():
    x = images(300)
    damaged = x.copy()
    damaged[[4, 7], 0] = np.nan
    for arrays, message in (
        ((damaged, x), "samples: 2 of 300.*number 4"),
        ((x, damaged), "data: 2 of 300"),
        ((x, x, damaged), "train: 2 of 300"),
        ((x, x.reshape(300, -1)), "one shape"),
        ((x, x, x.reshape(300, -1)), "one shape"),
        ((x[:0], x), "no examples"),
        ((x.astype(str), x), "no examples"),
        ((x[:, 0, 0, 0], x), "no examples"),
    ):
        with pytest.raises(UserError, match=message):
            scores(*arrays)


def test_too_few_examples_are_refused():
    with pytest.raises(UserError, match="more than 20 examples"):
        scores(images(300), images(20), names=("frechet_distance",))
    with pytest.raises(UserError, match="k=5 should be from 1 to 4"):
        scores(images(300), images(5), names=("recall",))
    with pytest.raises(UserError, match="100 or more"):
        scores(images(300), images(60), images(300), names=("memorised",))
    few = scores(images(30), images(25), images(60), names=("data_copying",))
    assert "1 k-means cells" in few["data_copying"].unit

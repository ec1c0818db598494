"""Metrics of reconstructions by name: what is there, what it is worth, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.margins import above, near
from vae.errors import UserError
from vae.metrics import declared
from vae.scores import latents, reconstructions
from vae.scores.samples import Extractor, distances, train_classifier

PIXELS = Extractor("brightness", lambda x: np.asarray(x).reshape(len(x), -1)[:, :3])
ALL = {
    "psnr", "ssim", "ms_ssim", "feature_distance", "reconstruction_frechet_distance",
    "reconstruction_kernel_distance", "reconstruction_precision", "reconstruction_recall",
    "reconstruction_density", "reconstruction_coverage",
}  # fmt: skip
OF_SETS = {name for name in ALL if name.startswith("reconstruction_")}


def images(num=60, shape=(22, 22, 3), seed=0):
    return np.random.default_rng(seed).random((num, *shape)).astype(np.float32)


def scores(made, data, extractor=PIXELS):
    return reconstructions.scores(made, data, extractor)


def test_all_that_apply_are_given_with_their_units():
    x = images()
    found = scores(0.9 * x, x)
    assert set(found) == ALL
    for name, metric in found.items():
        assert metric.unit and (metric.label, metric.better) == (
            declared(name).label, declared(name).better
        )  # fmt: skip
    assert found["psnr"].unit.startswith("dB, of images in [0, 1]")
    assert "2 scales of 22x22 pixels, weights renormalised" in found["ms_ssim"].unit
    assert "brightness" in found["feature_distance"].unit
    assert "60 reconstructions and 60 of the data" in found[min(OF_SETS)].unit
    assert not any("samples" in metric.unit for metric in found.values())
    assert set(scores(*2 * [images(shape=(11, 30, 1))])) == ALL - {"ms_ssim"}
    assert set(scores(*2 * [images(shape=(8, 8, 1))])) == ALL - {"ssim", "ms_ssim"}
    assert set(scores(*2 * [images(20)])) == ALL - OF_SETS  # too few


def test_values_are_those_of_their_definitions():
    x = images()
    made = np.clip(x + 0.1, 0.0, 1.0)
    found = scores(made, x)
    each = -10 * np.log10(np.square(made - x).mean((1, 2, 3)))
    near(found["psnr"].value, each.mean(), rel=1e-5)
    near(found["psnr"].stderr, each.std(ddof=1) / np.sqrt(60), rel=1e-4)
    features = [PIXELS.features(a).astype(np.float64) for a in (made, x)]
    angle = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in features]
    apart = np.square(angle[0] - angle[1]).sum(1).mean()
    near(found["feature_distance"].value, apart, rel=1e-4)
    expected = distances.frechet_distance(*features)
    near(found["reconstruction_frechet_distance"].value, expected, rel=1e-6)


def test_equal_images_are_the_best_there_are():
    x = images()
    found = {name: metric.value for name, metric in scores(x, x).items()}
    assert found["psnr"] == 100.0
    for name, value in found.items():
        if name in ("ssim", "ms_ssim") or name.endswith(("precision", "recall", "coverage")):
            near(value, 1.0, 1e-6)
        elif name in ("feature_distance", "reconstruction_frechet_distance"):
            near(value, 0.0, 1e-6)


@pytest.mark.parametrize("shape", [(12, 12, 3), (9, 8, 1)])
def test_a_classifier_is_compared_layer_by_layer(shape):
    """Each layer's squared distance on the unit sphere, written out again."""
    from vae.scores.samples.features import maps

    x = images(40, shape)
    made = np.clip(x + 0.1 * images(40, shape, 1), 0.0, 1.0)
    extractor = train_classifier(x, np.arange(40) % 2, epochs=1, width=8)
    total = np.zeros(40)
    for one, other in zip(maps(extractor)(jnp.array(made)), maps(extractor)(x), strict=True):
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        lengths = [np.sqrt(np.square(a).sum(-1, keepdims=True) + 1e-10) for a in (one, other)]
        squared = np.square(one / lengths[0] - other / lengths[1]).sum(-1)
        total += squared.reshape(40, -1).mean(1)
    found = reconstructions.apart(made, x, extractor)
    np.testing.assert_allclose(found, total, rtol=1e-3, atol=1e-6)
    above(total, 0.0)


@pytest.mark.parametrize(
    ("made", "data"),
    [
        (images(30, (5, 4, 1)), images(30, (5, 5, 1))),
        (2.0 * images(30), images(30)),
        (images(30), images(30) - 0.5),
        (images(30, (6,)), images(30, (6,))),
        (images(30), images(29)),
    ],
)
def test_what_are_no_images_are_refused(made, data):
    with pytest.raises(UserError, match=r"not images \[N, H, W, C\] in \[0, 1\]"):
        scores(made, data)


def test_codes_in_use_are_counted_codebook_by_codebook():
    indices = np.array([[0, 4, 0, 4], [1, 5, 0, 5]])  # of two codebooks of 4
    found = {name: metric.value for name, metric in latents.usage(indices, 8, 2).items()}
    first = np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert found == {
        "code_usage": 0.5, "codes_dead": 4,
        "stream_1_code_usage": 0.5, "stream_1_codes_dead": 2,
        "stream_1_perplexity": pytest.approx(first),
        "stream_2_code_usage": 0.5, "stream_2_codes_dead": 2,
        "stream_2_perplexity": pytest.approx(2.0),
    }  # fmt: skip
    for name, metric in latents.usage(indices, 8, 2).items():
        assert metric.label == declared(name).label and "over 2 examples" in metric.unit
    alone = latents.usage(np.array([[0, 0], [0, 2]]), 5)
    assert {name: metric.value for name, metric in alone.items()} == {
        "code_usage": pytest.approx(0.4), "codes_dead": 3
    }  # fmt: skip

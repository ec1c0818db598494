"""Extractors are learnt, kept in a folder and given back; the user's own are imported."""

import json

import numpy as np
import pytest

from tests.margins import below
from vae.errors import RunError, UserError
from vae.scores import samples
from vae.scores.samples import feature_choice, features


@pytest.fixture(scope="module")
def digits():
    """UCI digits: images [N, 8, 8, 1] of 0..16 and labels, of training and test examples."""
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8, 1).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order[:1400]], labels[order[:1400]]), (x[order[1400:]], labels[order[1400:]])


@pytest.fixture(scope="module")
def classifier(digits):
    train, _ = digits
    return samples.train_classifier(*train, seed=1, of="digits", epochs=8, batch=70, width=32)


def test_a_classifier_of_images_learns(digits, classifier):
    _, (x, labels) = digits
    assert classifier.name == "classifier of digits, 8 epochs, seed 1"
    found = classifier.features(x)
    assert found.shape == (len(x), 32) and found.dtype == np.float32
    below(classifier.error(x, labels), 0.1)
    assert (classifier.labels(x) != labels).mean() == classifier.error(x, labels)
    # One by one and all at once are the same.
    np.testing.assert_allclose(classifier.features(x[:3]), found[:3], atol=1e-4)


def planted(num=600):
    """Vectors [num, 3] of which the first number, on the least scale, is the label."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, num)
    x = np.stack([labels, rng.standard_normal(num), np.ones(num)], 1) * (1e-3, 1e4, 1.0) + 7.0
    return x, labels


@pytest.mark.slow
def test_a_classifier_of_vectors_follows_its_seed_and_learns_whatever_their_scales():
    x, labels = planted()

    def trained(seed):
        return samples.train_classifier(
            x[:400], labels[:400], seed, epochs=30, batch=50, width=8, rate=1e-2
        )

    one, again, other = (trained(seed) for seed in (3, 3, 4))
    below(one.error(x[400:], labels[400:]), 0.02)
    assert one.features(x).shape == (600, 8)
    np.testing.assert_array_equal(one.features(x), again.features(x))
    assert not np.allclose(one.features(x), other.features(x))


def test_an_extractor_is_kept_in_a_folder(digits, classifier, tmp_path):
    _, (x, labels) = digits
    folder = tmp_path / "new" / "classifier"
    classifier.save(folder)
    classifier.save(folder)  # again, over the first
    assert sorted(path.name for path in folder.iterdir()) == ["extractor.json", "weights.npz"]
    found = samples.load(folder)
    assert found.name == classifier.name
    np.testing.assert_array_equal(found.features(x), classifier.features(x))
    assert found.error(x, labels) == classifier.error(x, labels)


def test_what_has_no_labels_has_principal_components(digits, tmp_path):
    (x, _), (test, _) = digits
    found = samples.train_extractor(x, of="digits", components=10)
    assert found.name == "principal components of digits, without labels"
    flat = x.reshape(len(x), -1).astype(np.float64)
    got = found.features(x)
    assert got.shape == (len(x), 10)
    exact = np.linalg.eigvalsh(np.cov(flat.T))[::-1][:10]
    np.testing.assert_allclose(got.var(0, ddof=1), exact, rtol=1e-3)
    np.testing.assert_allclose(got.mean(0), 0.0, atol=1e-3)
    with pytest.raises(UserError, match="no classes"):
        found.labels(test)
    found.save(tmp_path)
    np.testing.assert_array_equal(samples.load(tmp_path).features(test), found.features(test))
    few = samples.train_extractor(x[:5].reshape(5, -1))
    assert few.features(test.reshape(len(test), -1)).shape == (len(test), 5)


def test_labels_choose_the_classifier(digits, monkeypatch):
    (x, labels), _ = digits
    monkeypatch.setattr(features, "train_classifier", lambda *given, **more: (*given, more))
    found = samples.train_extractor(x, labels, 2, of="digits", epochs=1)
    assert found[0] is x and found[1] is labels and found[2:] == (2, {"of": "digits", "epochs": 1})


def test_labels_that_do_not_fit_are_refused(digits):
    (x, labels), _ = digits
    for wrong in (labels[:-1], labels - 1, labels.astype(float), np.zeros_like(labels)):
        with pytest.raises(UserError, match="label"):
            samples.train_classifier(x, wrong)


def test_weights_that_are_not_finite_are_an_error():
    x, labels = planted(200)
    with pytest.raises(RunError, match="smaller `rate`"):
        samples.train_classifier(x, labels, epochs=1, batch=50, rate=np.inf, width=8)


def test_a_folder_that_holds_none_is_refused(digits, tmp_path):
    (x, _), _ = digits
    with pytest.raises(UserError, match="does not exist"):
        samples.load(tmp_path)
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, components in ((one, 3), (other, 4)):
        samples.train_extractor(x, components=components).save(folder)
    (one / "weights.npz").write_bytes((other / "weights.npz").read_bytes())
    with pytest.raises(UserError, match="is not of extractor.json"):
        samples.load(one)
    (other / "extractor.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        samples.load(other)
    (other / "extractor.json").write_text(json.dumps({"name": "a"}))
    with pytest.raises(UserError, match="damaged"):
        samples.load(other)


def test_examples_of_another_shape_are_refused(digits, classifier):
    (x, _), _ = digits
    with pytest.raises(UserError, match=r"\(8, 8, 1\), and these have \(64,\)"):
        classifier.features(x.reshape(-1, 64))


def test_pixels_are_the_default():
    x = np.arange(48).reshape(4, 2, 3, 2)
    for what in (None, "pixels"):
        found = feature_choice.extractor(what)
        assert found.name == "pixels"
        np.testing.assert_array_equal(found.features(x), x.reshape(4, 12))
    with pytest.raises(UserError, match="cannot be saved"):
        found.save("anywhere")
    assert feature_choice.extractor(found) is found


def test_a_function_of_the_users_is_imported(tmp_path, monkeypatch):
    (tmp_path / "my_features.py").write_text(
        "def means(x):\n    return x.mean((1, 2))\n"
        "class Net:\n    def __call__(self, x):\n        return x.reshape(len(x), -1)[:, :2]\n"
        "net = Net()\nnumber = 3\n"
    )
    (tmp_path / "my_broken.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    x = np.random.default_rng(0).random((5, 4, 4, 3))
    found = feature_choice.extractor("my_features:means")
    assert found.name == "my_features:means"
    np.testing.assert_array_equal(found.features(x), x.mean((1, 2)))
    assert feature_choice.extractor("my_features:net").features(x).shape == (5, 2)
    for wrong, message in (
        ("pixel", "'module:function'"),
        ("no_such_module:means", "PYTHONPATH"),
        ("my_broken:means", "nothing_of_this_name"),
        ("my_features:mean", "has no mean"),
        ("my_features:number", "is a int"),
        (3, "should be"),
    ):
        with pytest.raises(UserError, match=message):
            feature_choice.extractor(wrong)


def test_a_function_that_gives_no_features_is_refused():
    x = np.ones((5, 4))
    for wrong in (lambda x: x[:3], lambda x: x.sum(1), lambda x: x.astype(str)):
        found = feature_choice.extractor(wrong)
        assert "<lambda>" in found.name
        with pytest.raises(UserError, match=r"\[5, D\]"):
            found.features(x)
    with pytest.raises(RunError, match="5 of 5"):
        feature_choice.extractor(lambda x: np.full((5, 2), np.inf)).features(x)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    features._write(path, b"old")

    def stop(*names):
        raise OSError("no room")

    monkeypatch.setattr(features.os, "replace", stop)
    with pytest.raises(OSError, match="no room"):
        features._write(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]

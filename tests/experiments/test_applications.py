"""What the applications' experiments compute beside their sweeps."""

from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_matrix

import vae
from experiments import reproduce
from experiments.applications import (
    apps_anomaly,
    apps_augmentation,
    apps_generation,
    apps_generation_color,
    apps_images,
    apps_latents,
    apps_molecules,
    apps_recommendation,
    bits,
)
from experiments.baselines import detectors
from tests.helpers import small_config
from tests.margins import above, below, near
from vae import config as configs
from vae import data
from vae.configs import cifar10, conv_mnist
from vae.data.likes import hold_back
from vae.estimators import learned_densities
from vae.evaluation.trained import load


def row(method, value, **values):
    metrics = {"auroc": value, "ndcg_100": value}
    return {"values": {"method": method, "seed": 0} | values, "metrics": metrics, "stderr": {}}


def test_the_best_score_is_best_on_the_mean_over_tables():
    rows = [row(f"VAE, {s}{more}", 0.5, data=d) for s in apps_anomaly.SCORES
            for more in ("", ", ensemble") for d in "ab"]  # fmt: skip
    rows += [row("VAE, rate", 0.9, data="a", seed=1), row("VAE, rate", 0.7, data="b", seed=1)]
    rows += [row("kNN", 0.4, data="a"), row("kNN", 0.8, data="b")]
    assert apps_anomaly.best(rows) == "VAE, rate"
    # Over seeds first, then over tables: (0.5 + 0.9) / 2 and (0.5 + 0.7) / 2.
    assert apps_anomaly.mean(rows, "VAE, rate") == pytest.approx(0.65)
    assert apps_anomaly.Less("kNN")(rows) == pytest.approx((0.05, 0.25))  # of 0.3 and -0.2


def test_a_ratio_of_means():
    rows = [row("Mult-VAE", 0.4), row("Mult-VAE", 0.5, seed=1), row("EASE", 0.5)]
    assert apps_recommendation.ratio(rows)[0] == pytest.approx(0.9)


def test_a_method_is_judged_by_its_own_trials(monkeypatch):
    rng = np.random.default_rng(0)
    likes = csr_matrix((rng.random((40, 12)) < 0.5).astype(float))
    shown, held = hold_back(likes)
    monkeypatch.setattr(apps_recommendation, "load", lambda workdir: SimpleNamespace(
        config=None, good="elbo" in workdir.name))  # fmt: skip
    monkeypatch.setattr(apps_recommendation.Task, "of", classmethod(
        lambda cls, config: cls(likes, (shown, held), (shown, held))))  # fmt: skip
    few = {name: dict([*each.items()][:2]) for name, each in apps_recommendation.BASELINES.items()}
    monkeypatch.setattr(apps_recommendation, "BASELINES", few)
    truth = held.toarray()
    monkeypatch.setattr(
        apps_recommendation, "score", lambda run, shown: truth if run.good else -truth
    )
    trials = [
        {"trial": f"{name}{number}",
         "values": {"objective.name": name, "data.split": 0, "data.leave_items": False}}
        for number, name in enumerate(("elbo", "autoencoder"))
    ]  # fmt: skip
    rows = {row["values"]["method"]: row for row in apps_recommendation.beside(trials, Path())}
    assert rows["Mult-VAE"]["trial"] == "elbo0" and rows["Mult-DAE"]["trial"] == "autoencoder1"
    assert rows["Mult-VAE"]["metrics"]["ndcg_100"] == pytest.approx(1.0)
    assert rows["Mult-DAE"]["metrics"]["ndcg_100"] < 0.9
    assert set(rows) == {"Mult-VAE", "Mult-DAE", *apps_recommendation.BASELINES}


class Toy(apps_molecules.Evaluations):
    """Latents whose value is known: highest, 0, at 2 in both directions."""

    def add(self, z):
        self.z = np.concatenate([self.z, z])
        self.values = np.append(self.values, -np.square(z - 2.0).sum(1))


@pytest.mark.parametrize("search", [apps_molecules.gradient, apps_molecules.bayesian])
def test_a_search_beats_as_many_draws_from_the_prior(search):
    model = SimpleNamespace(
        predict=lambda z: -jnp.square(z - 2.0).sum(1, keepdims=True),
        log_prior=lambda z: -0.5 * jnp.square(z).sum(1),
    )
    run = SimpleNamespace(
        latent_size=2, variables=None, model=SimpleNamespace(bind=lambda variables: model),
        predict=model.predict,
        prior_moments=(np.zeros(2, np.float32), np.ones(2, np.float32)),
        _prior_draws=lambda num, seed, *others: np.random.default_rng(seed).normal(size=(num, 2)),
    )  # fmt: skip
    found, drawn = Toy(run), Toy(run)
    search(found, 0, 160)
    apps_molecules.random(drawn, 0, 160)
    assert len(found.values) == len(drawn.values) == 160
    np.testing.assert_array_equal(found.z[:100], drawn.z[:100])  # the same to begin with
    above(found.values.max() - drawn.values.max(), 0.0)
    above(found.values.max(), -0.05)


@pytest.mark.parametrize("name", detectors.DETECTORS)
def test_a_detector_finds_what_lies_far_away(name):
    rng = np.random.default_rng(0)
    train = rng.normal(size=(300, 4)) * [2.0, 1.0, 0.5, 1.0]
    train = (train - train.mean(0)) / train.std(0)
    score = detectors.DETECTORS[name](train, 0)
    close, far = score(rng.normal(size=(50, 4))), score(8.0 + rng.normal(size=(50, 4)))
    assert close.shape == (50,)
    above(np.median(far) - np.quantile(close, 0.9), 0.0)


def test_a_covariance_without_full_rank_has_a_distance():
    rng = np.random.default_rng(0)
    train = np.repeat(rng.normal(size=(100, 2)), 2, axis=1)
    distance = detectors.mahalanobis(train, 0)(train)
    mean = train[:, ::2].mean(0)
    inverse = np.linalg.inv(np.cov(train[:, ::2], rowvar=False))
    away = train[:, ::2] - mean
    assert distance == pytest.approx(np.einsum("nd,de,ne->n", away, inverse, away), rel=1e-6)


def test_settings_are_chosen_by_validation_alone(monkeypatch):
    """Of two that are equal on the validation images, the test does not choose."""
    run = SimpleNamespace(shape=(2,), model=SimpleNamespace(context_size=2))
    splits = {
        name: (np.full((4, 2), name == "test", float), np.zeros(4, int))
        for name in ("train", "validation", "test")
    }
    monkeypatch.setattr(apps_augmentation, "fit", lambda *arguments: arguments[-1])  # the rate
    right = {5e-4: (0.7, 0.9), 1e-3: (0.8, 0.5), 2e-3: (0.8, 0.6), 4e-3: (0.1, 1.0)}
    monkeypatch.setattr(
        apps_augmentation, "accuracy", lambda network, rate, x, labels: right[rate][int(x[0, 0])]
    )
    assert apps_augmentation.classified(run, splits, "real", 0) == 0.5


def test_accuracies_are_kept(tmp_path, monkeypatch):
    run = SimpleNamespace(config=SimpleNamespace(data=SimpleNamespace(split=3)))
    found = dict.fromkeys(apps_augmentation.METHODS, 0.5)
    monkeypatch.setattr(apps_augmentation, "load", lambda workdir: run)
    monkeypatch.setattr(apps_augmentation, "unbinarised", lambda run: {})
    monkeypatch.setattr(apps_augmentation, "classified", lambda *arguments: arguments[-1] / 6)
    assert apps_augmentation.accuracies(tmp_path) == found
    monkeypatch.delattr(apps_augmentation, "classified")
    assert apps_augmentation.accuracies(tmp_path) == found


def test_transformed_images_are_the_image_moved():
    image = np.zeros((28, 28, 1), np.float32)
    image[10:18, 10:18] = 1.0
    rng = np.random.default_rng(0)
    moved = np.stack([apps_augmentation.transformed(image, rng) for _ in range(200)])
    assert moved.shape == (200, 28, 28, 1) and moved.min() >= 0.0 and moved.max() <= 1.0
    ink = moved.sum((1, 2, 3)) / image.sum()
    above(ink.min(), 0.7)
    below(ink.max(), 1.35)
    near(ink.mean(), 1.0, 0.05)
    y, x = np.mgrid[:28, :28]
    centre = np.array([[(m[..., 0] * y).sum(), (m[..., 0] * x).sum()] / m.sum() for m in moved])
    below(np.abs(centre - 13.5).max(), 3.2)
    above(centre.std(0).min(), 1.0)


def test_new_examples_are_of_the_classes_of_the_real_ones():
    """A decoder that shows its latent and its class; encodings are 10 apart from class to class."""
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    codes = labels[:, None] * 10.0 + np.arange(8)[:, None] / 8
    run = SimpleNamespace(
        shape=(1, 1, 1), examples=lambda split: codes, encode=lambda x, of: (x, np.ones_like(x)),
        decode=lambda z, of: np.stack([z[:, 0], of], 1),
        sample=lambda num, seed, draw, context: (num, draw, context),
    )  # fmt: skip
    z, of = apps_augmentation.sampled(run, "between", labels, 0).T
    assert (of == labels).all() and (z // 10 == labels).all()
    assert len(np.setdiff1d(z, codes)) > 4
    num, draw, of = apps_augmentation.sampled(run, "prior", labels, 0)
    assert num == 8 and not draw and (of == labels).all()
    x = np.arange(8, dtype=np.float32)[:, None] * [1.0, 10.0]
    noisy = apps_augmentation.moved(x, 2000, 0).reshape(2000, 8, 2)
    near(noisy.std(0), apps_augmentation.NOISE, rel=0.2)
    near(noisy.mean(0), x, 0.02)


def test_a_classifier_sees_brightness_where_the_vae_sees_zeros_and_ones():
    config = small_config(data__context="labels", data__per_class=20)
    seen = apps_augmentation.unbinarised(SimpleNamespace(config=config))
    assert config.data.binarization == "dynamic"
    dataset = data.load(config.data)
    for name, split in dataset.splits.items():
        x, labels = seen[name]
        assert (labels == split.labels).all() and len(np.unique(x)) == dataset.grey_levels
        # Where a pixel is black or white, its binarised one is too.
        raw = np.asarray(split.x) / (1 if split.binarized else dataset.grey_levels - 1)
        for value in (0.0, 1.0):
            assert (raw[x == value] == value).all()


@pytest.mark.slow
def test_a_classifier_is_trained_on_real_and_new_images(tmp_path, monkeypatch):
    monkeypatch.setattr(apps_augmentation, "STEPS", 150)
    monkeypatch.setattr(apps_augmentation, "RATES", (3e-3,))
    monkeypatch.setattr(apps_augmentation, "RATES_ALONE", (3e-3,))
    monkeypatch.setattr(apps_augmentation, "COPIES", (1,))
    config = small_config(
        data__context="labels", data__per_class=20, train__epochs=30, train__eval_epochs=10.0,
    )  # fmt: skip
    run = load(vae.train(config, str(tmp_path / "run")))
    splits = apps_augmentation.unbinarised(run)
    for method in apps_augmentation.METHODS:
        above(apps_augmentation.classified(run, splits, method, 0), 0.7)


def colours(path: Path) -> None:
    """Images of two classes, [1400, 8, 8, 3]: a bright square in a colour of its class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1400)
    x = rng.integers(0, 60, (1400, 8, 8, 3)).astype(np.uint8)
    for image, label, (row, column) in zip(x, labels, rng.integers(0, 5, (1400, 2)), strict=True):
        image[row : row + 4, column : column + 4, 2 * label] = 255
    np.savez(path, x=x, labels=labels)


@pytest.mark.slow
def test_every_density_of_latents_is_drawn_from_and_pictured(tmp_path, monkeypatch):
    """As they start: how they are fitted is tested where they are."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(learned_densities, "minimised", lambda loss, params, *settings: params)
    study = apps_latents.study("quick")
    config = study.config
    config.data.name, config.model.filters, config.model.dense = "digits", (8, 16), 16
    config.data.size, config.eval.samples = 0, 140
    config.model.latent_size, config.train.batch_size, config.train.epochs = 8, 50, 1
    vae.sweep(config, study.grid, workdir=tmp_path / "sweep", launcher="population")
    rows = reproduce.collect("latents", "quick", study, tmp_path / "sweep", "x")["beside"]
    names = ["prior", *apps_latents.FITTED, *apps_latents.GUIDED, apps_latents.ENCODED]
    assert [row["trial"] for row in rows] == names
    for row in rows:
        assert 0.0 <= row["metrics"]["coverage"] <= 1.0
        of_class = (*apps_latents.GUIDED, apps_latents.ENCODED)
        assert ("class_right" in row["metrics"]) == (row["trial"] in of_class)
    assert study.picture(rows, tmp_path / "sweep").axes


def test_every_scale_of_the_study_of_images_has_a_row_for_what_it_expects():
    """Each trial's method is named once, and every expectation finds its two methods."""
    for scale in ("quick", "cpu", "full"):
        study = apps_images.study(scale)
        keys = {key: None for point in study.grid for key in point}
        flat = dict(configs.flatten(study.config))
        names = []
        for point in study.grid:
            model = apps_images.model_of({key: point.get(key, flat[key]) for key in keys})
            known = apps_images.TERMS.items()
            terms = [name for name, each in known if each.items() <= point.items()]
            names.append(apps_images.method(point["data.name"], model, "".join(terms)))
        assert len(set(names)) == len(names)
        rows = [
            {"values": {"method": name}, "metrics": {"coverage": c, "reconstructed": r}}
            for name in names
            for name, c, r in ((name, 0.1, 4.0), (f"{name}, flow matching", 0.5, 0.0))
        ]
        for row in rows:
            if row["values"]["method"].endswith("both"):
                row["metrics"]["reconstructed"] = 1.0
        found = {round(line.number(rows)[0], 6) for line in study.expected}
        assert found == {0.75, 5.0}  # (4 - 1) / 4, and 0.5 / 0.1


@pytest.mark.slow
def test_reconstructions_and_samples_of_every_trial_are_judged_and_pictured(tmp_path, monkeypatch):
    """A run of the digits stands in for two of the study's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(learned_densities, "minimised", lambda loss, params, *settings: params)
    monkeypatch.setitem(apps_images.DATA, "digits", "Digits")
    config = small_config(train__epochs=1, eval__samples=250, data__binarization="none")
    config.model.likelihood, config.model.sigma = "gaussian_learned", 0.2
    vae.train(config, tmp_path / "trials" / "one")
    shared = {"trial": "one", "seconds": 2.0}
    values = {"data.name": "digits", **apps_images.TERMS["both"]}
    trials = [
        {**shared, "values": {**values, "model.name": "vae", "model.bottleneck": "kl"}},
        {**shared, "values": {**values, "model.name": "autoencoder_kl", "model.bottleneck": "kl"}},
    ]
    rows = apps_images.beside(trials, tmp_path)
    assert [row["values"]["method"] for row in rows] == [
        "Digits, diagonal VAE", "Digits, KL, both", "Digits, KL, both, flow matching",
    ]  # fmt: skip
    for row in rows:
        assert 0.0 <= row["metrics"]["coverage"] <= 1.0
        assert ("psnr" in row["metrics"]) == ("flow" not in row["values"]["method"])
    run = load(tmp_path / "trials" / "one")
    x = run.examples("test")[:250]
    mse = np.square(run.within(run.reconstruct(x)) - x).mean((1, 2, 3))
    assert rows[0]["metrics"]["psnr"] == pytest.approx(-10 * np.log10(mse).mean(), rel=1e-5)
    assert rows[0]["metrics"]["steps"] == len(run.dataset.splits["train"].x) // 40
    assert apps_images.picture(rows, tmp_path).axes


@pytest.mark.slow
@pytest.mark.parametrize("color", [False, True])
def test_generators_are_trained_drawn_from_and_pictured(tmp_path, color):
    if color:
        colours(tmp_path / "colours.npz")
        config, other = cifar10.get_config(), dict(apps_generation_color.VQ)
        config.data.name, config.data.path = "files", str(tmp_path / "colours.npz")
        config.model.encoder = config.model.decoder = "conv"  # resnet takes minutes to compile
        config.model.filters, other["model.filters"] = (8, 16), (8, 16)
    else:
        config, other = conv_mnist.get_config(), {"model.name": "vqvae", "objective.name": "vq"}
        config.data.name, config.model.filters, config.model.dense = "digits", (8, 16), 16
        other["model.dense"] = 0
    study = apps_generation.generators(config, [other], 2, True, "two epochs")
    study.config.data.size, study.config.eval.samples = 0, 140
    study.config.model.latent_size, study.config.train.batch_size = 8, 50
    vae.sweep(study.config, study.grid, workdir=tmp_path / "sweep", launcher="population")
    rows = reproduce.collect("generators", "quick", study, tmp_path / "sweep", "x")["beside"]
    assert [row["values"]["method"] for row in rows] == [
        "convolutional", "VQ-VAE and its prior", "class-conditional", "convolutional, aggregate",
        "convolutional, mixture", "convolutional, second stage",
        "convolutional, q(z|x) of training images",
    ]  # fmt: skip
    for row in rows:
        shares = [row["metrics"][name] for name in ("precision", "recall", "coverage")]
        assert all(0.0 <= share <= 1.0 for share in shares) and row["metrics"]["sharpness"] > 0.0
    assert study.picture(rows, tmp_path / "sweep").axes


def test_files_of_other_programs_are_of_all_bits():
    """Noise does not shrink: each takes what its values take, and more."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 16, 16, 1))
    found = bits.others(noise)
    assert set(found) == {*bits.LOSSLESS, "PNG", "WebP"}
    assert all(8.0 < row["file_bits"] < 12.0 for row in found.values())
    two = bits.others(noise // 128)
    assert all(1.0 < two[name]["file_bits"] < 1.3 for name in bits.LOSSLESS)  # eight a byte


def test_a_rate_is_laid_over_its_bound():
    values = {"images": "digits", "method": "vae"}
    metrics = {"net_bits": 1.01, "elbo_bits": 1.0}
    rows = [{"trial": "", "values": values, "metrics": metrics, "stderr": {}}]
    assert bits.Ratio("net_bits", "elbo_bits", "digits", "vae")(rows) == (1.01, None)

"""Whole small runs in this process: selection, early stopping, precision, streaming, other data."""

import jax
import numpy as np
import pytest

import vae
from tests.helpers import small_config
from tests.margins import below, near
from vae import runs
from vae.checkpoint import Checkpoints


def validations(workdir):
    return [r for r in runs.read_metrics(workdir) if r["split"] == "validation"]


def test_selection_is_on_the_validation_elbo_at_beta_one(tmp_path):
    """With beta = 20 the loss and the ELBO disagree on the best epoch: the ELBO decides."""
    config = small_config(objective__beta=20.0, train__epochs=6, optimizer__learning_rate=0.02)
    vae.train(config, str(tmp_path / "run"))
    lines = validations(tmp_path / "run")
    best = max(lines, key=lambda line: line["elbo"])
    for line in lines:
        np.testing.assert_allclose(line["elbo"], -line["distortion"] - line["rate"], rtol=1e-6)
    with Checkpoints(tmp_path / "run", read_only=True) as checkpoints:
        assert checkpoints.best_step() == best["step"]
        assert best["step"] in checkpoints.steps() and len(checkpoints.steps()) <= 3
    assert vae.load(tmp_path / "run").step == best["step"]


def test_early_stopping_waits_for_its_patience(tmp_path):
    config = small_config(train__epochs=60, train__patience=2, optimizer__learning_rate=0.05)
    vae.train(config, str(tmp_path / "run"))
    elbos = [line["elbo"] for line in validations(tmp_path / "run")]
    best = int(np.argmax(elbos))
    assert len(elbos) == best + 3
    below(len(elbos), 60)


def test_logged_means_are_over_the_steps_since_the_last_line(tmp_path):
    config = small_config(objective__beta=3.0)
    vae.train(config, str(tmp_path / "run"))
    lines = [r for r in runs.read_metrics(tmp_path / "run") if r["split"] == "train"]
    assert lines[-1]["step"] == 4 * (1297 // 40)
    for line in lines:
        np.testing.assert_allclose(line["elbo"], -line["distortion"] - line["rate"], rtol=1e-5)
        np.testing.assert_allclose(line["loss"], line["distortion"] + 3 * line["rate"], rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_computes_with_float32_parameters_and_loss(tmp_path):
    config = small_config(model__dtype="bfloat16")
    vae.train(config, str(tmp_path / "run"))
    run = vae.load(tmp_path / "run")
    assert {leaf.dtype for leaf in jax.tree.leaves(run.params)} == {np.dtype(np.float32)}
    reference = small_config()
    vae.train(reference, str(tmp_path / "reference"))
    half, full = (validations(tmp_path / name)[-1]["elbo"] for name in ("run", "reference"))
    assert half != full
    near(half, full, 0.3)


@pytest.mark.slow
def test_a_streamed_run_equals_one_in_memory(tmp_path):
    for name, streamed in (("memory", False), ("stream", True)):
        vae.train(small_config(data__stream=streamed, train__epochs=2), str(tmp_path / name))
    left, right = (vae.load(tmp_path / name).params for name in ("memory", "stream"))
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)  # two programs, rounded each


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "likelihood"), [("conv", "gaussian_learned"), ("resnet", "gaussian_per_pixel")]
)
def test_colour_images_of_odd_size_train_evaluate_and_sample(tmp_path, network, likelihood):
    images = np.random.default_rng(0).integers(0, 256, (100, 5, 7, 3)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", x=images)
    config = small_config(
        data__name="files",
        data__path=str(tmp_path / "images.npz"),
        data__binarization="none",
        model__encoder=network,
        model__decoder=network,
        model__filters=(4, 4),
        model__dense=8,
        model__likelihood=likelihood,
        model__dropout=0.1,
        train__epochs=2,
    )
    vae.train(config, str(tmp_path / "run"))
    metrics = vae.evaluate(str(tmp_path / "run"))["metrics"]
    assert np.isfinite(metrics["elbo"]["value"])
    assert "bpd" not in metrics  # a density of pixels has no bits
    assert vae.load(tmp_path / "run").sample(3).shape == (3, 5, 7, 3)


@pytest.mark.slow
def test_capacity_holds_the_rate_near_its_target(tmp_path):
    config = small_config(
        objective__name="capacity", objective__capacity=3.0, objective__capacity_epochs=20.0,
        objective__gamma=20.0, train__epochs=80, train__eval_epochs=40.0,
    )
    vae.train(config, str(tmp_path / "run"))
    near(validations(tmp_path / "run")[-1]["rate"], 3.0, 0.5)

"""Every kind of model from data to report: trained at once, and stopped and resumed."""

import numpy as np
import pytest

from tests.helpers import last_state, small_config
from vae.evaluation.evaluate import evaluate_run
from vae.evaluation.trained import load
from vae.reports.page import report_run
from vae.reports.sampling import sample
from vae.training.population import Group, maskable

LAYERS = {"model__upper_sizes": (2,), "model__layer_hidden": (4,)}
LABELS = {"data__context": "labels"}
FEW = {"data__labelled": 20, "model__classifier": "mlp"} | LABELS
MAPS = {
    "model__encoder": "attention_resnet", "model__decoder": "attention_resnet",
    "model__filters": (4, 4),
}  # fmt: skip
KINDS = {
    "chain": {"model__name": "chain"} | LAYERS,
    "ladder": {"model__name": "ladder", "objective__name": "free_bits"} | LAYERS,
    "top_down": {
        "model__name": "top_down", "model__filters": (4, 4), "model__groups": (1, 2),
        "train__ema": 0.9,
    },
    "vqvae": {
        "model__name": "vqvae", "objective__name": "vq", "model__codes": 8,
        "model__prior_width": 8, "model__prior_depth": 1,
    },
    "codebook": {
        "model__name": "vqvae", "objective__name": "vq", "model__codebook_update": "gradient",
        "model__encoder": "conv", "model__decoder": "conv", "model__filters": (4, 4),
        "model__dense": 0, "model__prior_width": 8, "model__prior_depth": 1,
    },
    "autoencoder_kl": {"model__name": "autoencoder_kl"} | MAPS,
    "adversarial": {
        "model__name": "autoencoder_kl", "objective__name": "perceptual",
        "objective__adversarial": 0.5, "objective__critic_start": 0.5,
        "objective__critic_filters": (3,),
    } | MAPS,
    "residual": {
        "model__name": "autoencoder_kl", "model__bottleneck": "residual", "objective__name": "vq",
        "model__codes": 8, "model__rotation": True,
    } | MAPS,
    "fsq": {
        "model__name": "autoencoder_kl", "model__bottleneck": "fsq", "objective__name": "vq",
        "model__code_levels": (4, 3),
    } | MAPS,
    "conditional": {"model__prior": "conditional", "objective__name": "iwae"} | LABELS,
    "m2": {"objective__name": "m2"} | FEW,
    "supervised": {"objective__name": "supervised"} | FEW,
    "sphere": {"model__posterior": "von_mises_fisher", "model__prior": "sphere"},
}  # fmt: skip
FAST = ("m2",)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in FAST else pytest.mark.slow) for k in KINDS]
)
def test_a_model_trains_resumes_evaluates_and_reports(tmp_path, kind):
    config = small_config(
        data__name="digits", data__size=300, model__hidden=(4,), objective__samples=2,
        train__epochs=2, eval__iwae_samples=(2,), eval__elbo_samples=2, eval__checkpoint="last",
        **KINDS[kind],
    )  # fmt: skip
    for folder, stops in (("whole", ()), ("cut", (1,))):
        for until in (*stops, None):
            group = Group([config])
            trials = group.train([(config, tmp_path / folder)], until=until)
            assert not any(trial.failure for trial in trials)
    states = last_state(tmp_path / "whole"), last_state(tmp_path / "cut")
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name], err_msg=name)

    trained = load(tmp_path / "cut", compiled=group.compiled)
    metrics = evaluate_run(trained)["metrics"]
    assert all(np.isfinite(metric["value"]) for metric in metrics.values())
    layered = kind in ("chain", "ladder", "top_down")
    given = "monte carlo" if kind == "chain" else "analytic given the layers above"
    assert metrics["rate"]["estimate"] == (given if layered else "analytic")
    assert ("codes_used" in metrics) == (kind in ("vqvae", "codebook", "residual", "fsq"))
    assert ("classification_error" in metrics) == ("model__classifier" in KINDS[kind])
    if kind in ("vqvae", "codebook", "residual", "fsq"):  # q(z|x) is a point
        np.testing.assert_allclose(
            metrics["nll_iwae_2"]["value"], -metrics["elbo"]["value"], rtol=1e-5
        )
    x, context = trained.examples("test", 5), trained.context("test", 5)
    mean, std = trained.encode(x, context)
    assert mean.shape == std.shape == (5, trained.latent_size)
    for temperature in (0.0, 1.0):
        drawn = trained.sample(5, temperature=temperature, context=context)
        assert drawn.shape == x.shape and np.isfinite(drawn).all()
    assert trained.reconstruct(x, context).shape == x.shape
    if "model__classifier" in KINDS[kind]:
        np.testing.assert_allclose(trained.classify(x).sum(1), 1.0, rtol=1e-5)
    text = report_run(trained, trained.workdir).read_text()
    assert ("KL per layer" in text) == layered
    assert maskable(config) == (kind in ("m2", "supervised"))
    assert sample(trained.workdir, num=4)[-1].exists()

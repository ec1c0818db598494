"""Learned priors and posteriors from data to report, and what objectives refuse of them."""

import functools
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests.helpers import last_state, small_config
from tests.objectives.shared import NEEDS
from tests.objectives.test_combinations import assert_learns, config_for, examples, gradient_of, run
from tests.probability.latents import PAIRS
from vae import objectives
from vae.errors import UserError
from vae.evaluation.evaluate import evaluate_run
from vae.evaluation.trained import load
from vae.reports.page import report_run
from vae.tied import tied
from vae.training.population import Group, maskable

SMALL = {"model__prior_components": 2, "model__flow_layers": 2, "model__flow_hidden": (3,)}


def changed(name, posterior, prior):
    changes = SMALL | {"model__posterior": posterior, "model__prior": prior}
    return config_for(name, "bernoulli", **changes)


@pytest.mark.slow
def test_every_pair_learns_by_the_elbo_and_by_iwae():
    x = examples("bernoulli", (2, 2, 1))
    results = run({
        (pair, name): gradient_of(changed(name, *pair), x)
        for pair in PAIRS for name in ("elbo", "iwae")
    })  # fmt: skip
    for (pair, _), (loss, gradient) in results.items():
        assert_learns(loss, gradient)
        assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient["posterior"]))
        if pair[1] != "normal":
            assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient["prior"])), pair


REFUSED = {
    "iaf": ("beta_tcvae", "dip_i", "dip_ii", "dreg", "stl"),
    "full_covariance": ("beta_tcvae", "dip_i", "dip_ii"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("posterior", "prior"), [("iaf", "mixture"), ("full_covariance", "vamp")])
def test_objectives_run_or_say_why_not(posterior, prior):
    """Traced alone: what is refused is refused before anything is compiled."""
    x = examples("bernoulli", (2, 2, 1))
    for name in objectives.__all__:
        if name in NEEDS:
            continue
        trace = functools.partial(jax.eval_shape, gradient_of(changed(name, posterior, prior), x))
        if name not in REFUSED[posterior]:
            assert trace()[0].shape == ()
            continue
        with pytest.raises(UserError, match=f"'{name}'.*model.posterior='{posterior}'") as caught:
            trace()
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("posterior", "prior"), [("diagonal", "vamp"), ("iaf", "normal")])
def test_a_model_trains_resumes_evaluates_and_reports(tmp_path, posterior, prior):
    config = small_config(
        data__name="digits",
        data__size=300,
        model__hidden=(4,),
        model__posterior=posterior,
        model__prior=prior,
        train__epochs=2,
        eval__iwae_samples=(2,),
        eval__elbo_samples=2,
        **SMALL,
    )
    assert not maskable(config)
    for folder, stops in (("whole", ()), ("cut", (1,))):
        for until in (*stops, None):
            group = Group([config])
            trials = group.train([(config, tmp_path / folder)], until=until)
            assert not any(trial.failure for trial in trials)
    states = last_state(tmp_path / "whole"), last_state(tmp_path / "cut")
    assert ("params/prior/inputs" in states[0]) == (prior == "vamp")
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name], err_msg=name)

    trained = load(tmp_path / "cut", "last", compiled=group.compiled)
    result = evaluate_run(trained)
    assert result["metrics"]["rate"]["estimate"] == "monte carlo"
    assert "kl_per_latent" not in result["arrays"]
    assert all(np.isfinite(metric["value"]) for metric in result["metrics"].values())
    x = trained.examples("test", 5)
    mean, std = trained.encode(x)
    assert mean.shape == std.shape == (5, 3) and (std > 0).all()
    for values in (trained.reconstruct(x), trained.sample(5), trained.sample(5, temperature=0.5)):
        assert values.shape == x.shape and np.isfinite(values).all()
    assert "all latents together" in report_run(trained, trained.workdir).read_text()
    assert (trained.workdir / "figures" / "traversals.png").exists()


@pytest.mark.slow
def test_orthogonal_flows_of_the_usual_size_do_not_wait_for_ever(tmp_path):
    """As LAPACK's batched QR does in a loop on CPUs, at these sizes and not at small ones."""
    command = [
        sys.executable, "-m", "vae", "train", "--config=configs/digits.py",
        "--config.model.posterior=sylvester_orthogonal", "--config.model.latent_size=50",
        "--config.model.flow_columns=16", "--config.train.epochs=1",
        "--config.train.eval_epochs=1.0", f"--workdir={tmp_path / 'run'}",
    ]  # fmt: skip
    process = subprocess.Popen(tied(command), start_new_session=True)
    try:
        assert process.wait(timeout=240) == 0
    finally:
        process.kill()

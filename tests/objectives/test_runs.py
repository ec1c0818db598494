"""An objective with parameters of its own, from data to report."""

import json

import numpy as np
import pytest

from tests.helpers import last_state, small_config
from vae.evaluation.evaluate import evaluate_run
from vae.evaluation.trained import load
from vae.reports.page import report_run
from vae.training.population import Group


@pytest.mark.slow
def test_a_critic_trains_resumes_and_is_left_behind_by_evaluation(tmp_path):
    """As one of two latent sizes in one program, at once and stopped after half its steps."""

    def train(folder, *stops):
        config = small_config(
            data__name="digits",
            data__size=300,
            model__hidden=(4,),
            objective__name="factor_vae",
            objective__critic_hidden=(5,),
            train__epochs=2,
            eval__iwae_samples=(2,),
        )
        members = []
        for size in (2, 3):
            config.model.latent_size = size
            members.append((config.copy_and_resolve_references().lock(), folder / str(size)))
        for until in (*stops, None):
            group = Group([config for config, _ in members])
            assert not any(trial.failure for trial in group.train(members, 2, until=until))
        return group, folder / "2"

    _, whole = train(tmp_path / "whole")
    group, cut = train(tmp_path / "cut", 1)
    states = last_state(whole), last_state(cut)
    critics = [name for name in states[0] if name.startswith("params/critic")]
    assert len(critics) == 4 and states[0]["params/critic/Dense_0/kernel"].shape == (2, 5)
    assert any(name.startswith("opt_state/critic") for name in states[0])
    for name, array in states[0].items():
        np.testing.assert_array_equal(array, states[1][name], err_msg=name)

    lines = [json.loads(line) for line in (cut / "metrics.jsonl").read_text().splitlines()]
    assert any("critic_loss" in line and "tc" in line for line in lines)
    for compiled in (group.compiled, None):  # beside the others of its group, and by itself
        run = load(cut, "last", compiled=compiled)
        metrics = evaluate_run(run)["metrics"]
        assert all(np.isfinite(metric["value"]) for metric in metrics.values())
    assert "factor_vae" in report_run(run, cut).read_text()

import pytest

from vae.reports.verdict import bound, broken, collapse, overfitting, skipped, verdict


def evaluation(active=2, total=3, **metrics):
    return {
        "split": "test", "num_examples": 1234,
        "metrics": {
            "elbo": {"value": -91.234, "stderr": 0.31, "unit": "nats"},
            "active_units": {"value": active, "stderr": None, "unit": ""},
            **{name: {"value": value, "stderr": 0.2} for name, value in metrics.items()},
        },
        "arrays": {"posterior_mean_variance": [0.5] * active + [0.0] * (total - active)},
    }  # fmt: skip


def curve(split, values, every=100):
    steps = range(every, every * (len(values) + 1), every)
    return [
        {"step": step, "epoch": step / 100, "split": split, "elbo": value, "loss": -value}
        for step, value in zip(steps, values, strict=True)
    ]


def test_the_bound_is_given_with_its_error_and_the_tightest_nll():
    text = bound(evaluation(nll_iwae_50=89.0, nll_iwae_5000=88.5)).text
    assert text == (
        "Test ELBO: −91.23 ± 0.31 nats (± standard error over 1,234 examples); −log p(x) is at "
        "most 88.50 ± 0.20 nats (IWAE, K = 5,000)."
    )
    assert bound({"metrics": {}}) is None


def test_a_likelihood_that_was_not_trained_is_told():
    untrained = evaluation(nll_iwae_5=88.5)
    untrained["metrics"]["elbo"]["unit"] = "nats, of a likelihood that was not trained: l1"
    text = bound(untrained).text
    assert text.endswith("(IWAE, K = 5). Both are of a likelihood that was not trained: l1.")


@pytest.mark.parametrize(
    ("active", "total", "text", "is_problem"),
    [
        (17, 50, "33 of 50 latents carry nothing about x; 17 are active.", False),
        (1, 2, "1 of 2 latents carries nothing about x; 1 is active.", False),
        (5, 5, "All 5 latents are active.", False),
        (1, 1, "The latent is active.", False),
        (0, 5, "Posterior collapse: no latent is active: the decoder ignores z.", True),
    ],
)
def test_latents_that_carry_nothing_are_counted(active, total, text, is_problem):
    found = collapse(evaluation(active, total))
    assert (found.text, found.is_problem, bool(found.remedy)) == (text, is_problem, is_problem)


def test_layers_that_carry_nothing_are_counted():
    for kl, begins in (
        ([3.0, 0.5], "All 2 layers"), ([3.0, 0.0], "1 of 2 layers"), ([0, 0], "Posterior collapse")
    ):  # fmt: skip
        found = collapse({"metrics": {}, "arrays": {"kl_per_layer": kl}})
        assert found.text.startswith(begins)


def codes(used, perplexity, total=512):
    metrics = {"codes_used": {"value": used}, "codebook_perplexity": {"value": perplexity}}
    found = evaluation(active=6, total=64)
    return {
        "metrics": {**found["metrics"], **metrics},
        "arrays": {**found["arrays"], "code_share": [1 / used] * used + [0.0] * (total - used)},
    }


@pytest.mark.parametrize(
    ("used", "perplexity", "begins", "is_problem"),
    [
        (3, 2.5, "Codebook collapse: 3 of 512 codes are in use, as if 2.5 were used alike", True),
        (400, 40.0, "Codebook collapse: 400 of 512 codes", True),
        (400, 301.5, "400 of 512 codes are in use, as if 301.5 were", False),
        (1, 1.0, "Posterior collapse: one code", True),
    ],
)
def test_a_codebook_is_judged_by_its_codes_and_not_by_units(used, perplexity, begins, is_problem):
    found = collapse(codes(used, perplexity))
    assert found.text.startswith(begins)
    assert (found.is_problem, bool(found.remedy)) == (is_problem, is_problem)


def test_a_best_validation_long_before_the_end_is_overfitting():
    records = curve("validation", [-100.0, -90.0, -92.0, -95.0, -99.0])
    assert "best at epoch 2 of 5 (−90 nats) and has fallen by 9 nats" in overfitting(records).text


def test_a_training_bound_far_above_validation_is_overfitting():
    records = curve("train", [-95.0, -80.0]) + curve("validation", [-96.0, -90.0])
    assert "(−80 nats) is 10 nats above" in overfitting(records).text


@pytest.mark.parametrize(
    ("records", "text"),
    [
        (curve("validation", [-99.0, -91.0, -90.0, -90.1]), "at epoch 3 of 4."),  # noise
        (
            curve("train", [-95.0, -89.0]) + curve("validation", [-96.0, -90.0]),
            "at epoch 2 of 2; the training ELBO is 1 nats above it.",
        ),
        (
            curve("train", [-95.0, -91.5]) + curve("validation", [-96.0, -90.0]),
            "at epoch 2 of 2; the training ELBO is 1.5 nats below it.",
        ),
    ],
)
def test_ordinary_training_is_not_overfitting(records, text):
    found = overfitting(records)
    assert not found.is_problem
    assert found.text == f"No overfitting seen: the validation ELBO was best {text}"


def test_without_validation_nothing_is_said_of_overfitting():
    assert overfitting([]) is None and overfitting(curve("train", [-90.0])) is None


def test_skipped_steps_and_divergence_are_told():
    records = curve("train", [-95.0, -90.0])
    assert skipped(records) is None and broken(records, "") is None
    records[-1]["skipped_steps"] = 3
    assert skipped(records).text.startswith("3 of 200 steps were skipped")
    records[-1]["loss"] = float("nan")
    assert broken(records, "").text == "Training diverged: the train loss is nan at epoch 2."
    assert broken(records, "step 7 is bad").text == "Training failed: step 7 is bad"


def test_everything_is_said_in_order_and_nothing_of_nothing():
    records = [{**curve("train", [-9.0])[0], "skipped_steps": 1}]
    said = [sentence.text.split()[0] for sentence in verdict(evaluation(), records, "why")]
    assert said == ["Test", "1", "Training", "1"]
    assert verdict(None, []) == []


def test_a_lossless_file_is_told_beside_its_pngs():
    numbers = {"bits_net": 0.2, "bits_first": 0.01, "bits_png": 0.8}
    (said,) = verdict({"metrics": {name: {"value": n} for name, n in numbers.items()}}, [])
    assert "to 25.0% of their PNG files (0.2 bits per dimension; 26.2% with" in said.text
    assert not said.is_problem
    assert verdict({"metrics": {"bits_net": {"value": 0.2}}}, []) == []

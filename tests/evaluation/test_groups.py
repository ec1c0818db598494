"""Groups of metrics of a run: each is written, adds up, and refuses what it cannot be asked."""

import json
import subprocess
import sys

import numpy as np
import pytest

import vae
from tests.helpers import small_config
from tests.margins import above, below, near, within
from vae.errors import UserError
from vae.evaluation.evaluate import unit_of_bounds
from vae.evaluation.groups import GROUPS
from vae.evaluation.subject import Subject
from vae.keys import KEYS
from vae.metrics import declared

FEW = {
    "eval__ais_examples": 20,
    "eval__ais_temperatures": 30,
    "eval__ais_chains": 8,
    "eval__ais_leapfrogs": 3,
    "eval__local_steps": 30,
    "eval__iwae_samples": (5, 50),
    "eval__samples": 300,
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return vae.train(small_config(**FEW), str(tmp_path_factory.mktemp("runs") / "digits"))


@pytest.fixture(scope="module")
def likelihoods(workdir):
    return vae.evaluate(workdir, metrics=("ais", "bdmc", "gaps"))


@pytest.fixture(scope="module")
def plain(workdir):
    return vae.evaluate(workdir)


def value(result, name):
    return result["metrics"][name]["value"]


def test_the_config_knows_the_groups():
    rule = KEYS["eval.metrics"].rule
    assert rule(tuple(GROUPS)) is None and rule(()) is None
    assert all(name in rule(("aiss",)) for name in GROUPS) and "did you mean 'ais'" in rule("aiss")


def test_nll_is_minus_log_p_and_elbo_is_not(workdir, plain):
    """Of zeros and ones -log p(x) is above 0, and the ELBO below."""
    run = vae.load(workdir)
    log_p = run.log_likelihood(run.examples("test"), 50)
    near(value(plain, "nll_iwae_50"), -log_p.mean(), 0.2)
    bounds = [value(plain, "elbo"), *(-value(plain, f"nll_iwae_{k}") for k in (5, 50)), 0.0]
    above(np.diff(bounds), 0.0)


def test_codes_are_posterior_means_not_samples(workdir):
    """`encode` gives mean and standard deviation; a draw is another thing."""
    run = vae.load(workdir)
    x = run.examples("test", 10)
    mean, std = run.encode(x)
    q = run.model.bind(run.variables).encode(x)
    np.testing.assert_allclose(mean, q.mean, rtol=1e-5)
    np.testing.assert_allclose(std, q.std, rtol=1e-5)
    np.testing.assert_array_equal(mean, run.encode(x)[0])


@pytest.mark.slow
def test_gaps_add_up_and_are_in_order(likelihoods):
    inference = value(likelihoods, "gap_inference")
    parts = value(likelihoods, "gap_approximation") + value(likelihoods, "gap_amortisation")
    assert inference == pytest.approx(parts, abs=1e-3)
    above(inference - value(likelihoods, "gap_iwae_5"), 0.0)
    above(value(likelihoods, "gap_iwae_5") - value(likelihoods, "gap_iwae_50"), 0.0)


@pytest.mark.slow
def test_bounds_of_both_sides_are_in_order(likelihoods):
    gap = value(likelihoods, "bdmc_upper") - value(likelihoods, "bdmc_lower")
    assert value(likelihoods, "bdmc_gap") == pytest.approx(gap, abs=1e-3)
    above(gap, -0.05)
    near(value(likelihoods, "ais_acceptance"), 0.65, 0.25)
    assert 1.0 <= value(likelihoods, "ais_effective") <= 8.0


@pytest.mark.slow
def test_rate_and_distortion_end_at_log_p(likelihoods):
    arrays = likelihoods["arrays"]
    assert arrays["ais_beta"][0] == 0.0 and arrays["ais_beta"][-1] == 1.0
    end = arrays["ais_rate"][-1] + arrays["ais_distortion"][-1]
    assert end == pytest.approx(value(likelihoods, "nll_ais"), rel=1e-4)


def test_every_example_s_bounds_are_written(workdir, plain):
    with np.load(f"{workdir}/per_example.npz") as arrays:
        assert set(arrays) == {"elbo", "nll_iwae_5", "nll_iwae_50"}
        assert arrays["elbo"].mean() == pytest.approx(value(plain, "elbo"), rel=1e-5)
        assert len(arrays["elbo"]) == plain["num_examples"]


def test_the_aggregate_s_terms_are_written(workdir):
    result = vae.evaluate(workdir, metrics=("aggregate",))
    both = value(result, "mutual_information") + value(result, "aggregate_kl")
    near(both, value(result, "rate"), rel=0.1)
    assert "at most log N" in result["metrics"]["mutual_information"]["unit"]
    with open(f"{workdir}/evaluation.json") as file:
        assert json.load(file)["metrics"] == result["metrics"]
    for name, metric in result["metrics"].items():
        kind = declared(name)
        assert (metric["label"], metric["better"]) == (kind.label, kind.better)
    assert result["metrics"]["rate"]["estimate"] == "analytic"


def test_a_metric_that_nobody_declared_is_refused_with_its_place(workdir, monkeypatch):
    def made_up(subject):
        return {"made_up": 1.0}, {}

    monkeypatch.setitem(GROUPS, "made_up", made_up)
    with pytest.raises(TypeError, match=r"test_groups\.made_up returns 'made_up'.*declare it"):
        vae.evaluate(workdir, metrics=("made_up",))


def test_the_names_of_the_groups_need_no_jax():
    code = "import sys; from vae.evaluation.groups import GROUPS; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_aggregate_of_one_example_is_refused(workdir):
    run = vae.load(workdir)
    subject = Subject(run, "test", run.examples("test", 1), None, {}, None, None)
    with pytest.raises(UserError, match="the test split has one"):
        GROUPS["aggregate"](subject)


def test_an_unknown_group_is_told_before_anything_is_loaded(tmp_path):
    with pytest.raises(UserError, match="did you mean 'gaps'"):
        vae.evaluate(str(tmp_path), metrics=("gap",))


def test_probes_tell_digits_from_their_codes(workdir):
    result = vae.evaluate(workdir, metrics=("probes",))
    errors = [value(result, f"probe_{n}_labels_error") for n in (1, 10)]
    above(errors[0] - max(value(result, "linear_probe_error"), errors[1]), 0.0)
    below(errors[0], 0.9)
    below(value(result, "knn_probe_error"), 0.7)


def test_groups_that_the_data_have_no_use_for_are_refused(workdir):
    with pytest.raises(UserError, match="digits has none"):
        vae.evaluate(workdir, metrics=("disentanglement",))


@pytest.mark.slow
def test_codes_are_scored_against_factors(tmp_path):
    config = small_config(data__name="sprites", data__size=3000, train__epochs=1)
    result = vae.evaluate(vae.train(config, str(tmp_path / "run")), metrics=("disentanglement",))
    for name in ("mig_histogram", "mig_sampled", "sap", "factor_vae"):
        assert any(key.startswith(name) for key in result["metrics"]), result["metrics"].keys()


def test_training_examples_are_binarised_by_a_fixed_seed(workdir):
    run = vae.load(workdir)
    x = run.examples("train", 50)
    assert set(np.unique(x)) == {0.0, 1.0}
    np.testing.assert_array_equal(x[7:9], run.seen("train")[np.array([7, 8])])
    grey = run.dataset.splits["train"].x[:50] / 16
    within(x.mean(), grey.mean(), np.sqrt((grey * (1 - grey)).sum()) / grey.size)
    assert (x[grey == 0] == 0).all()


@pytest.mark.slow
def test_samples_are_compared_over_features_of_the_same_data(workdir, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = vae.evaluate(workdir, metrics=("samples",))["metrics"]
    assert "classifier of digits" in first["frechet_distance"]["unit"]
    assert "draws of p(x|z)" in first["frechet_distance"]["unit"]
    assert first["frechet_distance"]["value"] > 0 and 0 <= first["recall"]["value"] <= 1
    assert len(list((tmp_path / "vae").glob("features-*/weights.npz"))) == 1
    again = vae.evaluate(workdir, metrics=("samples",))["metrics"]
    assert again["frechet_distance"] == first["frechet_distance"]


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A spatial autoencoder of two codebooks, on colour images of the user's own."""
    folder = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (80, 4, 4, 3)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
    np.savez(folder / "x.npz", x=x)
    config = small_config(
        data__name="files", data__path=str(folder / "x.npz"), data__binarization="none",
        model__likelihood="gaussian_learned", model__name="autoencoder_kl",
        model__bottleneck="residual", model__codes=6, model__code_depth=2,
        model__encoder="attention_resnet", model__decoder="attention_resnet",
        model__filters=(4, 4), objective__name="perceptual", objective__adversarial=0.0,
        train__epochs=1, eval__iwae_samples=(1,), eval__elbo_samples=1,
    )  # fmt: skip
    return vae.train(config, str(folder / "run"))


@pytest.mark.slow
def test_reconstructions_are_scored_as_images_and_their_codes_counted(colours):
    run = vae.load(colours)
    result = vae.evaluate(colours, metrics=("reconstructions",))
    x = run.examples("test")
    made = np.clip(run.reconstruct(x), 0.0, 1.0)
    each = -10 * np.log10(np.square(made.astype(float) - x).mean((1, 2, 3)))
    near(value(result, "psnr"), each.mean(), rel=1e-5)
    assert {"ssim", "feature_distance", "stream_2_perplexity"} <= result["metrics"].keys()
    assert "ms_ssim" not in result["metrics"]  # of 16 pixels a side
    indices = np.asarray(run.model.bind(run.variables).encode(x).indices)
    used = [len(np.unique(indices[..., stream])) for stream in range(2)]
    assert value(result, "codes_dead") == 12 - sum(used)
    for stream, count in enumerate(used, start=1):
        near(value(result, f"stream_{stream}_code_usage"), count / 6, 1e-6)
        assert value(result, f"stream_{stream}_codes_dead") == 6 - count


@pytest.mark.slow
def test_reconstructions_do_not_depend_on_the_batches(colours, monkeypatch):
    from vae.evaluation import trained
    from vae.scores import likeness

    whole = vae.evaluate(colours, metrics=("reconstructions",))["metrics"]
    monkeypatch.setattr(trained, "BATCH", 3)
    monkeypatch.setattr(likeness, "PART", 3)
    parts = vae.evaluate(colours, metrics=("reconstructions",))["metrics"]
    assert whole.keys() == parts.keys()
    for name, metric in whole.items():
        near(parts[name]["value"], metric["value"], rel=1e-3)


def test_reconstructions_of_binarised_images_are_scored(workdir, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    run = vae.load(workdir)
    run.config.eval.extractor = "pixels"
    subject = Subject(run, "test", run.examples("test"), None, {}, None, None)
    found, _ = GROUPS["reconstructions"](subject)
    error = np.square(run.reconstruct(subject.x).astype(float) - subject.x).mean((1, 2, 3))
    near(found["psnr"].value, (-10 * np.log10(error)).mean(), rel=1e-5)
    assert "ssim" not in found and found["reconstruction_frechet_distance"].value > 0


def test_reconstructions_of_what_are_no_images_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((60, 5)))
    config = small_config(
        data__name="files", data__path=str(tmp_path / "x.npz"), data__binarization="none",
        model__likelihood="gaussian_learned", train__epochs=1,
    )  # fmt: skip
    run = vae.load(vae.train(config, str(tmp_path / "run")))
    subject = Subject(run, "test", run.examples("test"), None, {}, None, None)
    with pytest.raises(UserError, match="compared as images in .0, 1., and the data set .* none"):
        GROUPS["reconstructions"](subject)


@pytest.mark.parametrize(
    ("objective", "pixels", "about"),
    [
        ("elbo", "l1", ""),
        ("perceptual", "likelihood", ""),
        ("perceptual", "l1", ", of a likelihood that was not trained: objective.pixels=l1"),
        ("tests.outside.parts:no_such", "l1", None),
    ],
)
def test_bounds_say_where_their_likelihood_was_not_trained(objective, pixels, about):
    config = small_config(objective__name=objective, objective__pixels=pixels)
    if about is None:
        with pytest.raises(UserError):
            unit_of_bounds(config)
    else:
        assert unit_of_bounds(config) == f"nats{about}"

"""Densities fitted to latents: on planted ones, and on a run's by the verb's function."""

import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import vae
from tests.helpers import small_config
from tests.margins import above, below, mean_is, near, within
from vae.errors import RunError, UserError
from vae.estimators import fitted_densities, learned_densities
from vae.evaluation import samplers
from vae.evaluation.subject import Subject
from vae.reports.sampling import sample

FITTED = ("aggregate", "mixture", "flow", "second_stage", "flow_matching")
QUICK = {
    "mixture": {"components": 3},
    "flow": {"steps": 300, "layers": 2, "hidden": (32,), "rate": 1e-2},
    "second_stage": {"steps": 2000, "hidden": (64, 64)},
    "flow_matching": {"steps": 1000, "width": 64, "blocks": 2, "rate": 3e-3},
}
NUM = 8000  # draws: many more than a device holds at a time


def two_modes(num, seed=0):
    """0.3 N((4, 0), diag(0.25, 1)) + 0.7 N((-1, 1), diag(1, 0.25)), and which is which."""
    rng = np.random.default_rng(seed)
    left = rng.random(num) < 0.7
    mean = np.where(left[:, None], (-1.0, 1.0), (4.0, 0.0))
    std = np.where(left[:, None], (1.0, 0.5), (0.5, 1.0))
    return (mean + std * rng.standard_normal((num, 2))).astype(np.float32), left


@pytest.fixture(scope="module")
def fits():
    """Every fitted density, of the two modes."""
    z = two_modes(4000)[0]
    return {name: samplers.SAMPLERS[name](z, **QUICK.get(name, {})) for name in FITTED}


@pytest.fixture(scope="module")
def draws(fits):
    return {name: fitted.sample(NUM, 1) for name, fitted in fits.items()}


def test_aggregate_recovers_a_gaussian():
    mean, factor = np.array([1.0, -2.0]), np.array([[2.0, 0.0], [1.5, 0.5]])
    z = mean + np.random.default_rng(0).standard_normal((50_000, 2)) @ factor.T
    found = fitted_densities.fit_aggregate(z)
    away = found.sample(NUM, 1) - z.mean(0)
    mean_is(away, 0.0)
    mean_is(away[:, :, None] * away[:, None], np.cov(z.T))
    exact = multivariate_normal(z.mean(0), np.cov(z.T, bias=True)).logpdf(z)
    np.testing.assert_allclose(found.log_prob(z), exact, atol=1e-2)


def test_mixture_recovers_its_components():
    z, _ = two_modes(20_000)
    found = fitted_densities.fit_mixture(z, components=2)
    draws = found.sample(NUM, 1)
    left = draws[:, 0] < 2.5
    fitted = np.sqrt(1 + NUM / len(z))  # what is fitted has an error too
    within(left.mean(), 0.7, fitted * np.sqrt(0.7 * 0.3 / NUM))
    for side, mean, std in ((left, (-1, 1), (1, 0.5)), (~left, (4, 0), (0.5, 1))):
        error = fitted * np.array(std) / np.sqrt(side.sum())
        within(draws[side].mean(0), mean, error)
        within(draws[side].std(0), std, error)
    exact = np.logaddexp(
        np.log(0.7) + multivariate_normal((-1, 1), np.diag((1, 0.25))).logpdf(z),
        np.log(0.3) + multivariate_normal((4, 0), np.diag((0.25, 1))).logpdf(z),
    )
    near(found.log_prob(z).mean(), exact.mean(), 0.01)


@pytest.mark.parametrize("name", FITTED)
def test_samples_have_the_moments_of_the_latents(draws, name):
    z, got = two_modes(20_000, seed=1)[0], draws[name]
    assert got.shape == (NUM, 2) and got.dtype == np.float32
    near(got.mean(0), z.mean(0), 0.5)  # of standardised latents they would be 0,
    near(np.cov(got.T), np.cov(z.T), 1.5)  # and the variance of the first 1 and not 6


@pytest.mark.parametrize("name", ("mixture", "flow", "flow_matching"))
def test_both_modes_are_found_and_less_between_them(draws, name):
    """Not of a second stage, which in 2 of 8 seeds ends where one Gaussian is."""
    z, left = two_modes(20_000, seed=1)
    near((draws[name][:, 0] < 2.5).mean(), left.mean(), 0.1)

    def between(z):
        return (np.abs(z[:, 0] - 2.25) < 0.5).mean()

    below(between(z), 0.06)
    above(between(draws["aggregate"]), 0.09)
    below(between(draws[name]), 0.06)


@pytest.mark.parametrize("name", ("mixture", "flow", "flow_matching"))
def test_held_out_likelihood_is_above_one_gaussian(fits, name):
    held, _ = two_modes(4000, seed=1)
    above(fits[name].log_prob(held).mean() - fits["aggregate"].log_prob(held).mean(), 0.4)


@pytest.mark.parametrize("name", ("aggregate", "mixture", "flow"))
def test_densities_integrate_to_one(fits, name):
    side = np.linspace(-12.0, 14.0, 261)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    log_prob = fits[name].log_prob(grid)
    assert log_prob.shape == (261**2,)
    near(np.exp(log_prob).sum() * (side[1] - side[0]) ** 2, 1.0, 5e-3)


@pytest.mark.parametrize("name", FITTED)
def test_draws_follow_their_seed_and_not_their_number(fits, draws, name):
    few = fits[name].sample(NUM // 4, 1)
    np.testing.assert_allclose(few, draws[name][: NUM // 4], atol=1e-4)
    np.testing.assert_allclose(fits[name].sample(10, 1, 7), few[7:17], atol=1e-4)
    assert (few != fits[name].sample(NUM // 4, 2)).mean() > 0.99
    assert len(np.unique(few, axis=0)) > 0.99 * len(few)


@pytest.mark.parametrize("name", ("aggregate", "mixture"))
def test_latents_that_never_vary_are_given_back(name):
    z = two_modes(500)[0] * (1.0, 0.0) + (0.0, 7.0)
    draws = samplers.SAMPLERS[name](z).sample(NUM, 0)
    np.testing.assert_allclose(draws[:, 1], 7.0, atol=1e-5)
    near(draws.std(0), z.std(0), 0.3)


def test_of_weights_the_best_on_what_is_held_out_are_kept():
    z, target = np.zeros((50, 1)), 1.0

    def loss(params, z, keys):
        return (params - target) ** 2 + z.sum(-1)

    found = learned_densities.minimised(loss, np.float32(0.0), z, 0, 400, 10, 0.1)
    np.testing.assert_allclose(found, target, atol=1e-2)
    started = learned_densities.minimised(loss, np.float32(target), z, 0, 400, 10, 0.1)
    np.testing.assert_allclose(started, target)
    with pytest.raises(RunError, match="smaller `rate`"):
        learned_densities.minimised(loss, np.float32(0.0), z, 0, 40, 10, np.inf)


def test_too_few_latents_are_refused():
    z = two_modes(100)[0]
    with pytest.raises(UserError, match="components=101"):
        fitted_densities.fit_mixture(z, components=101)
    with pytest.raises(UserError, match="too few"):
        fitted_densities.fit_aggregate(z[:1])


@pytest.mark.parametrize("name", ("aggregate", "mixture"))
def test_one_latent_is_enough(name):
    check_one_latent(samplers.SAMPLERS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ("flow", "second_stage", "flow_matching"))
def test_one_latent_is_enough_to_learn_from(name):
    check_one_latent(samplers.SAMPLERS[name])


def check_one_latent(fit):
    z = two_modes(4000)[0][:, :1]
    found = fit(z, seed=1)
    draws = found.sample(NUM, 1)
    assert draws.shape == (NUM, 1)
    near(draws.mean(), z.mean(), 0.4)
    near(draws.std() / z.std(), 1.0, 0.1)
    if found.log_prob is not None:
        line = np.linspace(-12.0, 14.0, 1001)[:, None]
        near(np.exp(found.log_prob(line)).sum() * 0.026, 1.0, 5e-3)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run with one latent, which every sampler should take."""
    config = small_config(model__latent_size=1, train__epochs=2)
    return vae.train(config, str(tmp_path_factory.mktemp("runs") / "digits"))


@pytest.fixture
def starts(monkeypatch, tmp_path):
    """Densities as they start, kept where no other test sees them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(learned_densities, "minimised", lambda loss, params, *settings: params)


@pytest.mark.parametrize("name", sorted(set(samplers.SAMPLERS) - set(samplers.OF_CODES)))
def test_a_run_is_sampled_by_every_name(workdir, name, starts):
    # As they start; how they are fitted is above, and with one latent below.
    array, picture = sample(workdir, num=6, seed=2, sampler=name)
    with np.load(array) as saved:
        assert saved["mean"].shape == (6, 8, 8, 1)
        assert ((saved["mean"] > 0) & (saved["mean"] < 1)).all()
        assert (saved["sampler"], saved["seed"]) == (name, 2)
        if name == "normal":  # this run's prior
            np.testing.assert_allclose(saved["mean"], vae.load(workdir).sample(6, 2), atol=1e-5)
    assert picture.name == ("samples.png" if name == "prior" else f"samples_{name}.png")
    assert picture.stat().st_size > 0


def test_latents_are_draws_of_the_posterior_of_training_examples(workdir):
    run = vae.load(workdir)
    grey = run.dataset.splits["train"].x / 16
    few, many = samplers.latents(run, 50), samplers.latents(run, 3 * len(grey) + 1)
    assert few.shape == (50, 1) and many.shape == (3 * len(grey), 1)
    np.testing.assert_allclose(few, samplers.latents(run, 50), atol=1e-6)
    assert not np.allclose(few, samplers.latents(run, 50, seed=1))
    mean, std = run.encode(np.random.default_rng(0).random(grey.shape) < grey)
    near(many.mean(0), mean.mean(0), 0.15)
    near(many.var(0), mean.var(0) + np.square(std).mean(0), rel=0.2)
    run.config.objective.name = "rae"  # z is the mean: whatever the seed, the same up to order
    codes = [np.sort(samplers.latents(run, seed=seed), axis=0) for seed in (0, 1)]
    assert codes[0].shape == (len(grey), 1)
    np.testing.assert_allclose(*codes, atol=1e-5)


def test_flow_matching_is_kept_for_its_run_and_seed(workdir, starts, monkeypatch):
    run = vae.load(workdir)
    first = samplers.fit(run, "flow_matching").sample(5, 1)

    def missing(*given):
        raise AssertionError("it should have been kept")

    monkeypatch.setattr(learned_densities, "minimised", missing)
    kept = samplers.fit(vae.load(workdir), "flow_matching")
    np.testing.assert_array_equal(kept.sample(5, 1), first)
    assert kept.classes == 10  # of the digits
    with pytest.raises(AssertionError, match="kept"):
        samplers.fit(run, "flow_matching", seed=1)
    with pytest.raises(AssertionError, match="kept"):
        samplers.fit(run, "flow_matching", steps=3)


def test_a_class_is_drawn_by_flow_matching_alone(workdir, starts):
    array, picture = sample(workdir, 6, sampler="flow_matching", of_class="3", guidance=2.0)
    with np.load(array) as saved:
        assert (saved["label"] == 3).all() and saved["mean"].shape == (6, 8, 8, 1)
    run = vae.load(workdir)
    drawn = run.sample(6, sampler="flow_matching", labels=np.full(6, 3), guidance=2.0)
    with np.load(array) as saved:
        np.testing.assert_allclose(saved["mean"], drawn, atol=1e-6)
    parts = [run.sample(3, sampler="mixture", first=n) for n in (0, 3)]
    whole = run.sample(6, sampler="mixture")
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    for given, message in (
        ({"sampler": "mixture", "of_class": "3"}, "give --sampler=flow_matching"),
        ({"sampler": "flow_matching", "of_class": "11"}, "--class"),
        ({"sampler": "mixture", "guidance": 2.0}, "--guidance=2"),
        ({"sampler": "flow_matching", "guidance": 2.0}, "give --class"),
    ):
        with pytest.raises(UserError, match=message):
            sample(workdir, 6, **given)
    with pytest.raises(UserError, match="knows no classes"):
        run.sample(2, sampler="mixture", labels=np.array([1, 2]))
    with pytest.raises(UserError, match="temperature"):
        run.sample(2, sampler="mixture", temperature=0.5)


def test_a_model_that_is_given_labels_is_drawn_from_by_them(tmp_path, starts):
    config = small_config(train__epochs=1, data__context="labels")
    run = vae.load(vae.train(config, str(tmp_path / "run")))
    classes = np.arange(6) % 3
    drawn = run.sample(6, sampler="flow_matching", context=classes)
    z = run.density("flow_matching").sample(6, labels=classes)
    np.testing.assert_allclose(drawn, run.decode(z, classes), atol=1e-5)
    with np.load(sample(run.workdir, 4, sampler="flow_matching", of_class="2")[0]) as saved:
        assert (saved["label"] == 2).all()


def test_samples_are_judged_from_the_density_that_the_config_names(workdir):
    from vae.evaluation.groups import samples

    run = vae.load(workdir)
    found = {}
    for name in ("prior", "normal", "aggregate"):
        run.config.eval.sampler = name
        run.config.eval.samples, run.config.eval.extractor = 100, "pixels"
        subject = Subject(run, "test", run.examples("test"), None, {}, np.zeros(0), None)
        found[name] = samples(subject)[0]["precision"]
    assert found["prior"].value == found["normal"].value  # which is this run's prior
    assert "by aggregate" in found["aggregate"].unit and " by " not in found["prior"].unit


def test_what_no_density_of_z_can_say_is_refused():
    def run(conditional, codes):
        data = SimpleNamespace(context="array", labelled=0)
        facts = SimpleNamespace(conditional=conditional, codes=codes)
        return SimpleNamespace(facts=facts, config=SimpleNamespace(data=data))

    for name in set(samplers.SAMPLERS) - {"prior", *samplers.OF_CODES}:
        with pytest.raises(UserError, match="context"):
            samplers.fit(run(True, 0), name)
        with pytest.raises(UserError, match="codebook's codes: use prior, causal, masked"):
            samplers.fit(run(False, 8), name)
    for name in samplers.OF_CODES:
        with pytest.raises(UserError, match="has none: use flow_matching"):
            samplers.fit(run(False, 0), name)


CODED = {
    "vqvae": {"model__name": "vqvae", "model__code_size": 2},
    "residual": {
        "model__name": "autoencoder_kl", "model__bottleneck": "residual", "model__encoder": "conv",
        "model__decoder": "conv", "model__filters": (4, 4),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", CODED)
def test_codes_of_a_run_are_drawn_by_class_and_their_log_p_is_kept(kind, tmp_path, starts):
    config = small_config(
        objective__name="vq", model__codes=6, train__epochs=1, **CODED[kind]
    )
    run = vae.load(vae.train(config, str(tmp_path / "run")))
    x = run.examples("test")[:5]
    codes = run.compiled.codes(run.variables, x, jax.random.key(0), 5)
    given = {"width": 8, "depth": 1}
    found = samplers.fit(run, "causal", **given)
    log_p = found.log_prob(codes)
    below(log_p, -1.0 * codes.shape[1])  # as it starts: near those of uniform codes
    near(log_p / codes.shape[1], -np.log(6), 0.2)
    np.testing.assert_array_equal(samplers.fit(run, "causal", **given).log_prob(codes), log_p)
    for name in samplers.OF_CODES:
        run._densities[name] = samplers.fit(run, name, **given)
        assert run.density(name).classes == 10
        z = run.density(name).sample(7, 1, labels=np.arange(7))
        assert z.shape == (7, run.latent_size)
        drawn = run.sample(7, 1, sampler=name, labels=np.arange(7), guidance=1.5)
        assert drawn.shape == (7, *run.shape)
    with pytest.raises(UserError, match="use prior, causal, masked"):
        run.sample(2, sampler="mixture")
    with pytest.raises(UserError, match="give --sampler=causal"):
        sample(run.workdir, 2, of_class="3")


def test_a_wrong_name_is_told_before_anything_is_loaded(tmp_path):
    code = (
        "import sys, vae.__main__ as m; assert m.main(sys.argv[1:]) == 2;"
        "assert not {'jax', 'sklearn'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "sample", f"--workdir={tmp_path}", "--sampler=flwo"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "did you mean 'flow'" in done.stderr and "second_stage" in done.stderr

"""A trained run from Python, and the linear-Gaussian model against probabilistic PCA."""

import doctest
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import vae
from tests.helpers import small_config
from tests.margins import above, below, near
from vae.errors import UserError
from vae.evaluation.trained import Trained


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = str(tmp_path_factory.mktemp("runs") / "digits")
    assert vae.train(small_config(train__ema=0.9), workdir) == workdir
    return vae.load(workdir)


@pytest.mark.slow
def test_a_notebook_can_take_a_run_and_go_on(run):
    x = run.examples("test", 20)
    assert x.shape == (20, 8, 8, 1) and set(np.unique(x)) == {0.0, 1.0}
    mean, std = run.encode(x)
    assert mean.shape == std.shape == (20, 3) and (std > 0).all()
    np.testing.assert_allclose(run.reconstruct(x), run.decode(mean), rtol=1e-5)
    assert run.sample(7).shape == (7, 8, 8, 1)
    assert set(np.unique(run.sample(7, draw=True))) == {0.0, 1.0}
    low, high = run.log_likelihood(x, 1).mean(), run.log_likelihood(x, 500).mean()
    above(high - low, 0.0)
    below(high, 0.0)


def test_samples_follow_their_seed_and_not_their_number(run):
    np.testing.assert_allclose(run.sample(3, seed=5), run.sample(9, seed=5)[:3], atol=1e-6)
    assert not np.allclose(run.sample(3, seed=5), run.sample(3, seed=6))


def test_samples_may_be_drawn_in_parts(run):
    parts = [run.sample(2, seed=5, draw=True), run.sample(3, seed=5, draw=True, first=2)]
    np.testing.assert_array_equal(np.concatenate(parts), run.sample(5, seed=5, draw=True))


@pytest.mark.parametrize(
    ("num", "seed", "words"),
    [(0, 0, "from 1 to"), (10**11, 0, "from 1 to"), (3, 10**23, "seed="), (3, -1, "seed=")],
)
def test_draws_that_cannot_be_numbered_are_refused(run, num, seed, words):
    with pytest.raises(UserError, match=words):
        run.sample(num, seed=seed)


def test_temperature_zero_is_the_mean_code(run):
    samples = run.sample(4, temperature=0.0)
    np.testing.assert_allclose(samples, run.decode(np.zeros((4, 3))), atol=1e-6)


def test_evaluated_weights_are_the_averaged_ones(run):
    from vae.checkpoint import Checkpoints

    with Checkpoints(run.workdir, read_only=True) as checkpoints:
        saved = checkpoints.load(run.step)
    kernel = run.params["posterior"]["kernel"]
    np.testing.assert_array_equal(kernel, saved["ema/posterior/kernel"])
    assert not np.array_equal(kernel, saved["params/posterior/kernel"])


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((2, 7, 8, 1)), "this model takes"),
        (np.full((2, 8, 8, 1), 0.5), "binarise it"),
        (np.zeros((2, 1, 8, 8)), r"\[N, 8, 8, 1\]: channels last, x.transpose\(0, 2, 3, 1\)"),
        (np.zeros((0, 8, 8, 1)), "N > 0"),
    ],
)
def test_wrong_arrays_are_refused(run, x, words):
    with pytest.raises(UserError, match=words):
        run.encode(x)
    with pytest.raises(UserError, match="this model takes"):
        run.decode(np.zeros((2, 9)))


@pytest.mark.slow
def test_validation_split_and_unknown_splits(run):
    assert vae.evaluate(str(run.workdir), "validation")["num_examples"] == 200
    with pytest.raises(UserError, match="not one of"):
        vae.evaluate(str(run.workdir), "train")


def probabilistic_pca(x, size):
    """Mean log-likelihood of the maximum-likelihood fit (Tipping & Bishop 1999, eq. 7-8)."""
    mean, covariance = x.mean(0), np.cov(x.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    noise = values[size:].mean()
    w = vectors[:, :size] * np.sqrt(values[:size] - noise)
    return multivariate_normal(mean, w @ w.T + noise * np.eye(len(mean))).logpdf(x).mean(), noise


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """A linear VAE, trained through `vae.train` on data with three strong directions."""
    folder = tmp_path_factory.mktemp("linear")
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3, 8))
    draw = lambda n: rng.normal(size=(n, 3)) @ w + 0.5 * rng.normal(size=(n, 8)) + 1.0  # noqa: E731
    data = {name: draw(n).astype(np.float32) for name, n in
            (("train", 2000), ("validation", 500), ("test", 500))}
    np.savez(folder / "linear.npz", **data)
    config = small_config(
        data__name="files",
        data__path=str(folder / "linear.npz"),
        data__binarization="none",
        model__hidden=(),
        model__likelihood="gaussian_learned",
        train__epochs=400,
        train__batch_size=200,
        train__eval_epochs=50.0,
        optimizer__learning_rate=2e-2,
        eval__checkpoint="last",
    )
    return vae.load(vae.train(config, str(folder / "run"))), data


def test_linear_vae_reaches_the_likelihood_of_probabilistic_pca(linear):
    run, data = linear
    from vae.estimators import bounds
    from vae.probability import noise

    expected, variance = probabilistic_pca(data["train"].astype(np.float64), 3)
    key = noise.key_for(0, "evaluate")
    elbo = bounds.elbo(run.model, 200)(run.variables, data["train"], key, 250)["elbo"].mean()
    below(elbo - expected, 0.01)
    near(elbo, expected, 0.05)
    near(np.exp(run.params["likelihood"][0]), variance, rel=0.03)


def test_elbo_below_iwae_below_log_p_on_the_trained_linear_model(linear):
    run, data = linear
    from vae.estimators import bounds
    from vae.probability import noise

    kernel, bias = (np.float64(run.params["decoder"]["Dense_0"][k]) for k in ("kernel", "bias"))
    covariance = kernel.T @ kernel + np.exp(np.float64(run.params["likelihood"][0])) * np.eye(8)
    log_p = multivariate_normal(bias.reshape(-1), covariance).logpdf(data["test"]).mean()
    key = noise.key_for(0, "evaluate")
    elbo = bounds.elbo(run.model, 200)(run.variables, data["test"], key, 250)["elbo"].mean()
    few, many = (run.log_likelihood(data["test"], k).mean() for k in (5, 500))
    above(np.diff([elbo, few, many, log_p]), -0.01)  # Monte-Carlo error


def test_doctests():
    from vae.reports import tables

    assert doctest.testmod(tables).failed == 0


@pytest.mark.parametrize(("kind", "expected"), [("grey", [0, 0.5, 1]), ("real", [-0.2, 0.5, 3])])
def test_means_of_grey_levels_are_kept_where_pixels_can_be(kind, expected):
    run = SimpleNamespace(described={"observed": kind})
    found = Trained.within(run, np.array([-0.2, 0.5, 3.0]))
    np.testing.assert_array_equal(found, expected)
